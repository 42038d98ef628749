#include "route/cookie_rewrite.h"

namespace rejoin::route {

Pin CookieRewrite::find(const Arrival& arrival) {
  if (arrival.head == nullptr) return {};
  return cookie_.best(*arrival.head, arrival.now,
                      [&](std::string_view value) { return cookie_.open(value); });
}

bool CookieRewrite::edit_response(const proto::ResponseHead& head, Pin&, ServerIndex chosen,
                                  UnixSeconds unix_now, proto::HeadEdits& edits, Texts& texts) {
  std::string_view sealed;  // once, for all of them
  for (const proto::Field& field : head.all(proto::KnownField::set_cookie)) {
    const Bytes whole = head.value(field);
    const proto::SetCookie set = proto::SetCookie::parse(whole);
    if (set.name != cookie_.name()) continue;
    if (sealed.empty()) {
      std::string& text = texts.emplace_front();
      cookie_.seal(chosen, unix_now, unix_now, text);
      sealed = text;
    }
    const auto value_at = static_cast<std::size_t>(set.value.data() - whole.data());
    edits.replace_value(field,
                        {whole.substr(0, value_at), sealed, whole.substr(value_at + set.value.size())});
  }
  return !sealed.empty();
}

}  // namespace rejoin::route
