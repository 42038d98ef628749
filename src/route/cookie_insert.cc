#include "route/cookie_insert.h"

#include <algorithm>
#include <chrono>

#include "route/hash.h"

namespace rejoin::route {
namespace {

/// Rounded up: a max_idle of 1500 ms must not become "no bound" or less than was asked.
std::int64_t whole_seconds(Duration duration) {
  return std::chrono::ceil<std::chrono::seconds>(duration).count();
}

/// A shared cache keeps nothing of this response, or not its Set-Cookie (RFC 9111 5.2.2).
bool is_kept_private(const proto::ResponseHead& head) {
  for (const proto::Field& field : head.all(proto::KnownField::cache_control)) {
    Bytes rest = head.value(field), item;
    while (proto::next_list_item(rest, item)) {
      for (const Bytes enough : {"private", "no-store", "no-cache=\"set-cookie\""}) {
        if (proto::equals_ignoring_case(item, enough)) return true;
      }
    }
  }
  return false;
}

Reason reason_of_date(std::uint32_t date, std::int64_t age_max_s, UnixSeconds unix_now) {
  if (age_max_s == 0) return Reason::found;
  const std::int64_t age = unix_now - date;
  if (age < -limits::kCookieAheadSecondsMax) return Reason::ahead;
  return age > age_max_s ? Reason::expired : Reason::found;
}

}  // namespace

CookieInsert::CookieInsert(const CookieInsertRule& rule, const Pool& pool, Seal& seal, LeaseTable* idle)
    : rule_(rule),
      pool_(pool),
      max_idle_s_(whole_seconds(rule.max_idle)),
      max_life_s_(whole_seconds(rule.max_life)),
      // With a max_idle below two minutes a step of a minute could leave a busy client's cookie to expire.
      refresh_s_(std::max<std::int64_t>(1, std::min(limits::kCookieRefreshSeconds, max_idle_s_ / 2))),
      idle_(max_idle_s_ > 0 ? idle : nullptr) {
  proto::CookieSpec spec;
  spec.name = rule_.name;
  spec.domain = rule_.domain;
  spec.path = rule_.path;
  spec.same_site = rule_.same_site;
  spec.secure = rule_.secure;
  spec.http_only = rule_.http_only;
  spec.partitioned = rule_.partitioned;
  specs_.push_back(spec);
  if (!rule_.cross_site.empty()) {
    spec.name = rule_.cross_site;
    spec.same_site = SameSite::none;
    spec.secure = spec.partitioned = true;
    specs_.push_back(spec);
  }
  for (const proto::CookieSpec& each : specs_) {
    names_.push_back(each.name);
    cookies_.emplace_back(pool, seal, std::string(each.name));
  }
}

Pin CookieInsert::find(const Arrival& arrival) {
  if (arrival.head == nullptr) return {};
  Pin best;
  for (SealedCookie& cookie : cookies_) {
    const Pin pin = cookie.best(*arrival.head, arrival.now,
                                [&](std::string_view value) { return judged(cookie, value, arrival); });
    if (pin.found() && (!best.found() || !cookie.leads_to_usable(best, arrival.now))) best = pin;
    if (!best.found() && best.reason == Reason::none) best = pin;
  }
  return best;
}

Pin CookieInsert::judged(SealedCookie& cookie, std::string_view value, const Arrival& arrival) {
  Pin pin = cookie.open(value);
  if (idle_ != nullptr) pin.key = hash_of(value);
  if (pin.found()) pin.reason = reason_of_date(pin.last_use, max_idle_s_, arrival.unix_now);
  if (pin.reason == Reason::expired && idle_ != nullptr) pin.reason = reason_of_idle(pin, arrival);
  if (pin.found()) pin.reason = reason_of_date(pin.first_use, max_life_s_, arrival.unix_now);
  return pin;
}

/// A cookie whose date says that it was idle for too long: was its WebSocket open all the time?
Reason CookieInsert::reason_of_idle(const Pin& pin, const Arrival& arrival) {
  const auto open_at = idle_->find(lease_key(pin.key), arrival.now);
  return open_at && pool_.index_of_number(*open_at) == pin.server ? Reason::found : Reason::expired;
}

void CookieInsert::drop_the_servers(const proto::ResponseHead& head, proto::HeadEdits& edits) const {
  for (const proto::Field& field : head.all(proto::KnownField::set_cookie)) {
    const std::string_view name = proto::SetCookie::parse(head.value(field)).name;
    if (std::find(names_.begin(), names_.end(), name) != names_.end()) edits.drop(field);
  }
}

void CookieInsert::set(const proto::CookieSpec& spec, proto::HeadEdits& edits, Texts& texts) const {
  std::string& text = texts.emplace_front();
  proto::write_checked_set_cookie(spec, text);
  edits.append("Set-Cookie", Bytes(text));
}

void CookieInsert::keep_private(const proto::ResponseHead& head, proto::HeadEdits& edits) const {
  if (head.status() != 101 && !is_kept_private(head)) edits.append("Cache-Control", "private");
}

bool CookieInsert::edit_response(const proto::ResponseHead& head, Pin& pin, ServerIndex chosen,
                                 UnixSeconds unix_now, proto::HeadEdits& edits, Texts& texts) {
  drop_the_servers(head, edits);
  const bool is_kept = pin.found() && pin.server == chosen;
  const bool is_stale = max_idle_s_ > 0 && unix_now - pin.last_use >= refresh_s_;
  if (is_kept && !is_stale && !pin.older_key) return false;

  // A pin that goes on keeps its day of birth, or max_life would never come.
  const UnixSeconds first_use = is_kept ? pin.first_use : unix_now;
  for (std::size_t i = 0; i < cookies_.size(); ++i) {
    value_.clear();
    cookies_[i].seal(chosen, first_use, unix_now, value_);
    // A client holds one of the two, or both: the table knows the first, which every client of a page has.
    if (i == 0) pin.key = hash_of(value_);
    proto::CookieSpec spec = specs_[i];
    spec.value = value_;
    set(spec, edits, texts);
  }
  keep_private(head, edits);
  return true;
}

void CookieInsert::forget(const proto::ResponseHead& head, proto::HeadEdits& edits, Texts& texts) {
  drop_the_servers(head, edits);
  for (proto::CookieSpec spec : specs_) {
    spec.max_age_s = 0;
    spec.expires = 0;
    set(spec, edits, texts);
  }
  keep_private(head, edits);
}

}  // namespace rejoin::route
