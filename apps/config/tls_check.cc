#include "apps/config/tls_check.h"

#include <algorithm>
#include <string>
#include <utility>

namespace rejoin::config {
namespace {

std::string numbered(std::string_view list, std::size_t index) {
  return std::string(list) + '[' + std::to_string(index) + ']';
}

class TlsCheck {
 public:
  TlsCheck(Config& config, const Places& places, std::vector<Diagnostic>& out)
      : config_(config), places_(places), out_(out) {}

  void run() {
    session_lifetime();
    for (std::size_t i = 0; i < config_.listeners.size(); ++i) {
      auto& it = config_.listeners[i].tls;
      if (!it) continue;
      listener_tls(*it, numbered("listener", i) + ".tls");
      if (!config_.listeners[i].sni.empty()) {
        say(numbered("listener", i) + ".sni",
            "is for TLS that is passed on as it is; with `tls` the connection ends here, and `rule` chooses "
            "by "
            "the host");
      }
      if (config_.listeners[i].redirect != RedirectAll::off) {
        say(numbered("listener", i) + ".redirect",
            "its clients speak TLS already, and would be redirected for ever; leave it out");
      }
    }
    for (std::size_t i = 0; config_.gateway && i < config_.gateway->listeners.size(); ++i) {
      auto& it = config_.gateway->listeners[i].tls;
      if (it) listener_tls(*it, numbered("gateway.listener", i) + ".tls");
    }
    if (config_.gateway && config_.gateway->upstream.kind != UpstreamKind::echo)
      upstream_tls(config_.gateway->upstream);
    for (std::size_t i = 0; config_.gateway && i < config_.gateway->peers.size(); ++i) {
      auto& it = config_.gateway->peers[i].tls;
      if (it) server_files(*it, numbered("gateway.peer", i) + ".tls");
    }
    for (std::size_t i = 0; i < config_.pools.size(); ++i) {
      server_tls(config_.pools[i], numbered("pool", i));
      insecure_cookies(config_.pools[i], numbered("pool", i));
    }
  }

 private:
  void say(const std::string& path, std::string message, Severity severity = Severity::error) {
    Spot spot = places_.at(path);
    out_.push_back({config_.file, spot.place, std::move(spot.key), std::move(message), severity});
  }
  void warn(const std::string& path, std::string message) {
    say(path, std::move(message), Severity::warning);
  }

  /// Ticket keys change by the second.
  void session_lifetime() {
    const Duration lifetime = config_.tls.session_lifetime;
    if (lifetime > Duration(0) && lifetime < 1s)
      say("tls.session_lifetime",
          R"(is less than a second; write "1s" or more, or "0s" if no session is to be resumed)");
  }

  /// A certificate without its key, or the other way round. False when it was said.
  bool both_files(const std::string& certificate, const std::string& key, const std::string& path) {
    if (!certificate.empty() && key.empty() && !places_.has(path + ".key"))
      say(path + ".certificate", R"(stands alone; write its key beside it: key = "play.key")");
    if (!key.empty() && certificate.empty() && !places_.has(path + ".certificate"))
      say(path + ".key", R"(stands alone; write what it belongs to: certificate = "play.pem")");
    return certificate.empty() == key.empty();
  }

  void listener_tls(ListenerTls& it, const std::string& path) {
    it.stands_at.place = places_.at(path).place;
    if (!both_files(it.certificate, it.key, path)) return;
    if (!it.certificate.empty()) it.certificates.insert(it.certificates.begin(), {it.certificate, it.key});
    if (it.certificates.empty() && !places_.has(path + ".certificates") &&
        !places_.has(path + ".certificate"))
      say(path, R"(has no certificate; write certificate = "play.pem", key = "play.key")");
    const bool asks = it.client_certificate != ClientCertificate::off;
    if (asks && it.client_ca.empty() && !places_.has(path + ".client_ca")) {
      say(path + ".client_certificate",
          R"(nothing says who may have signed clients' certificates; write client_ca = "guild-ca.pem")");
    }
    const std::string asked = path + ".client_certificate";
    if (asks || (places_.has(asked) && !places_.good(asked))) return;
    for (const auto& [key, file] :
         {std::pair(".client_ca", &it.client_ca), std::pair(".client_crl", &it.client_crl)}) {
      if (!file->empty())
        warn(path + key, R"(means nothing with client_certificate = "off": nobody is asked for one)");
    }
  }

  void upstream_tls(Upstream& it) {
    const std::string path = "gateway.upstream";
    if (!it.tls) return;
    if (it.pool.empty()) server_files(*it.tls, path + ".tls");
    if (it.kind == UpstreamKind::tcp && it.proxy_protocol != ProxyProtocol::off) {
      say(path + ".proxy_protocol",
          "cannot go with tls: a game server expects the PROXY header before its TLS, and it would stand "
          "inside");
    }
  }

  void server_files(ServerTls& it, const std::string& path) {
    it.stands_at.place = places_.at(path).place;
    both_files(it.certificate, it.key, path);
    for (const auto& [key, file] : {std::pair(".ca", &it.ca), std::pair(".crl", &it.crl)}) {
      if (!it.verify && !file->empty())
        warn(path + key, "means nothing with verify = false: whoever answers is believed");
    }
  }

  void server_tls(Pool& it, const std::string& path) {
    for (std::size_t i = 0; !it.tls && !places_.has(path + ".tls") && i < it.servers.size(); ++i) {
      // A probe of kind "tls" asks for it.
      if (it.servers[i].tls_name.empty() || it.health.kind == HealthKind::tls) continue;
      warn(numbered(path + ".server", i) + ".tls_name", "means nothing without `tls` in the pool");
    }
    if (it.tls) server_files(*it.tls, path + ".tls");
  }

  /// Cookies of a pool that is reached over TLS alone.
  void insecure_cookies(const Pool& pool, const std::string& path) {
    bool listened = false;
    for (const Listener& it : config_.listeners) {
      const bool leads_there =
          it.pool == pool.name || std::any_of(it.rules.begin(), it.rules.end(),
                                              [&](const Rule& rule) { return rule.pool == pool.name; });
      if (!leads_there) continue;
      if (!it.tls) return;
      listened = true;
    }
    for (std::size_t i = 0; listened && i < pool.affinity.size(); ++i) {
      if (pool.affinity[i].kind != AffinityKind::cookie_insert || pool.affinity[i].insert.secure) continue;
      const std::string rule = numbered(path + ".affinity", i);
      warn(places_.has(rule + ".secure") ? rule + ".secure" : rule + ".kind",
           "every listener of this pool has TLS: write secure = true, and browsers keep the cookie off plain "
           "http");
    }
  }

  Config& config_;
  const Places& places_;
  std::vector<Diagnostic>& out_;
};

}  // namespace

void check_tls(Config& config, const Places& places, std::vector<Diagnostic>& out) {
  TlsCheck(config, places, out).run();
}

}  // namespace rejoin::config
