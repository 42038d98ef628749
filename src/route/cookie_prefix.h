// Affinity by a sealed prefix and '~' before the value of the server's own cookie. The server sees its own
// value only; where it sets none, nothing is pinned.
//
// '~' is in no base64url text, so the first one ends the prefix, and the server's value may hold more of
// them.
#pragma once

#include "route/sealed_cookie.h"

namespace rejoin::route {

class CookiePrefix final : public Affinity {
 public:
  CookiePrefix(const CookiePrefixRule& rule, const Pool& pool, Seal& seal) : cookie_(pool, seal, rule.name) {}

  /// A value without '~' may be a pin as a whole (the rule was cookie-rewrite before); if it is not of our
  /// form it is the server's own, planted before we were there, and the reason is `none`.
  Pin find(const Arrival& arrival) override;

  std::string_view hidden_cookie() const override { return cookie_.name(); }
  /// What stands behind the first '~', whether the prefix opens or not: another balancer's prefix is nothing
  /// for a server either. A value without '~', or in quotation marks (which we never write), passes as it
  /// came.
  std::optional<std::string_view> server_sees(std::string_view value) const override;

  /// Every Set-Cookie of the name gets the sealed `chosen` as its prefix, whatever the client brought.
  bool edit_response(const proto::ResponseHead& head, const Pin& pin, ServerIndex chosen,
                     UnixSeconds unix_now, proto::HeadEdits& edits, Texts& texts) override;

 private:
  static constexpr char kSeparator = '~';
  SealedCookie cookie_;
};

}  // namespace rejoin::route
