#include "proto/cookie.h"

#include <algorithm>
#include <array>

#include "base/limits.h"
#include "proto/http_names.h"

namespace rejoin::proto {
namespace {

/// Where a view into `whole` begins.
std::size_t place(std::string_view whole, std::string_view part) {
  return static_cast<std::size_t>(part.data() - whole.data());
}

/// Takes what stands before the next ';' off `rest`, trimmed.
std::string_view take_part(std::string_view& rest) {
  const std::size_t end = std::min(rest.find(';'), rest.size());
  const std::string_view part = trim_ows(rest.substr(0, end));
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return part;
}

/// "name = value" at the first '='. A text without '=' is a value (cookies) or a name (attributes): `alone`
/// says which.
enum class Alone : std::uint8_t { is_value, is_name };
CookiePair split_pair(std::string_view part, Alone alone) {
  const std::size_t equals = part.find('=');
  if (equals != std::string_view::npos)
    return {trim_ows(part.substr(0, equals)), trim_ows(part.substr(equals + 1))};
  if (alone == Alone::is_name) return {part, part.substr(part.size())};
  return {part.substr(0, 0), part};
}

/// RFC 6265 4.1.1 cookie-octet: visible ASCII without '"', ',', ';' and '\'.
bool is_cookie_octet(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte < 0x7f && c != '"' && c != ',' && c != ';' && c != '\\';
}

/// RFC 6265 4.1.1 av-octet: any character but controls and ';'.
bool is_attribute_value(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f && c != ';'; });
}

std::string_view to_text(SameSite same_site) {
  switch (same_site) {
    case SameSite::lax: return "Lax";
    case SameSite::strict: return "Strict";
    case SameSite::none: return "None";
    case SameSite::unset: break;
  }
  return {};
}

Error wrong(std::string_view name, std::string_view why) {
  return {ErrorKind::bad_input, Side::ours, Retry::no,
          "cookie '" + std::string(name) + "': " + std::string(why)};
}

}  // namespace

// ---- Cookie: ----

namespace detail {

bool next_cookie(std::string_view header, std::size_t& at, CookieSpan& found) {
  while (at < header.size()) {
    std::string_view rest = header.substr(at);
    const std::string_view part = take_part(rest);
    at = header.size() - rest.size();
    if (part.empty()) continue;
    found.begin = place(header, part);
    found.end = found.begin + part.size();
    found.pair = split_pair(part, Alone::is_value);
    return true;
  }
  return false;
}

void append_cookie(std::string& out, std::size_t start, std::string_view raw) {
  if (out.size() != start) out += "; ";
  out += raw;
}

}  // namespace detail

std::optional<CookiePair> CookieReader::next() {
  detail::CookieSpan found;
  std::size_t at = 0;
  if (!detail::next_cookie(rest_, at, found)) {
    rest_ = {};
    return std::nullopt;
  }
  rest_.remove_prefix(at);
  return found.pair;
}

std::optional<CookiePair> find_cookie(std::string_view header, std::string_view name) {
  CookieReader reader(header);
  while (const std::optional<CookiePair> pair = reader.next()) {
    if (pair->name == name) return pair;
  }
  return std::nullopt;
}

FieldParts without_cookie(std::string_view header, const CookiePair& pair) {
  // The bytes of the whole pair reach from one separator to the next, blanks included.
  const std::size_t inside = place(header, pair.value);
  const std::size_t begin = header.substr(0, inside).rfind(';');
  const std::size_t end = header.find(';', inside);
  std::string_view before, after;
  if (begin != std::string_view::npos) before = header.substr(0, begin);
  if (end != std::string_view::npos) after = header.substr(end);
  before = before.substr(0, before.find_last_not_of(" \t") + 1);
  // What is left of the first one has no separator before it. Neither have empty pairs that stood before it.
  if (before.find_first_not_of("; \t") == std::string_view::npos) {
    before = {};
    after.remove_prefix(std::min(after.find_first_not_of("; \t"), after.size()));
  }
  if (after.find_first_not_of("; \t") == std::string_view::npos) after = {};
  return {before, after};
}

FieldParts around_value(std::string_view header, const CookiePair& pair) {
  const std::size_t begin = place(header, pair.value);
  return {header.substr(0, begin), header.substr(begin + pair.value.size())};
}

CookieEdit strip_cookie(std::string_view header, std::string_view name, std::string& out) {
  return edit_cookies(
      header, name, [](std::string_view) { return std::optional<std::string_view>(); }, out);
}

CookieEdit replace_cookie_value(std::string_view header, std::string_view name, std::string_view value,
                                std::string& out) {
  return edit_cookies(
      header, name, [&](std::string_view) { return std::optional(value); }, out);
}

// ---- Set-Cookie: ----

SetCookie SetCookie::parse(std::string_view field) {
  SetCookie cookie;
  std::string_view rest = field;
  const CookiePair pair = split_pair(take_part(rest), Alone::is_value);
  cookie.name = pair.name;
  cookie.value = pair.value;
  cookie.attributes = rest;
  CookieAttributes attributes(rest);
  while (const auto attribute = attributes.next()) {
    const auto is = [&](std::string_view known) { return equals_ignoring_case(attribute->name, known); };
    const std::string_view value = attribute->value;
    if (is("Domain")) {
      cookie.domain = value;
    } else if (is("Path")) {
      cookie.path = value;
    } else if (is("Expires")) {
      cookie.expires = value;
    } else if (is("Max-Age")) {
      cookie.max_age = value;
    } else if (is("Secure")) {
      cookie.secure = true;
    } else if (is("HttpOnly")) {
      cookie.http_only = true;
    } else if (is("Partitioned")) {
      cookie.partitioned = true;
    } else if (is("SameSite")) {
      cookie.same_site = equals_ignoring_case(value, "Lax")      ? SameSite::lax
                         : equals_ignoring_case(value, "Strict") ? SameSite::strict
                         : equals_ignoring_case(value, "None")   ? SameSite::none
                                                                 : SameSite::unset;
    }
  }
  return cookie;
}

std::optional<CookieAttributes::Attribute> CookieAttributes::next() {
  while (!rest_.empty()) {
    const std::string_view part = take_part(rest_);
    if (part.empty()) continue;
    const CookiePair pair = split_pair(part, Alone::is_name);
    return Attribute{part, pair.name, pair.value};
  }
  return std::nullopt;
}

FieldParts around_value(std::string_view field, const SetCookie& parsed) {
  return around_value(field, CookiePair{parsed.name, parsed.value});
}

bool is_cookie_value(std::string_view value) {
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
    value = value.substr(1, value.size() - 2);
  return std::all_of(value.begin(), value.end(), is_cookie_octet);
}

bool is_cookie_name(std::string_view name) { return is_token(name); }

Status CookieSpec::check() const {
  if (!is_cookie_name(name)) return wrong(name, "the name may hold letters, digits and !#$%&'*+-.^_`|~ only");
  if (!is_cookie_value(value))
    return wrong(name,
                 "the value holds a blank, '\"', ',', ';', '\\' or another character "
                 "that may not stand in a cookie");
  if (value.size() > limits::kCookieValueBytesMax) {
    return Error{ErrorKind::too_large, Side::ours, Retry::no,
                 "cookie '" + std::string(name) + "': the value is longer than " +
                     std::to_string(limits::kCookieValueBytesMax) + " bytes"};
  }
  const auto in_domain = [](char c) { return is_token_byte(c) && c != '_'; };
  if (!std::all_of(domain.begin(), domain.end(), in_domain)) {
    return wrong(name, "the domain must be a host name, as in game.example");
  }
  if (!path.empty() && path.front() != '/') return wrong(name, "the path must begin with '/'");
  if (!is_attribute_value(path)) return wrong(name, "the path must be printable ASCII without ';'");
  if (same_site == SameSite::none && !secure)
    return wrong(name, "SameSite=None needs Secure, or browsers refuse it");
  if (partitioned && !secure) return wrong(name, "Partitioned needs Secure, or browsers refuse it");
  const auto has_prefix = [&](std::string_view prefix) {
    return name.size() >= prefix.size() && equals_ignoring_case(name.substr(0, prefix.size()), prefix);
  };
  if (has_prefix("__Secure-") && !secure)
    return wrong(name, "a name that begins with __Secure- needs Secure");
  if (has_prefix("__Host-") && (!secure || path != "/" || !domain.empty())) {
    return wrong(name, "a name that begins with __Host- needs Secure, the path '/' and no domain");
  }
  return {};
}

Status write_set_cookie(const CookieSpec& spec, std::string& out) {
  Status checked = spec.check();
  if (checked) write_checked_set_cookie(spec, out);
  return checked;
}

void write_checked_set_cookie(const CookieSpec& spec, std::string& out) {
  const auto add = [&](std::string_view name, std::string_view value) {
    out += name;
    out += value;
  };
  out += spec.name;
  add("=", spec.value);
  if (!spec.path.empty()) add("; Path=", spec.path);
  if (!spec.domain.empty()) add("; Domain=", spec.domain);
  if (spec.max_age_s) add("; Max-Age=", std::to_string(*spec.max_age_s));
  if (spec.expires) add("; Expires=", cookie_date(*spec.expires));
  if (spec.secure) out += "; Secure";
  if (spec.http_only) out += "; HttpOnly";
  if (spec.same_site != SameSite::unset) add("; SameSite=", to_text(spec.same_site));
  if (spec.partitioned) out += "; Partitioned";
}

}  // namespace rejoin::proto
