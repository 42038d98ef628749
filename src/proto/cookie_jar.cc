#include "proto/cookie_jar.h"

#include <algorithm>
#include <charconv>

#include "base/address.h"
#include "base/limits.h"
#include "proto/cookie.h"
#include "proto/http_names.h"

namespace rejoin::proto {
namespace {

constexpr UnixSeconds kLatest = 253402300799;  // the end of the year 9999

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

/// Tabs count too: they would break the columns of the file.
bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

bool has_prefix(std::string_view name, std::string_view prefix) {
  return name.size() >= prefix.size() && equals_ignoring_case(name.substr(0, prefix.size()), prefix);
}

/// RFC 6265 5.2.2: an optional '-' and digits, else the attribute is as if absent. Numbers that are too large
/// are taken to the end.
std::optional<std::int64_t> parse_max_age(std::string_view text) {
  const bool negative = text.starts_with('-');
  const std::string_view digits = text.substr(negative ? 1 : 0);
  if (digits.empty() || digits.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  if (negative) return 0;
  std::int64_t value = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return read.ec == std::errc() ? std::min(value, kLatest) : kLatest;
}

/// Sets expires and session from the attributes. Max-Age wins over Expires (RFC 6265 5.3 step 3).
void set_lifetime(const SetCookie& parsed, UnixSeconds now, StoredCookie& cookie) {
  if (parsed.max_age) {
    if (const auto age = parse_max_age(*parsed.max_age)) {
      cookie.session = false;
      cookie.expires = *age <= 0 ? now : std::min(kLatest, now + *age);
      return;
    }
  }
  if (parsed.expires) {
    if (const auto date = parse_cookie_date(*parsed.expires)) {
      cookie.session = false;
      cookie.expires = *date;
    }
  }
}

bool expired(const StoredCookie& cookie, UnixSeconds now) { return !cookie.session && cookie.expires <= now; }

/// RFC 6265 5.3 steps 4 to 6. False: the domain is not this host's to speak for.
bool set_domain(const Url& url, std::optional<std::string_view> written, StoredCookie& cookie) {
  cookie.domain = url.host;
  cookie.host_only = true;
  if (!written || written->empty()) return true;
  if (written->starts_with('.')) written->remove_prefix(1);
  const std::string domain = lower(*written);
  // Where the domain is the whole host and cannot have anything under it, browsers keep the cookie as
  // host-only.
  const bool alone = url.host_kind != HostKind::name || domain.find('.') == std::string::npos;
  if (alone) return domain == url.host;
  if (!domain_matches(url.host, domain)) return false;
  cookie.domain = domain;
  cookie.host_only = false;
  return true;
}

bool covers(const StoredCookie& cookie, const Url& url) {
  const bool domain = cookie.host_only
                          ? cookie.domain == url.host
                          : url.host_kind == HostKind::name && domain_matches(url.host, cookie.domain);
  return domain && path_matches(url.path(), cookie.path) && (!cookie.secure || url.secure());
}

bool same_place(const StoredCookie& a, const StoredCookie& b) {
  return a.name == b.name && a.domain == b.domain && a.path == b.path;
}

}  // namespace

bool domain_matches(std::string_view host, std::string_view domain) {
  if (host == domain) return true;
  return host.size() > domain.size() + 1 && host.ends_with(domain) &&
         host[host.size() - domain.size() - 1] == '.';
}

bool path_matches(std::string_view request_path, std::string_view cookie_path) {
  if (!request_path.starts_with(cookie_path)) return false;
  return request_path.size() == cookie_path.size() || cookie_path.ends_with('/') ||
         request_path[cookie_path.size()] == '/';
}

std::string_view default_cookie_path(std::string_view request_path) {
  const std::size_t slash = request_path.rfind('/');
  if (!request_path.starts_with('/') || slash == 0) return "/";
  return request_path.substr(0, slash);
}

CookieJar::Stored CookieJar::store(const Url& url, std::string_view set_cookie, UnixSeconds now) {
  const SetCookie parsed = SetCookie::parse(set_cookie);
  if (parsed.name.empty()) return Stored::no_name;
  if (has_control(parsed.name) || has_control(parsed.value)) return Stored::bad_characters;
  if (parsed.name.size() + parsed.value.size() > limits::kCookieValueBytesMax) return Stored::too_large;

  StoredCookie cookie;
  cookie.name = parsed.name;
  cookie.value = parsed.value;
  cookie.secure = parsed.secure;
  cookie.http_only = parsed.http_only;
  set_lifetime(parsed, now, cookie);
  if (!set_domain(url, parsed.domain, cookie)) return Stored::foreign_domain;
  const bool own_path = parsed.path && parsed.path->starts_with('/') && !has_control(*parsed.path);
  cookie.path = own_path ? *parsed.path : default_cookie_path(url.path());

  // What browsers added since RFC 6265 (its successor's draft, 5.7): an address without TLS neither plants
  // Secure cookies nor hides one under another.
  if (cookie.secure && !url.secure()) return Stored::insecure;
  if (has_prefix(cookie.name, "__Secure-") && !cookie.secure) return Stored::insecure;
  const bool host_bound = cookie.secure && cookie.path == "/" && !parsed.domain;
  if (has_prefix(cookie.name, "__Host-") && !host_bound) return Stored::insecure;
  const auto hides = [&](const StoredCookie& other) {
    return other.secure && !expired(other, now) && other.name == cookie.name &&
           path_matches(cookie.path, other.path) &&
           (domain_matches(cookie.domain, other.domain) || domain_matches(other.domain, cookie.domain));
  };
  if (!url.secure() && std::any_of(cookies_.begin(), cookies_.end(), hides)) return Stored::insecure;
  return insert(std::move(cookie), now);
}

CookieJar::Stored CookieJar::insert(StoredCookie cookie, UnixSeconds now) {
  const auto old = std::find_if(cookies_.begin(), cookies_.end(),
                                [&](const StoredCookie& other) { return same_place(other, cookie); });
  const bool there = old != cookies_.end() && !expired(*old, now);
  if (expired(cookie, now)) {
    if (old != cookies_.end()) cookies_.erase(old);
    return there ? Stored::deleted : Stored::already_expired;
  }
  if (old != cookies_.end()) {
    *old = std::move(cookie);  // a renewed cookie keeps its place in the order (RFC 6265 5.3 step 11.3)
    return there ? Stored::replaced : Stored::kept;
  }
  forget_expired(now);
  make_room(cookie.domain);
  cookies_.push_back(std::move(cookie));
  return Stored::kept;
}

void CookieJar::forget_expired(UnixSeconds now) {
  std::erase_if(cookies_, [now](const StoredCookie& cookie) { return expired(cookie, now); });
}

/// cookies_ stands in order of creation, so that the first one found is the oldest.
void CookieJar::make_room(std::string_view domain) {
  const auto of_domain = [domain](const StoredCookie& cookie) { return cookie.domain == domain; };
  const auto count = std::count_if(cookies_.begin(), cookies_.end(), of_domain);
  if (static_cast<std::size_t>(count) >= limits::kJarCookiesPerDomainMax) {
    cookies_.erase(std::find_if(cookies_.begin(), cookies_.end(), of_domain));
  } else if (cookies_.size() >= limits::kJarCookiesMax) {
    cookies_.erase(cookies_.begin());
  }
}

std::string CookieJar::header_for(const Url& url, UnixSeconds now) {
  forget_expired(now);
  std::vector<const StoredCookie*> sent;
  for (const StoredCookie& cookie : cookies_) {
    if (covers(cookie, url)) sent.push_back(&cookie);
  }
  // Stable: what has paths of one length stays in order of creation.
  std::stable_sort(sent.begin(), sent.end(), [](const StoredCookie* a, const StoredCookie* b) {
    return a->path.size() > b->path.size();
  });
  std::string header;
  for (const StoredCookie* cookie : sent) {
    if (!header.empty()) header += "; ";
    header += cookie->name + "=" + cookie->value;
  }
  return header;
}

// ---- the Netscape cookie file ----

std::string CookieJar::save(UnixSeconds now) const {
  std::string text = "# Netscape HTTP Cookie File\n";
  for (const StoredCookie& cookie : cookies_) {
    if (expired(cookie, now)) continue;
    if (cookie.http_only) text += "#HttpOnly_";
    if (!cookie.host_only) text += '.';
    text += cookie.domain;
    text += cookie.host_only ? "\tFALSE\t" : "\tTRUE\t";
    text += cookie.path;
    text += cookie.secure ? "\tTRUE\t" : "\tFALSE\t";
    text += cookie.session ? "0" : std::to_string(cookie.expires);
    text += '\t' + cookie.name + '\t' + cookie.value + '\n';
  }
  return text;
}

namespace {

bool take_bool(std::string_view text, bool& out) {
  out = equals_ignoring_case(text, "TRUE");
  return out || equals_ignoring_case(text, "FALSE");
}

/// One line with seven columns; the last may be missing with its tab when the value is empty. Empty text on
/// success, else what is wrong.
std::string_view read_line(std::string_view line, StoredCookie& cookie) {
  constexpr std::string_view kHttpOnly = "#HttpOnly_";
  cookie.http_only = line.starts_with(kHttpOnly);
  if (cookie.http_only) line.remove_prefix(kHttpOnly.size());

  std::string_view columns[7];
  std::size_t count = 0;
  for (std::string_view rest = line; count < 7; ++count) {
    const std::size_t tab = rest.find('\t');
    columns[count] = rest.substr(0, tab);
    if (tab == std::string_view::npos) {
      ++count;
      break;
    }
    rest.remove_prefix(tab + 1);
    if (count == 6) return "more than seven columns";
  }
  if (count < 6) return "fewer than seven columns, which tabs must separate";

  bool whole_domain;
  if (!take_bool(columns[1], whole_domain)) return "the second column must be TRUE or FALSE";
  if (!take_bool(columns[3], cookie.secure)) return "the fourth column must be TRUE or FALSE";
  if (columns[0].starts_with('.')) columns[0].remove_prefix(1);
  const bool odd = columns[0].starts_with('.') || columns[0].find_first_of("# ;") != std::string_view::npos;
  if (columns[0].empty() || odd) return "the first column must be a host";
  cookie.domain = lower(columns[0]);
  cookie.host_only = !whole_domain || Address::parse_ip(cookie.domain).ok();
  cookie.path = columns[2];
  if (!cookie.path.starts_with('/')) return "the third column must be a path";
  const auto read = std::from_chars(columns[4].data(), columns[4].data() + columns[4].size(), cookie.expires);
  if (read.ec != std::errc() || read.ptr != columns[4].data() + columns[4].size() || cookie.expires < 0) {
    return "the fifth column must be a date in seconds since 1970";
  }
  cookie.session = cookie.expires == 0;
  cookie.expires = std::min(cookie.expires, kLatest);
  cookie.name = columns[5];
  cookie.value = columns[6];
  if (cookie.name.empty()) return "the sixth column must be a name";
  if (cookie.name.find_first_of("=;") != std::string::npos || cookie.value.find(';') != std::string::npos) {
    return "a name or value with '=' or ';'";
  }
  if (cookie.name.size() + cookie.value.size() > limits::kCookieValueBytesMax)
    return "a cookie that is too large";
  for (const std::string_view column : columns) {
    if (has_control(column)) return "a control character";
  }
  return {};
}

}  // namespace

Status CookieJar::load(std::string_view text, UnixSeconds now) {
  CookieJar merged = *this;
  for (std::size_t line_number = 1; !text.empty(); ++line_number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || (line.front() == '#' && !line.starts_with("#HttpOnly_"))) continue;
    StoredCookie cookie;
    const std::string_view fault = read_line(line, cookie);
    if (!fault.empty()) {
      return Error{ErrorKind::bad_input, Side::ours, Retry::no,
                   "cookie file, line " + std::to_string(line_number) + ": " + std::string(fault)};
    }
    merged.insert(std::move(cookie), now);
  }
  *this = std::move(merged);
  return {};
}

std::string_view to_string(CookieJar::Stored stored) {
  switch (stored) {
    case CookieJar::Stored::kept: return "kept";
    case CookieJar::Stored::replaced: return "replaced";
    case CookieJar::Stored::deleted: return "deleted";
    case CookieJar::Stored::already_expired: return "expired already";
    case CookieJar::Stored::no_name: return "refused: no name";
    case CookieJar::Stored::foreign_domain: return "refused: Domain is not this host's";
    case CookieJar::Stored::too_large: return "refused: too large";
    case CookieJar::Stored::bad_characters: return "refused: control characters";
    case CookieJar::Stored::insecure: return "refused: needs TLS, or the conditions of its name's prefix";
  }
  return "?";
}

}  // namespace rejoin::proto
