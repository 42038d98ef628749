#include "route/cookie_insert.h"

#include <algorithm>
#include <chrono>

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

}  // namespace

CookieInsert::CookieInsert(const CookieInsertRule& rule, const Pool& pool, Seal& seal)
    : rule_(rule),
      max_idle_s_(whole_seconds(rule.max_idle)),
      max_life_s_(whole_seconds(rule.max_life)),
      // With a max_idle below two minutes a step of a minute could leave a busy client's cookie to expire.
      refresh_s_(std::max<std::int64_t>(1, std::min(limits::kCookieRefreshSeconds, max_idle_s_ / 2))),
      cookie_(pool, seal, rule.name) {
  spec_.name = rule_.name;
  spec_.domain = rule_.domain;
  spec_.path = rule_.path;
  spec_.same_site = rule_.same_site;
  spec_.secure = rule_.secure;
  spec_.http_only = rule_.http_only;
  spec_.partitioned = rule_.partitioned;
}

Pin CookieInsert::find(const Arrival& arrival) {
  if (arrival.head == nullptr) return {};
  const auto reason_of_date = [&](std::uint32_t date, std::int64_t age_max_s) {
    if (age_max_s == 0) return Reason::found;
    const std::int64_t age = arrival.unix_now - date;
    if (age < -limits::kCookieAheadSecondsMax) return Reason::ahead;
    return age > age_max_s ? Reason::expired : Reason::found;
  };
  return cookie_.best(*arrival.head, [&](std::string_view value) {
    Pin pin = cookie_.open(value);
    if (pin.found()) pin.reason = reason_of_date(pin.last_use, max_idle_s_);
    if (pin.found()) pin.reason = reason_of_date(pin.first_use, max_life_s_);
    return pin;
  });
}

bool CookieInsert::edit_response(const proto::ResponseHead& head, const Pin& pin, ServerIndex chosen,
                                 UnixSeconds unix_now, proto::HeadEdits& edits, Texts& texts) {
  for (const proto::Field& field : head.all(proto::KnownField::set_cookie)) {
    if (proto::SetCookie::parse(head.value(field)).name == rule_.name) edits.drop(field);
  }

  const bool is_kept = pin.found() && pin.server == chosen;
  const bool is_stale = max_idle_s_ > 0 && unix_now - pin.last_use >= refresh_s_;
  if (is_kept && !is_stale) return false;

  // A pin that goes on keeps its day of birth, or max_life would never come.
  value_.clear();
  cookie_.seal(chosen, is_kept ? pin.first_use : unix_now, unix_now, value_);
  proto::CookieSpec spec = spec_;
  spec.value = value_;
  std::string& text = texts.emplace_front();
  proto::write_checked_set_cookie(spec, text);
  edits.append("Set-Cookie", Bytes(text));
  if (head.status() != 101 && !is_kept_private(head)) edits.append("Cache-Control", "private");
  return true;
}

}  // namespace rejoin::route
