// The pin inside a cookie's value: which server, and since when. What the three cookie affinities have in
// common.
//
// Plaintext, before sealing: first use, last use (unix seconds, 4 bytes each, big-endian), the server's name.
// The name and not its index, because balancers may list their servers in another order. Bound to pool and
// cookie name, so that a cookie of one pool opens in no other.
//
// Owner: one affinity, one worker.
#pragma once

#include <string>
#include <string_view>

#include "route/affinity.h"

namespace rejoin::route {

class SealedCookie {
 public:
  /// `pool` and `seal` outlive it.
  SealedCookie(const Pool& pool, Seal& seal, std::string cookie_name);

  const std::string& name() const { return name_; }

  /// The pin in `text`: found with server and dates (which are not judged here), or the reason why not.
  Pin open(std::string_view text);

  /// Appends the sealed pin, base64url, to `out`. Dates outside 1970 to 2106 are taken to the nearer end.
  void seal(ServerIndex server, UnixSeconds first_use, UnixSeconds last_use, std::string& out);

  /// The best of all cookies of this name in `head`: `judge(value)` gives a Pin. See Affinity::find().
  template <typename Judge>
  Pin best(const proto::RequestHead& head, TimePoint now, Judge judge) const;

  /// The pin was found, and its server takes pinned clients.
  bool leads_to_usable(const Pin& pin, TimePoint now) const {
    return pin.found() && pool_.takes_pinned(pin.server, now);
  }
  /// The server deletes the cookie of this name in its response.
  bool is_deleted_by(const proto::ResponseHead& head, UnixSeconds unix_now) const;

 private:
  const Pool& pool_;
  Seal& seal_;
  std::string name_;
  std::string bound_;
  std::string plaintext_;  // kept for its memory
};

template <typename Judge>
Pin SealedCookie::best(const proto::RequestHead& head, TimePoint now, Judge judge) const {
  Pin best;
  int opened = 0;
  for (const proto::Field& field : head.all(proto::KnownField::cookie)) {
    proto::CookieReader cookies(head.value(field));
    while (const auto cookie = cookies.next()) {
      if (cookie->name != name_) continue;
      if (opened++ == limits::kPinCookiesMax) return best;
      const Pin pin = judge(cookie->value);
      if (leads_to_usable(pin, now)) return pin;
      if ((pin.found() && !best.found()) || best.reason == Reason::none) best = pin;
    }
  }
  return best;
}

}  // namespace rejoin::route
