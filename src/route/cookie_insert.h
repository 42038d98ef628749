// Affinity by a cookie of ours: planted on responses, taken out of requests (unless `hide` is off).
//
// With `cross_site` there are two, with the same pin in each: the first for the site's own pages, the second
// for pages of other sites that embed it, to which browsers send no Lax cookie (SERVERCORSID, AWSALBCORS
// elsewhere). The first that names a usable server counts; both are planted together.
//
// Idle time: the dates in the seal are those of responses, and a WebSocket gets none while it is open. So
// while one is open, and for max_idle after it has closed, a table of this process remembers its cookie by
// its hash (Router::hold()), and the date is not asked. After a restart, or at another balancer, the date
// decides again.
#pragma once

#include "route/sealed_cookie.h"

namespace rejoin::route {

class CookieInsert final : public Affinity {
 public:
  /// `idle`, if there is one, outlives this.
  CookieInsert(const CookieInsertRule& rule, const Pool& pool, Seal& seal, LeaseTable* idle);

  /// Dates are judged only where the rule bounds them: `expired` past max_idle or max_life, `ahead` beyond
  /// limits::kCookieAheadSecondsMax.
  Pin find(const Arrival& arrival) override;

  std::span<const std::string_view> hidden_cookies() const override {
    return {names_.data(), rule_.hide ? cookies_.size() : 0};
  }
  std::optional<std::string_view> server_sees(std::string_view) const override { return std::nullopt; }

  /// Plants when the client has no valid cookie of `chosen`, when its date of last use is worth moving: by
  /// limits::kCookieRefreshSeconds, or half of a shorter max_idle; or when its key is not the one that seals
  /// now, so that the old key can be taken away. A Set-Cookie of our name from the server
  /// is dropped. A response that plants, other than 101, also says `Cache-Control: private` unless it is
  /// private or not stored anyhow: a shared cache would hand one client's pin to all.
  bool edit_response(const proto::ResponseHead& head, Pin& pin, ServerIndex chosen, UnixSeconds unix_now,
                     proto::HeadEdits& edits, Texts& texts) override;
  void forget(const proto::ResponseHead& head, proto::HeadEdits& edits, Texts& texts) override;
  bool plants_its_own() const override { return true; }
  bool strict() const override { return rule_.strict; }

 private:
  Pin judged(SealedCookie& cookie, std::string_view value, const Arrival& arrival);
  Reason reason_of_idle(const Pin& pin, const Arrival& arrival);
  void drop_the_servers(const proto::ResponseHead& head, proto::HeadEdits& edits) const;
  void set(const proto::CookieSpec& spec, proto::HeadEdits& edits, Texts& texts) const;
  void keep_private(const proto::ResponseHead& head, proto::HeadEdits& edits) const;

  CookieInsertRule rule_;
  const Pool& pool_;
  std::int64_t max_idle_s_;  // 0: no bound
  std::int64_t max_life_s_;
  std::int64_t refresh_s_;
  LeaseTable* idle_;
  std::vector<std::string_view> names_;  // views into rule_, these two
  std::vector<proto::CookieSpec> specs_;
  std::vector<SealedCookie> cookies_;  // one, or two with cross_site
  std::string value_;                  // kept for its memory
};

}  // namespace rejoin::route
