// The end of a link, of a session, or of a connection that became no link, as operators see it: a line in the
// access log, where there is one.
//
// Place on the path: last. Called once for each, on the worker's thread; nothing here waits, or counts.
#pragma once

#include <string>
#include <string_view>

#include "apps/config/config.h"
#include "apps/gateway/caller.h"
#include "apps/gateway/ending.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "upstream/relay.h"

namespace rejoin::gateway {

class Link;
class LiveSession;
struct OwnerRelay;
class Worker;

/// The link has ended, and is still there.
void record_link(Worker& worker, const Link& link, LinkEnd how);
/// The same of a link whose session is another gateway's.
void record_relay(Worker& worker, const OwnerRelay& relay, const upstream::RelayEnd& end);
/// The session has ended, and is still there. `code` and `reason` are what its client is told.
void record_session(Worker& worker, const LiveSession& session, std::uint16_t code, Bytes reason,
                    EndCause cause);

/// Why a connection did not become a link.
struct Refused {
  TimePoint began{};        // when it was accepted
  Side by = Side::client;   // whose doing it was
  std::string_view phase;   // gate, proxy, tls or head
  std::string_view reason;  // a word
  std::string detail;       // in words
  int status = 0;           // that it was answered with
};
/// Leaves a line, of as many as there may be in a second (watch/access_log.h).
void record_refused(Worker& worker, const Caller& caller, const config::GatewayListener& listener,
                    const Refused& refused);

}  // namespace rejoin::gateway
