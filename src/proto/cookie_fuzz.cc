// Cookie and Set-Cookie values of any bytes: an edit changes what it names and nothing else; whatever a jar
// takes in comes back out of its file. The first byte chooses the property's side facts, the rest is the
// value.
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "proto/cookie.h"
#include "proto/cookie_jar.h"

namespace {

using namespace rejoin;
using namespace rejoin::proto;

void check(bool held, const char* what) {
  if (held) return;
  std::cerr << "broken: " << what << "\n";
  std::abort();
}

using Pairs = std::vector<std::pair<std::string, std::string>>;

Pairs pairs_of(std::string_view header) {
  Pairs pairs;
  CookieReader reader(header);
  while (const auto pair = reader.next()) {
    const auto inside = [&](std::string_view view) {
      return view.data() >= header.data() && view.data() + view.size() <= header.data() + header.size();
    };
    check(inside(pair->name) && inside(pair->value), "views lie in the header");
    pairs.emplace_back(pair->name, pair->value);
  }
  return pairs;
}

void edits(std::string_view header, std::string_view name) {
  const Pairs before = pairs_of(header);
  Pairs stripped, replaced, without_first;
  bool met = false;
  for (const auto& pair : before) {
    const bool named = pair.first == name;
    if (!named) stripped.push_back(pair);
    if (!named || met) without_first.push_back(pair);
    replaced.emplace_back(pair.first, named ? "NEW" : pair.second);
    met = met || named;
  }

  std::string out;
  const CookieEdit strip = strip_cookie(header, name, out);
  check((strip == CookieEdit::absent) == !met, "absent");
  check((strip == CookieEdit::emptied) == (met && stripped.empty()), "emptied");
  check(strip != CookieEdit::changed || pairs_of(out) == stripped,
        "strip takes out what it names, and only that");
  out.clear();
  const CookieEdit replace = replace_cookie_value(header, name, "NEW", out);
  check((replace == CookieEdit::changed) == met, "replaced");
  check(!met || pairs_of(out) == replaced, "replace changes what it names, and only that");

  const auto first = find_cookie(header, name);
  check(first.has_value() == met, "found");
  if (!first) return;
  const FieldParts rest = without_cookie(header, *first);
  check(pairs_of(std::string(rest.before) + std::string(rest.after)) == without_first, "without_cookie");
  check(rest.empty() == without_first.empty(), "empty");
  const FieldParts around = around_value(header, *first);
  check(std::string(around.before) + std::string(first->value) + std::string(around.after) == header,
        "around_value");
}

void set_cookie(std::string_view field) {
  const SetCookie parsed = SetCookie::parse(field);
  if (!parsed.name.empty()) {
    const FieldParts parts = around_value(field, parsed);
    const std::string changed = std::string(parts.before) + "NEW" + std::string(parts.after);
    const SetCookie again = SetCookie::parse(changed);
    check(again.name == parsed.name && again.value == "NEW" && again.attributes == parsed.attributes,
          "Set-Cookie replaced");
  }
  CookieSpec spec;
  spec.name = parsed.name;
  spec.value = parsed.value;
  spec.path = parsed.path.value_or("/");
  spec.domain = parsed.domain.value_or("");
  spec.same_site = parsed.same_site;
  spec.secure = parsed.secure;
  spec.http_only = parsed.http_only;
  spec.partitioned = parsed.partitioned;
  std::string written;
  if (!write_set_cookie(spec, written)) return;
  for (const char c : written) check(c >= 0x20 && c < 0x7f, "only printable characters are written");
  const SetCookie again = SetCookie::parse(written);
  check(again.name == spec.name && again.value == spec.value && again.secure == spec.secure &&
            again.http_only == spec.http_only && again.partitioned == spec.partitioned &&
            again.same_site == spec.same_site,
        "written and read again");
}

void jar(std::string_view text, int which) {
  constexpr UnixSeconds kNow = 1'700'000'000;
  const char* urls[] = {"ws://h.example/", "wss://a.h.example/x/y?q", "ws://127.0.0.1:8000/x",
                        "wss://[::1]/"};
  const Url url = *Url::parse(urls[which & 3]);
  CookieJar first;
  if ((which & 4) != 0) {
    if (!first.load(text, kNow)) check(first.cookies().empty(), "a wrong file changes nothing");
  } else {
    for (std::string_view rest = text; !rest.empty();) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      const CookieJar::Stored stored = first.store(url, rest.substr(0, end), kNow);
      if (stored == CookieJar::Stored::kept || stored == CookieJar::Stored::replaced) {
        check(!first.cookies().empty(), "kept");
      }
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  const std::string file = first.save(kNow);
  CookieJar second;
  check(second.load(file, kNow).ok(), "a saved file loads");
  check(second.save(kNow) == file, "and is the same");
  for (const char* to : urls) {
    const Url target = *Url::parse(to);
    check(first.header_for(target, kNow) == second.header_for(target, kNow), "and sends the same");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1 || size > 5000) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  edits(text, "R");
  const Pairs pairs = pairs_of(text);
  if (!pairs.empty() && !pairs.back().first.empty()) edits(text, pairs.back().first);
  set_cookie(text);
  jar(text, data[0]);
  if (const auto when = parse_cookie_date(text))
    check(parse_cookie_date(cookie_date(*when)) == when, "a date");
  return 0;
}
