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
  CookiePrefix(const CookiePrefixRule& rule, const Pool& pool, Seal& seal)
      : cookie_(pool, seal, rule.name), name_(cookie_.name()), strict_(rule.strict) {}

  /// A value without '~' may be a pin as a whole (the rule was cookie-rewrite before); if it is not of our
  /// form it is the server's own, planted before we were there, and the reason is `none`.
  Pin find(const Arrival& arrival) override;

  std::span<const std::string_view> hidden_cookies() const override { return {&name_, 1}; }
  /// What stands behind the first '~', whether the prefix opens or not: another balancer's prefix is nothing
  /// for a server either. A value without '~', or in quotation marks (which we never write), passes as it
  /// came.
  std::optional<std::string_view> server_sees(std::string_view value) const override;

  /// Every Set-Cookie of the name gets the sealed `chosen` as its prefix, whatever the client brought.
  bool edit_response(const proto::ResponseHead& head, Pin& pin, ServerIndex chosen, UnixSeconds unix_now,
                     proto::HeadEdits& edits, Texts& texts) override;
  bool ends_pin(const proto::ResponseHead& head, UnixSeconds unix_now) const override {
    return cookie_.is_deleted_by(head, unix_now);
  }
  bool strict() const override { return strict_; }

 private:
  static constexpr char kSeparator = '~';
  SealedCookie cookie_;
  std::string_view name_;  // cookie_'s
  bool strict_;
};

}  // namespace rejoin::route
