#include "route/cookie_prefix.h"

namespace rejoin::route {

Pin CookiePrefix::find(const Arrival& arrival) {
  if (arrival.head == nullptr) return {};
  return cookie_.best(*arrival.head, arrival.now, [&](std::string_view value) {
    const std::size_t end = value.find(kSeparator);
    Pin pin = cookie_.open(value.substr(0, end));
    if (end == value.npos && pin.reason == Reason::malformed) pin.reason = Reason::none;
    return pin;
  });
}

std::optional<std::string_view> CookiePrefix::server_sees(std::string_view value) const {
  const std::size_t end = value.find(kSeparator);
  if (end == value.npos || value.front() == '"') return value;
  return value.substr(end + 1);
}

bool CookiePrefix::edit_response(const proto::ResponseHead& head, Pin&, ServerIndex chosen,
                                 UnixSeconds unix_now, proto::HeadEdits& edits, Texts& texts) {
  std::string_view prefix;  // once, for all of them
  for (const proto::Field& field : head.all(proto::KnownField::set_cookie)) {
    const Bytes whole = head.value(field);
    const proto::SetCookie set = proto::SetCookie::parse(whole);
    if (set.name != cookie_.name()) continue;
    if (prefix.empty()) {
      std::string& text = texts.emplace_front();
      cookie_.seal(chosen, unix_now, unix_now, text);
      text.push_back(kSeparator);
      prefix = text;
    }
    const auto value_at = static_cast<std::size_t>(set.value.data() - whole.data());
    edits.replace_value(field, {whole.substr(0, value_at), prefix, whole.substr(value_at)});
  }
  return !prefix.empty();
}

}  // namespace rejoin::route
