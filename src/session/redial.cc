#include "session/redial.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"

namespace rejoin::session {
namespace {

Duration by_chance(Duration most, Random& random) {
  return Duration(static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(most.count()) + 1)));
}

}  // namespace

Redial::Redial(proto::Url home, Advertised advertised, TimePoint now)
    : home_(std::move(home)),
      spread_(limits::kSpreadUntoldMs),
      due_(now),
      advertised_(advertised),
      last_secure_(home_.secure()) {}

void Redial::told(const Terms& terms) {
  spread_ = std::clamp(terms.spread, Duration(0), Duration(limits::kRedialMaxS));
  addresses_.clear();
  turn_ = 0;
  for (const std::string& address : terms.addresses) {
    if (auto url = usable(address)) addresses_.push_back(std::move(*url));
  }
}

std::optional<proto::Url> Redial::usable(std::string_view address) const {
  if (advertised_ == Advertised::no || address.empty()) return std::nullopt;
  Result<proto::Url> url = proto::Url::parse(address);
  if (!url) return std::nullopt;
  const bool ours = url->scheme != proto::Scheme::http && url->scheme != proto::Scheme::https;
  // Whoever stands in the middle of a plain link could send a client of a secure one anywhere.
  if (!ours || ((home_.secure() || last_secure_) && !url->secure())) return std::nullopt;
  return std::move(*url);
}

const proto::Url& Redial::target() const {
  if (redirect_) return *redirect_;
  const std::size_t turn = turn_ % (addresses_.size() + 1);
  return turn < addresses_.size() ? addresses_[turn] : home_;
}

// --- what happened ---

void Redial::link_lost(TimePoint now, Random& random) { back_off(0us, now, random); }

void Redial::path_changed(TimePoint now) {
  failures_ = 0;
  redirects_ = 0;
  due_ = now;
}

void Redial::dial_began() {
  last_secure_ = target().secure();
  with_item_ = false;
  due_ = kNever;
}

void Redial::dial_failed(DialFailure how, TimePoint now, Random& random) {
  if (how == DialFailure::before_open) {
    item_strikes_ += with_item_ ? 1 : 0;
    if (!with_item_ && item_strikes_ == 1) item_strikes_ = 0;  // it fails without, too: not the item's fault
    skip_item_ = with_item_;
  }
  redirect_.reset();
  ++turn_;
  ++failures_;
  back_off(0us, now, random);
}

void Redial::dial_opened() {
  if (with_item_) item_strikes_ = 0;
  skip_item_ = false;
  failures_ = 0;
  redirect_.reset();
  turn_ = 0;
  redirects_ = 0;
  due_ = kNever;
}

void Redial::sent_away(Duration wait, std::string_view address, TimePoint now, Random& random) {
  if (redirect_to(address)) {
    due_ = now + wait;  // the gateway has chosen for this client: no chance needed on top
    return;
  }
  if (wait == 0us) ++failures_;
  back_off(wait, now, random);
}

void Redial::move(Duration wait, std::string_view address, TimePoint now, Random& random) {
  (void)redirect_to(address);
  due_ = now + by_chance(std::min(spread_, wait / 2), random);
}

void Redial::dial_on(TimePoint now, Random& random) { back_off(0us, now, random); }

bool Redial::redirect_to(std::string_view address) {
  redirect_.reset();
  std::optional<proto::Url> url = usable(address);
  if (!url || ++redirects_ > limits::kRedirectsMax) return false;
  redirect_ = std::move(url);
  return true;
}

void Redial::back_off(Duration wait, TimePoint now, Random& random) {
  Duration most = spread_;
  if (failures_ > 0) {
    const Duration first = std::max<Duration>(spread_, limits::kRedialMinMs);
    // 2^16 times the least is far above the most.
    most = std::min<Duration>(first * (std::int64_t{1} << std::min(failures_, 16)), limits::kRedialMaxS);
  }
  due_ = now + wait + by_chance(most, random);
}

}  // namespace rejoin::session
