// The end of a request, of a connection or of a tunnel, as operators see it: its numbers are added to the
// counts, and a record goes to the access log.
//
// Place on the path: last. Called once for each, on the worker's thread; nothing here waits.
#pragma once

#include <string>
#include <string_view>

#include "apps/balancer/ending.h"
#include "apps/balancer/visit.h"
#include "proto/http_head.h"
#include "route/router.h"

namespace rejoin::balancer {

/// A request is over, in visit.seen. `request`: nothing when no whole head was heard. `choice`: nothing when
/// no server was looked for. A connection on which nothing was said leaves no record.
void request_ended(Visit& visit, const proto::RequestHead* request, const route::Choice* choice);

/// A connection at layer 4 ends without having become a tunnel. `choice` means nothing when it ended in its
/// head.
void connection_ended(Visit& visit, const route::Choice& choice);

/// Why a connection was turned away before its first request, or, at layer 4, before a server was looked for.
struct Refused {
  Ending ending;
  std::string_view reason;  // a word: as the metrics call it, where they count it
  std::string detail = {};  // in words
};
/// Reasons that no metric of the edge has by that name.
inline constexpr std::string_view kLate = "late";
inline constexpr std::string_view kGone = "gone";  // the client went, or we stop
/// Leaves a line, of as many as there may be in a second; what it counts towards is its caller's.
void connection_refused(Visit& visit, const Refused& refused);
/// The same for one of which nothing but its peer is known yet.
void connection_refused(Worker& worker, const ListenerPlan& listener, const Address& peer,
                        const Refused& refused);

/// A tunnel has ended; its bytes are counted, and it is still there.
void tunnel_ended(Worker& worker, const Tunnel& tunnel, const Ending& ending);

/// "cookie-insert", as the configuration calls it.
std::string_view word_of(const route::AffinityRule& rule);
/// The same by its place among the kinds.
std::string_view affinity_word(std::size_t kind);
std::string_view word_of(route::Chosen chosen);

/// Of route::ServerState::name, "pool/server".
struct ServerName {
  std::string_view pool, server;
};
ServerName split_server_name(std::string_view name);

}  // namespace rejoin::balancer
