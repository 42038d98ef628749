// Affinity by the server's own cookie, whose value we overwrite. Its life, path and all else stay the
// server's; where the server sets none, nothing is pinned. The server sees our value in requests, as
// HAProxy's does.
#pragma once

#include "route/sealed_cookie.h"

namespace rejoin::route {

class CookieRewrite final : public Affinity {
 public:
  CookieRewrite(const CookieRewriteRule& rule, const Pool& pool, Seal& seal)
      : cookie_(pool, seal, rule.name), strict_(rule.strict) {}

  Pin find(const Arrival& arrival) override;
  /// Every Set-Cookie of the name gets the sealed `chosen` as its value, whatever the client brought.
  bool edit_response(const proto::ResponseHead& head, Pin& pin, ServerIndex chosen, UnixSeconds unix_now,
                     proto::HeadEdits& edits, Texts& texts) override;
  bool ends_pin(const proto::ResponseHead& head, UnixSeconds unix_now) const override {
    return cookie_.is_deleted_by(head, unix_now);
  }
  bool strict() const override { return strict_; }

 private:
  SealedCookie cookie_;
  bool strict_;
};

}  // namespace rejoin::route
