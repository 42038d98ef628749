#include "apps/config/edge_check.h"

#include <grp.h>
#include <pwd.h>

#include <map>
#include <string>

namespace rejoin::config {
namespace {

class EdgeCheck {
 public:
  EdgeCheck(const Config& config, const Places& places, std::vector<Diagnostic>& out)
      : config_(config), places_(places), out_(out) {}

  void run() {
    for (std::size_t i = 0; i < config_.listeners.size(); ++i)
      listener(config_.listeners[i], "listener[" + std::to_string(i) + ']');
    if (config_.gateway) {
      const Gateway& gateway = *config_.gateway;
      for (std::size_t i = 0; i < gateway.listeners.size(); ++i) {
        const std::string path = "gateway.listener[" + std::to_string(i) + ']';
        edge(gateway.listeners[i].edge, path, gateway.trusted_proxies, "trusted_proxies");
        if (gateway.listeners[i].edge.proxy_protocol == ProxyIn::accept &&
            gateway.listeners[i].protocol == LinkProtocol::plain &&
            gateway.listeners[i].kind == GatewayListenerKind::tcp) {
          warn(
              path + ".proxy_protocol",
              "`accept` waits for the first byte to see whether it is a PROXY header, so a game whose server "
              "speaks first waits, too; write \"require\"");
        }
      }
    }
    process(config_.process);
    if (config_.balancer.drain.code == 1004 || config_.balancer.drain.code == 1005 ||
        config_.balancer.drain.code == 1006 ||
        (config_.balancer.drain.code > 1014 && config_.balancer.drain.code < 3000)) {
      say("balancer.drain.code", "is no code that a close frame may bear; write 1012, or 1001");
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

  void edge(const Edge& it, const std::string& path, const std::vector<std::string>& trusted,
            const std::string& trusted_key) {
    if (it.proxy_protocol == ProxyIn::off || !trusted.empty()) return;
    say(path + ".proxy_protocol",
        "needs to know whose headers are believed: write " + trusted_key + " = [\"10.0.0.0/8\"]");
  }

  void listener(const Listener& it, const std::string& path) {
    edge(it.edge, path, it.trusted, "trusted");
    if (it.edge.proxy_protocol == ProxyIn::off && places_.has(path + ".trusted"))
      warn(path + ".trusted", "means nothing while proxy_protocol is \"off\"");
    if (it.mode == Mode::tcp && places_.has(path + ".websocket"))
      say(path + ".websocket", "needs mode = \"http\": layer 4 does not know what it passes on");
    if (it.mode == Mode::http && places_.has(path + ".sni"))
      say(path + ".sni", "needs mode = \"tcp\": layer 7 reads requests, and not what is inside of TLS");
    std::map<std::string, std::string> names;
    for (std::size_t i = 0; i < it.sni.size(); ++i) {
      const std::string at = path + ".sni[" + std::to_string(i) + "].name";
      if (!it.sni[i].name.empty() && !names.emplace(lower(it.sni[i].name), at).second)
        say(at, "stands twice in the list");
    }
    const WebSocketCare& care = it.websocket;
    if (care.ping != Duration(0) && it.tunnel_timeout < care.ping)
      warn(path + ".websocket.ping", "is longer than tunnel_timeout, so it never comes to a ping");
    if (care.message_max != 0 && care.frame_max > care.message_max)
      warn(path + ".websocket.frame_max", "is more than message_max, so it never decides");
  }

  static std::string lower(std::string text) {
    for (char& c : text) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return text;
  }

  // Whether they exist here, where the file is read: it may be written for another machine, so no error.
  void process(const Process& it) {
    if (it.user.empty() && !it.group.empty())
      say("process.group", "needs a user as well: write user = \"rejoin\"");
    if (!it.user.empty() && getpwnam(it.user.c_str()) == nullptr)
      warn("process.user", "there is no such user on this machine");
    if (!it.group.empty() && getgrnam(it.group.c_str()) == nullptr)
      warn("process.group", "there is no such group on this machine");
  }

  const Config& config_;
  const Places& places_;
  std::vector<Diagnostic>& out_;
};

}  // namespace

void check_edges(const Config& config, const Places& places, std::vector<Diagnostic>& out) {
  EdgeCheck(config, places, out).run();
}

}  // namespace rejoin::config
