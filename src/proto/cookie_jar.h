// What a client remembers of cookies between connections: the storage model of RFC 6265 5.3.
//
// Place: `rejoin connect` and client programs. A calculator: time is given to it, files are its caller's;
// save() and load() speak the Netscape cookie file that curl and wget read and write. One owner, one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "proto/url.h"

namespace rejoin::proto {

/// A cookie as kept. Ports do not count (RFC 6265 8.5).
struct StoredCookie {
  std::string name, value;
  std::string domain;  // lower case, without a leading dot
  std::string path;    // begins with '/'
  UnixSeconds expires = 0;
  bool session = true;  // no Max-Age, no Expires: `expires` means nothing
  bool host_only = true;
  bool secure = false;
  bool http_only = false;
};

/// Keeps at most limits::kJarCookiesMax cookies, limits::kJarCookiesPerDomainMax of a domain; past that the
/// expired ones go first, then the oldest.
///
/// Differs from a browser in what a program without pages does not have: SameSite and Partitioned are not
/// looked at, and there is no list of public suffixes (a Domain without a dot is refused, "co.uk" is not
/// known for what it is).
class CookieJar {
 public:
  /// What became of a Set-Cookie, for a tool that explains.
  enum class Stored : std::uint8_t {
    kept,             // new
    replaced,         // there was one of the same name, domain and path
    deleted,          // its date has passed: there was one, and it is gone
    already_expired,  // its date has passed, and there was none
    no_name,          // RFC 6265 5.2 step 5
    foreign_domain,   // Domain does not cover the host that sent it, or is a single label, or the host is an
                      // IP address
    too_large,        // name and value together above limits::kCookieValueBytesMax
    bad_characters,   // control characters
    insecure,  // Secure, or hiding a Secure cookie, without TLS; or the conditions of "__Secure-"/"__Host-"
  };

  /// Takes a Set-Cookie value that came in the response to `url`. `now` decides what has expired.
  Stored store(const Url& url, std::string_view set_cookie, UnixSeconds now);

  /// The value of the Cookie field to send to `url`: longer paths first, then older cookies (RFC 6265 5.4).
  /// Empty: send no such field. Expired cookies are thrown out on the way.
  std::string header_for(const Url& url, UnixSeconds now);

  /// In the order in which they were first stored.
  const std::vector<StoredCookie>& cookies() const { return cookies_; }
  void clear() { cookies_.clear(); }

  /// The Netscape cookie file: one cookie a line, seven columns, session cookies with expiry 0. Expired ones
  /// are left out.
  std::string save(UnixSeconds now) const;
  /// Adds what stands in `text`, as save(), curl and wget write it ("#HttpOnly_" before the domain; other
  /// lines that begin with '#' are comments). Error (bad_input): a line that is no cookie; `detail` has its
  /// number, and the jar is as before.
  Status load(std::string_view text, UnixSeconds now);

 private:
  Stored insert(StoredCookie cookie, UnixSeconds now);
  void forget_expired(UnixSeconds now);
  void make_room(std::string_view domain);

  std::vector<StoredCookie> cookies_;
};

/// RFC 6265 5.1.3: is `host` the domain itself or under it? Both lower case, no IP addresses.
bool domain_matches(std::string_view host, std::string_view domain);
/// RFC 6265 5.1.4: "/a" covers "/a", "/a/" and "/a/b", not "/ab".
bool path_matches(std::string_view request_path, std::string_view cookie_path);
/// RFC 6265 5.1.4: the directory of a request's path: "/a/b" gives "/a".
std::string_view default_cookie_path(std::string_view request_path);

std::string_view to_string(CookieJar::Stored stored);

}  // namespace rejoin::proto
