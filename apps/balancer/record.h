// The end of a request, of a connection or of a tunnel, as operators see it: its numbers are added to the
// counts, and a record goes to the access log.
//
// Place on the path: last. Called once for each, on the worker's thread; nothing here waits.
#pragma once

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
