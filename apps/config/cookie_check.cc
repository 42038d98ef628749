#include "apps/config/cookie_check.h"

#include <string>

namespace rejoin::config {
namespace {

class CookieCheck {
 public:
  CookieCheck(const Config& config, const Places& places, std::vector<Diagnostic>& out)
      : config_(config), places_(places), out_(out) {}

  void run() {
    for (std::size_t p = 0; p < config_.pools.size(); ++p) {
      const auto& affinity = config_.pools[p].affinity;
      for (std::size_t a = 0; a < affinity.size(); ++a) {
        if (affinity[a].kind != AffinityKind::cookie_insert) continue;
        inserted(affinity[a].insert, "pool[" + std::to_string(p) + "].affinity[" + std::to_string(a) + "]");
      }
    }
    if (config_.gateway && config_.gateway->session_cookie)
      session_cookie(*config_.gateway->session_cookie, "gateway.session_cookie");
  }

 private:
  void say(const std::string& path, std::string message, Severity severity = Severity::error) {
    Spot spot = places_.at(path);
    out_.push_back({config_.file, spot.place, std::move(spot.key), std::move(message), severity});
  }

  /// What browsers refuse (RFC 6265bis 5.6 and 4.1.3; measured with Chromium).
  template <typename Cookie>
  void attributes(const Cookie& it, const std::string& where) {
    if (it.same_site == SameSite::none && !it.secure) {
      say(where + ".same_site",
          "browsers refuse SameSite=None without Secure; write secure = true (https only), or same_site = "
          "\"lax\"");
    }
    if (it.partitioned && !it.secure) {
      say(where + ".partitioned",
          "browsers refuse Partitioned without Secure; write secure = true (https only)");
    }
    const bool host_prefix = it.name.starts_with("__Host-");
    if ((host_prefix || it.name.starts_with("__Secure-")) && !it.secure) {
      say(where + ".name",
          "browsers refuse a name that begins so without Secure; write secure = true (https only)");
    }
    if (host_prefix && (it.path != "/" || !it.domain.empty())) {
      say(where + ".name", "browsers refuse __Host- with another path than \"/\" or with a domain");
    }
  }

  /// Of one that is for pages of other sites: they send none whose SameSite is another.
  static constexpr const char* kNeedsNone =
      "Partitioned is for pages of other sites, which send no such cookie without SameSite=None; write "
      "same_site = \"none\"";

  void inserted(const CookieInsert& it, const std::string& where) {
    attributes(it, where);
    if (it.partitioned && it.secure && it.same_site != SameSite::none)
      say(where + ".partitioned", kNeedsNone, Severity::warning);  // such files are in use
    if (it.max_life != Duration(0) && it.max_idle > it.max_life) {
      say(places_.has(where + ".max_idle") ? where + ".max_idle" : where + ".max_life",
          "max_idle is longer than max_life, so it never decides", Severity::warning);
    }
  }

  void session_cookie(const SessionCookie& it, const std::string& where) {
    attributes(it, where);
    if (it.partitioned && it.secure && it.same_site != SameSite::none)
      say(where + ".partitioned", kNeedsNone);
  }

  const Config& config_;
  const Places& places_;
  std::vector<Diagnostic>& out_;
};

}  // namespace

void check_cookies(const Config& config, const Places& places, std::vector<Diagnostic>& out) {
  CookieCheck(config, places, out).run();
}

}  // namespace rejoin::config
