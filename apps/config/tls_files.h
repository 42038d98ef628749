// The TLS of a configuration, made from the PEM files that it names.
//
// Place: called at start before anything listens, and again when files may have changed (SIGHUP), on the
// thread that asks. Blocks. Keys never appear in a diagnostic.
#pragma once

#include <memory>
#include <vector>

#include "apps/config/config.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "io/tls_context.h"
#include "io/tls_ticket_keys.h"
#include "route/key_ring.h"

namespace rejoin::config {

/// Whoever asks for it reads it with each connection; a reload changes it. nullptr: no TLS.
using TlsInUse = std::shared_ptr<io::TlsContextInUse>;

/// Who serves what. Each list has the length and the order of the configuration's; nullptr: no TLS.
struct TlsContexts {
  using Context = std::shared_ptr<const io::TlsContext>;
  std::vector<Context> listeners;
  std::vector<Context> gateway_listeners;
  std::vector<Context> pools;
  std::vector<Context> probes;   // of pools: as theirs; and of those that are only asked for a handshake
  std::vector<Context> peers{};  // of the gateway
  Context upstream;              // of the gateway's game servers
  Context upstream_probes;
};

struct TlsReading {
  TlsContexts contexts;  // fit for use only if ok()
  /// Errors: a file that cannot be read or used; the path and the reason. Warnings: a certificate that has
  /// expired, will soon, or is not good yet; a key that everybody can read.
  std::vector<Diagnostic> diagnostics;
  bool ok() const { return !has_errors(diagnostics); }
};

/// What seals session tickets, for all listeners of the process and over all readings. nullptr: none is to be
/// resumed. `random` must be fit for secrets.
std::shared_ptr<io::TlsTicketKeys> make_ticket_keys(const Tls& rules, const route::KeyRing& ring,
                                                    Random& random);

/// Reads every file. `now`: for warnings.
TlsReading load_tls(const Config& config, const std::shared_ptr<io::TlsTicketKeys>& tickets, UnixSeconds now);

/// What a reading at SIGHUP came to, for the log.
void say_reading(const TlsReading& reading, Log& log);

/// A context that waits to be filled by use(); nullptr where there is no TLS.
template <typename Rules>
TlsInUse tls_in_use(const std::optional<Rules>& rules) {
  return rules ? std::make_shared<io::TlsContextInUse>(nullptr) : nullptr;
}
/// For connections that begin from now on, on every thread. Those that are open keep what they have.
inline void use(const TlsInUse& in_use, const TlsContexts::Context& context) {
  if (in_use && context) in_use->put(context);
}

}  // namespace rejoin::config
