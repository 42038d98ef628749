// Answers of a balancer's admin port for people, and the status of either program. Pure; show.h has the
// gateway's.
#pragma once

#include <string>

#include "watch/json.h"

namespace rejoin::ctl {

/// Of GET /, of a balancer or of a gateway.
std::string status_text(const watch::Json& answer);
/// Of GET /pools: one line a pool.
std::string pools_text(const watch::Json& answer);
/// Of GET /pools/NAME: how its servers were found, and one line a server.
std::string pool_text(const watch::Json& answer);
/// Of the list in GET /servers: one line a server.
std::string servers_text(const watch::Json& list);
/// Of GET /listeners: one line a listener.
std::string listeners_text(const watch::Json& answer);
/// Of GET /connections: one line a tunnel, and how the next page is asked for.
std::string connections_text(const watch::Json& answer);
/// Of what was said of a server: how it stands now.
std::string server_text(const watch::Json& answer);
/// Of POST /reload: what changed.
std::string reload_text(const watch::Json& answer);
/// Of DELETE /connections/ID: whom it met.
std::string connection_ended_text(const watch::Json& answer);

}  // namespace rejoin::ctl
