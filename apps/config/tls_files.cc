#include "apps/config/tls_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>

#include "io/tls_certificates.h"

namespace rejoin::config {
namespace {

constexpr std::size_t kPemBytesMax = 1024 * 1024;       // a bundle of all public authorities has 200 KiB
constexpr std::size_t kCrlBytesMax = 16 * 1024 * 1024;  // some 50 bytes for each certificate that is in it
constexpr std::int64_t kExpiresSoonDays = 14;
constexpr std::int64_t kDayS = 24 * 3600;

void wipe(std::string& secret) { ::explicit_bzero(secret.data(), secret.size()); }

/// 0 with the text in `out`, or an errno. `mode`: of the file.
int read_file(const std::string& path, std::string& out, mode_t& mode, std::size_t bytes_max) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a FIFO must not hang us
  if (file < 0) return errno;
  struct stat status {};
  int failure = ::fstat(file, &status) == 0 ? 0 : errno;
  if (failure == 0 && S_ISDIR(status.st_mode)) failure = EISDIR;
  mode = status.st_mode;
  out.assign(failure == 0 ? bytes_max + 1 : 0, '\0');
  std::size_t filled = 0;
  while (failure == 0 && filled < out.size()) {
    const ssize_t got = ::read(file, out.data() + filled, out.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) failure = errno;
    if (got <= 0) break;
    filled += static_cast<std::size_t>(got);
  }
  ::close(file);
  if (failure == 0 && filled > bytes_max) failure = EFBIG;
  out.resize(failure == 0 ? filled : 0);
  return failure;
}

std::string date(UnixSeconds when) {
  std::tm parts{};
  char text[32];
  const std::time_t time = when;
  gmtime_r(&time, &parts);
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts);
  return text;
}

io::TlsVersion version(TlsVersion from) {
  return from == TlsVersion::v1_3 ? io::TlsVersion::v1_3 : io::TlsVersion::v1_2;
}

class Loader {
 public:
  Loader(const Config& config, std::shared_ptr<io::TlsTicketKeys> tickets, UnixSeconds now)
      : config_(config), tickets_(std::move(tickets)), now_(now) {}

  TlsReading load() {
    for (const Listener& it : config_.listeners) {
      const bool http = it.mode == Mode::http;
      out_.contexts.listeners.push_back(it.tls ? server(*it.tls, "listener.tls", it.name, http) : nullptr);
    }
    if (config_.gateway) {
      for (const GatewayListener& it : config_.gateway->listeners) {
        const bool http = it.kind == GatewayListenerKind::websocket;
        out_.contexts.gateway_listeners.push_back(
            it.tls ? server(*it.tls, "gateway.listener.tls", it.name, http) : nullptr);
      }
      for (const PeerGateway& it : config_.gateway->peers) {
        out_.contexts.peers.push_back(it.tls ? client(*it.tls, "gateway.peer.tls", "peer " + it.name + ": ")
                                             : nullptr);
      }
    }
    for (const Pool& it : config_.pools) {
      out_.contexts.pools.push_back(it.tls ? client(*it.tls, "pool.tls", "pool " + it.name + ": ") : nullptr);
      const bool only_probed = !it.tls && it.health.kind == HealthKind::tls;
      out_.contexts.probes.push_back(only_probed ? any_server() : out_.contexts.pools.back());
    }
    if (config_.gateway) upstream(config_.gateway->upstream);
    return std::move(out_);
  }

 private:
  void upstream(const Upstream& rules) {
    if (rules.kind == UpstreamKind::echo) return;
    const Pool* const pool = config_.find_pool(rules.pool);
    if (pool != nullptr) {
      const auto at = static_cast<std::size_t>(pool - config_.pools.data());
      out_.contexts.upstream = out_.contexts.pools[at];
      out_.contexts.upstream_probes = out_.contexts.probes[at];
    } else if (rules.tls) {
      out_.contexts.upstream = client(*rules.tls, "gateway.upstream.tls", "upstream: ");
    }
  }

  void say(std::string_view key, std::string message, Severity severity = Severity::error) {
    out_.diagnostics.push_back(
        {config_.file, place_, where_ + "." + std::string(key), std::move(message), severity});
  }

  /// The text of a file; nothing: said.
  std::optional<std::string> text(std::string_view key, const std::string& written, bool secret = false,
                                  std::size_t bytes_max = kPemBytesMax) {
    const std::string path = config_.resolve(written);
    std::string out;
    mode_t mode = 0;
    const int failure = read_file(path, out, mode, bytes_max);
    if (failure != 0) {
      say(key, path + " cannot be read: " + std::strerror(failure));
      return std::nullopt;
    }
    if (secret && (mode & S_IROTH) != 0)
      say(key, path + " can be read by everybody: chmod o-r " + path, Severity::warning);
    return out;
  }

  void look_at(const std::string& key, const std::string& path, const std::string& chain_pem, bool serves) {
    const auto facts = io::certificate_facts(chain_pem);
    if (!facts) return;  // it is refused, and said
    if (facts->not_after < now_) {
      say(key,
          path + " has expired on " + date(facts->not_after) + " (" + facts->subject + "): it is refused",
          Severity::warning);
    } else if (facts->not_before > now_) {
      say(key, path + " is not good before " + date(facts->not_before) + " (" + facts->subject + ")",
          Severity::warning);
    } else if (facts->not_after < now_ + kExpiresSoonDays * kDayS) {
      say(key, path + " expires on " + date(facts->not_after) + " (" + facts->subject + ")",
          Severity::warning);
    }
    if (serves && facts->names.empty() && !facts->has_ip)
      say(key, path + " is for no name (subjectAltName): who verifies it refuses it", Severity::warning);
  }

  /// Both files of an identity; nothing: said.
  std::optional<io::TlsIdentity> identity(const std::string& certificate, const std::string& key,
                                          const std::string& at, bool serves) {
    std::optional<std::string> chain = text(at + "certificate", certificate);
    std::optional<std::string> secret = text(at + "key", key, true);
    if (!chain || !secret) return std::nullopt;
    look_at(at + "certificate", config_.resolve(certificate), *chain, serves);
    return io::TlsIdentity{std::move(*chain), std::move(*secret)};
  }

  /// The text of a file of CRLs; empty where none is named; nothing: said. Of one that is too old everybody
  /// is refused.
  std::optional<std::string> revocations(std::string_view key, const std::string& written) {
    if (written.empty()) return std::string();
    std::optional<std::string> pem = text(key, written, false, kCrlBytesMax);
    if (!pem) return std::nullopt;
    const auto lists = io::revocations_facts(*pem);
    for (std::size_t i = 0; lists && i < lists->size(); ++i) {
      const io::RevocationsFacts& facts = (*lists)[i];
      if (facts.next_update == 0 || facts.next_update > now_) continue;
      say(key,
          config_.resolve(written) + ": the list of " + facts.issuer + " was to be renewed by " +
              date(facts.next_update) + ": whoever is signed by it is refused",
          Severity::warning);
    }
    return pem;
  }

  TlsContexts::Context server(const ListenerTls& rules, std::string_view what, const std::string& name,
                              bool http) {
    where_ = what;
    place_ = rules.stands_at.place;
    io::TlsServerOptions options;
    bool whole = true;
    for (std::size_t i = 0; i < rules.certificates.size(); ++i) {
      const bool alone = i == 0 && !rules.certificate.empty();
      const std::size_t number = i - (rules.certificate.empty() ? 0 : 1);
      const std::string at = alone ? "" : "certificates[" + std::to_string(number) + "].";
      auto read = identity(rules.certificates[i].certificate, rules.certificates[i].key, at, true);
      whole &= read.has_value();
      if (!read) continue;
      // Each by itself, so that what is wrong is said of its files.
      const auto good =
          io::TlsContext::make(io::TlsServerOptions{.chain_pem = read->chain_pem, .key_pem = read->key_pem});
      if (!good) {
        say(at + "certificate", "listener " + name + ": " +
                                    config_.resolve(rules.certificates[i].certificate) + " and " +
                                    config_.resolve(rules.certificates[i].key) + ": " + good.error().detail);
        whole = false;
      }
      if (i == 0) {
        options.chain_pem = std::move(read->chain_pem);
        options.key_pem = std::move(read->key_pem);
      } else {
        options.more.push_back(std::move(*read));
      }
    }
    if (rules.client_certificate != ClientCertificate::off) {
      std::optional<std::string> ca = text("client_ca", rules.client_ca);
      whole &= ca.has_value();
      if (ca) options.client_ca_pem = std::move(*ca);
      std::optional<std::string> crl = revocations("client_crl", rules.client_crl);
      whole &= crl.has_value();
      if (crl) options.client_crl_pem = std::move(*crl);
    }
    if (http) options.alpn = {"http/1.1"};
    if (rules.strict_sni) options.unknown_name = io::TlsServerOptions::UnknownName::is_refused;
    options.client_certificates = static_cast<io::ClientCertificates>(rules.client_certificate);
    options.version_min = version(rules.min_version);
    options.tickets = tickets_;
    options.no_tickets = tickets_ == nullptr;
    TlsContexts::Context made;
    if (whole) made = taken(io::TlsContext::make(options), "listener " + name + ": ");
    wipe(options.key_pem);
    for (io::TlsIdentity& it : options.more) wipe(it.key_pem);
    return made;
  }

  TlsContexts::Context client(const ServerTls& rules, std::string_view what, const std::string& whose) {
    where_ = what;
    place_ = rules.stands_at.place;
    io::TlsClientOptions options;
    if (!rules.ca.empty() && rules.verify) {
      std::optional<std::string> ca = text("ca", rules.ca);
      if (!ca) return nullptr;
      options.ca_pem = std::move(*ca);
    }
    if (rules.verify) {
      std::optional<std::string> crl = revocations("crl", rules.crl);
      if (!crl) return nullptr;
      options.crl_pem = std::move(*crl);
    }
    if (!rules.certificate.empty()) {
      auto read = identity(rules.certificate, rules.key, "", false);
      if (!read) return nullptr;
      options.identity = std::move(*read);
    }
    using Verify = io::TlsClientOptions::Verify;
    options.verify = rules.verify ? Verify::yes : Verify::no;
    options.version_min = version(rules.min_version);
    TlsContexts::Context made = taken(io::TlsContext::make(options), whose);
    wipe(options.identity.key_pem);
    return made;
  }

  /// For a handshake that only shows that somebody speaks TLS.
  TlsContexts::Context any_server() {
    io::TlsClientOptions options;
    options.verify = io::TlsClientOptions::Verify::no;
    return taken(io::TlsContext::make(options), {});
  }

  TlsContexts::Context taken(Result<TlsContexts::Context> made, const std::string& whose) {
    if (made) return std::move(*made);
    out_.diagnostics.push_back({config_.file, place_, where_, whose + made.error().detail});
    return nullptr;
  }

  const Config& config_;
  const std::shared_ptr<io::TlsTicketKeys> tickets_;
  const UnixSeconds now_;
  TlsReading out_;
  std::string where_;
  Place place_;
};

}  // namespace

std::shared_ptr<io::TlsTicketKeys> make_ticket_keys(const Tls& rules, const route::KeyRing& ring,
                                                    Random& random) {
  if (rules.session_lifetime < 1s) return nullptr;
  std::vector<io::TlsTicketKeys::Secret> fleet;
  for (const route::Key& key : ring.keys()) {
    std::copy(key.bytes().begin(), key.bytes().end(), fleet.emplace_back().bytes.begin());
  }
  io::TlsTicketKeys::Secret process;
  random.fill({reinterpret_cast<char*>(process.bytes.data()), process.bytes.size()});
  return std::make_shared<io::TlsTicketKeys>(std::move(fleet), process, rules.session_lifetime);
}

void say_reading(const TlsReading& reading, Log& log) {
  for (const Diagnostic& it : reading.diagnostics)
    log.write(it.severity == Severity::error ? LogLevel::error : LogLevel::warn, it.text());
  std::size_t count = 0;
  for (const auto* list : {&reading.contexts.listeners, &reading.contexts.gateway_listeners})
    count += static_cast<std::size_t>(
        std::count_if(list->begin(), list->end(), [](const auto& it) { return it != nullptr; }));
  if (reading.ok()) {
    log.info("certificates were read again, for " + std::to_string(count) +
             (count == 1 ? " listener" : " listeners"));
  } else {
    log.error("certificates were not changed: those of before are in use");
  }
}

TlsReading load_tls(const Config& config, const std::shared_ptr<io::TlsTicketKeys>& tickets,
                    UnixSeconds now) {
  return Loader(config, tickets, now).load();
}

}  // namespace rejoin::config
