// Affinity by a cookie of ours: planted on responses, taken out of requests (unless `hide` is off).
#pragma once

#include "route/sealed_cookie.h"

namespace rejoin::route {

class CookieInsert final : public Affinity {
 public:
  CookieInsert(const CookieInsertRule& rule, const Pool& pool, Seal& seal);

  /// Dates are judged only where the rule bounds them: `expired` past max_idle or max_life, `ahead` beyond
  /// limits::kCookieAheadSecondsMax.
  Pin find(const Arrival& arrival) override;

  std::string_view hidden_cookie() const override {
    return rule_.hide ? std::string_view(rule_.name) : std::string_view();
  }
  std::optional<std::string_view> server_sees(std::string_view) const override { return std::nullopt; }

  /// Plants when the client has no valid cookie of `chosen`, or when its date of last use is worth moving: by
  /// limits::kCookieRefreshSeconds, or half of a shorter max_idle. A Set-Cookie of our name from the server
  /// is dropped. A response that plants, other than 101, also says `Cache-Control: private` unless it is
  /// private or not stored anyhow: a shared cache would hand one client's pin to all.
  bool edit_response(const proto::ResponseHead& head, const Pin& pin, ServerIndex chosen,
                     UnixSeconds unix_now, proto::HeadEdits& edits, Texts& texts) override;

 private:
  CookieInsertRule rule_;
  std::int64_t max_idle_s_;  // 0: no bound
  std::int64_t max_life_s_;
  std::int64_t refresh_s_;
  proto::CookieSpec spec_;  // views into rule_
  SealedCookie cookie_;
  std::string value_;  // kept for its memory
};

}  // namespace rejoin::route
