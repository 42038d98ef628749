// What happens to a client's connection before its first byte: the PROXY header of the proxy in front, if the
// listener takes one, and whether the client whom it names may come in.
//
// Place on the path: between the accept and serve_client.cc's two lives. One worker's thread.
#pragma once

#include "apps/balancer/visit.h"
#include "base/task.h"

namespace rejoin::balancer {

/// A connection is here from `peer`: may it come in? Asked before anything is done for it; if not, it was
/// reset, counted and told. What it says of `entry` goes to the Visit.
bool knock(Worker& worker, const ListenerPlan& listener, io::Socket& socket, const Address& peer,
           Entry& entry);

/// Where the peer is a proxy: hears its header, after which visit.address is the client. False: the
/// connection is over.
Task<bool> greet(Visit& visit);

/// Before the first bytes to a server that wants to be told who the client is: the PROXY header. Errors have
/// Side::server.
Task<Status> introduce(Visit& visit, io::Stream& server, TimePoint deadline);

}  // namespace rejoin::balancer
