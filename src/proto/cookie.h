// The cookie fields of HTTP (RFC 6265): `Cookie:` read leniently and edited in place, `Set-Cookie:` read,
// edited and written strictly.
//
// Place: beside the heads (http_head.h); affinity in src/route stands on it, the client's jar (cookie_jar.h)
// too. A calculator over field values. Every view it gives lies in the field value that was given to it, so
// that a caller can tell positions from it; nothing is unquoted or decoded. Cookie names compare
// case-sensitively, attribute names do not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace rejoin::proto {

// ---- Cookie: (what a client sends) ----

/// One cookie of a `Cookie:` value. Quotation marks around the value belong to it, as browsers see it.
struct CookiePair {
  std::string_view
      name;  // empty for "value" and "=value": browsers send cookies without a name as the value alone
  std::string_view value;
};

/// Walks over the cookies of one `Cookie:` value in their order. Lenient, as clients are (RFC 6265 5.4 and
/// what is seen in the wild): pairs are separated by ';' alone (a comma or a quotation mark is part of a
/// value), blanks around names and values do not count, empty pairs are passed over, and any other byte is
/// allowed.
class CookieReader {
 public:
  explicit CookieReader(std::string_view header) : rest_(header) {}
  /// The next cookie, or nothing at the end.
  std::optional<CookiePair> next();

 private:
  std::string_view rest_;
};

/// The first cookie by this name, or nothing. Where a name comes twice the first has the longer path (RFC
/// 6265 5.4), which is why it wins; use CookieReader to see them all.
std::optional<CookiePair> find_cookie(std::string_view header, std::string_view name);

/// What stands before and behind a part of a field value. With HeadEdits (http_editor.h) an edit then copies
/// nothing: `edits.replace_value(field, {parts.before, parts.after})`.
struct FieldParts {
  std::string_view before, after;
  bool empty() const { return before.empty() && after.empty(); }
};
/// The value without this one cookie, which find_cookie() or a CookieReader found in `header`: one separator
/// goes with it, all other bytes stay. Empty: it was the only one, and the field should go.
FieldParts without_cookie(std::string_view header, const CookiePair& pair);
/// What stands around this cookie's value: `before`, another value and `after` are the header with the value
/// replaced.
FieldParts around_value(std::string_view header, const CookiePair& pair);

/// What an edit did to a `Cookie:` value.
enum class CookieEdit : std::uint8_t {
  absent,   // no cookie by that name: send the field as it came. `out` was not touched
  changed,  // `out` has the new value appended to it
  emptied,  // nothing is left: send no such field. `out` was not touched
};

/// Goes over all cookies called `name`: `new_value(std::string_view value)` returns
/// std::optional<std::string_view>, the value to send instead (the same one to leave it be) or nothing to
/// take that cookie out. All other cookies keep their bytes and their order; separators from the first edited
/// one on become "; ". The new values are written as they are.
template <typename NewValue>
CookieEdit edit_cookies(std::string_view header, std::string_view name, NewValue&& new_value,
                        std::string& out);

/// Takes out every cookie called `name`: "a=1; REJOIN=x; b=2" gives "a=1; b=2".
CookieEdit strip_cookie(std::string_view header, std::string_view name, std::string& out);
/// Gives every cookie called `name` this value. Never `emptied`.
CookieEdit replace_cookie_value(std::string_view header, std::string_view name, std::string_view value,
                                std::string& out);

// ---- Set-Cookie: (what a server sends) ----

enum class SameSite : std::uint8_t { unset, lax, strict, none };

/// A `Set-Cookie:` value taken apart as user agents do (RFC 6265 5.2, and SameSite and Partitioned of its
/// successor). Of an attribute that comes twice the last counts. Attributes that nobody knows are passed
/// over.
struct SetCookie {
  std::string_view name, value;  // name may be empty ("=v", "v"): RFC 6265 5.2 ignores such a cookie
  std::string_view attributes;   // what stands behind the first ';', for CookieAttributes
  std::optional<std::string_view> domain, path, expires, max_age;  // as written
  SameSite same_site = SameSite::unset;
  bool secure = false;
  bool http_only = false;
  bool partitioned = false;

  /// Never fails: every text is a cookie of some name and value.
  static SetCookie parse(std::string_view field);
};

/// Walks over the attributes of a Set-Cookie, trimmed: "Path=/", "HttpOnly".
class CookieAttributes {
 public:
  explicit CookieAttributes(std::string_view attributes) : rest_(attributes) {}
  struct Attribute {
    std::string_view whole, name, value;  // value is empty for "HttpOnly" and "Path="
  };
  std::optional<Attribute> next();

 private:
  std::string_view rest_;
};

/// What stands around the cookie's value: `before`, another value and `after` are the field with the value
/// replaced and every other byte kept. `parsed` must be parse(field), of a cookie with a name.
FieldParts around_value(std::string_view field, const SetCookie& parsed);

/// A cookie that we plant.
struct CookieSpec {
  std::string_view name;
  std::string_view value;
  std::string_view domain;      // empty: host-only
  std::string_view path = "/";  // empty: none written; the client then takes the request's directory
  std::optional<std::int64_t> max_age_s;  // nothing: until the browser ends. 0 or less deletes the cookie
  std::optional<UnixSeconds> expires;     // beside Max-Age only for very old clients
  SameSite same_site = SameSite::unset;
  bool secure = false;
  bool http_only = false;
  bool partitioned = false;

  /// Ok if name is a token and every other text holds only what RFC 6265 4.1.1 allows, value at most
  /// limits::kCookieValueBytesMax bytes, and what browsers demand: SameSite=None and Partitioned only with
  /// Secure;
  /// "__Secure-" only with Secure, "__Host-" only with Secure, Path=/ and no Domain. Error: bad_input (ours),
  /// `detail` names the part and says what would be right. Check once when the configuration is read.
  Status check() const;
};

/// Appends the field's value to `out`: "REJOIN=abc; Path=/; Max-Age=60; HttpOnly; SameSite=Lax". Error: as
/// spec.check(), and `out` is not touched.
Status write_set_cookie(const CookieSpec& spec, std::string& out);
/// The same for a spec that was checked and whose value since changed to one of cookie octets only
/// (base64url): the byte path of affinity.
void write_checked_set_cookie(const CookieSpec& spec, std::string& out);

/// True if all of `value` may stand in a cookie's value (RFC 6265 4.1.1, quotation marks around it allowed).
bool is_cookie_value(std::string_view value);
/// True if `name` is a token (RFC 9110 5.6.2), as RFC 6265 4.1.1 demands of cookie names. Not for the empty
/// text.
bool is_cookie_name(std::string_view name);

/// A date as in Expires, read as leniently as RFC 6265 5.1.1 orders; nothing if it is none. Two-digit years:
/// 70-99 are 19xx, 00-69 are 20xx.
std::optional<UnixSeconds> parse_cookie_date(std::string_view text);
/// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 5.6.7). Years 1601 to 9999; others are taken to the nearer end.
std::string cookie_date(UnixSeconds when);

// ---- how edit_cookies works ----

namespace detail {
/// The next pair with the place of its bytes: `begin` and `end` are offsets in the header, separators not
/// included.
struct CookieSpan {
  std::size_t begin = 0, end = 0;
  CookiePair pair;
};
bool next_cookie(std::string_view header, std::size_t& at, CookieSpan& found);
/// Appends a cookie that is kept or changed; "; " before it unless it is the first behind `start`.
void append_cookie(std::string& out, std::size_t start, std::string_view raw);
}  // namespace detail

template <typename NewValue>
CookieEdit edit_cookies(std::string_view header, std::string_view name, NewValue&& new_value,
                        std::string& out) {
  // Nothing is written until a cookie of that name is met; then what stood before it is copied as it is.
  const std::size_t start = out.size();
  std::size_t at = 0, copied = 0;  // copied: kept bytes up to here are in `out`
  bool met = false;
  detail::CookieSpan found;
  while (detail::next_cookie(header, at, found)) {
    if (found.pair.name != name) {
      if (met)
        detail::append_cookie(out, start, header.substr(found.begin, found.end - found.begin));
      else
        copied = found.end;
      continue;
    }
    if (!met) out += header.substr(0, copied);
    met = true;
    const std::optional<std::string_view> value = new_value(found.pair.value);
    if (!value) continue;
    const FieldParts parts = around_value(header, found.pair);
    detail::append_cookie(out, start, parts.before.substr(found.begin));
    out += *value;
  }
  if (!met) return CookieEdit::absent;
  return out.size() == start ? CookieEdit::emptied : CookieEdit::changed;
}

}  // namespace rejoin::proto
