// A PROXY header at the beginning of a connection: heard from a proxy in front, said to a server behind.
//
// Place on the path: behind the accept and before everything else, TLS included; and behind the connect. Used
// by the balancer's listeners and pools, the gateway's listeners and peers. One worker's thread.
#pragma once

#include "apps/config/config.h"
#include "apps/serve/client_facts.h"
#include "base/address.h"
#include "base/result.h"
#include "base/task.h"
#include "io/stream.h"
#include "proto/proxy_header.h"

namespace rejoin::serve {

/// Reads the header, which the peer must send (`require`) or may. `client` becomes whom it names, and stays
/// the peer where it names nobody (a health check, UNKNOWN, no header); `facts` gets the rest. What came
/// behind the header stays in `arrived`, which holds no block while nothing has come. All arguments outlive
/// the task. Errors: bad_input (what came is no header), closed, reset, timed_out at `deadline`, cancelled.
Task<Status> hear_proxy(io::World& world, io::Stream& from, Buffer& arrived, config::ProxyIn rule,
                        TimePoint deadline, Address& client, ClientFacts& facts);

/// The header for a server, of `client`, who reached us at `dialled`. Version 2 also tells what `facts` know:
/// the unique id, the authority, ALPN and TLS, for as long as they fit. `kind` is not `off`.
proto::ProxyHeader proxy_header_for(config::ProxyProtocol kind, const Address& client, const Address& dialled,
                                    const ClientFacts& facts);

/// A name for a connection that has none yet: 128 random bits in hex.
std::string make_unique_id(Random& random);

}  // namespace rejoin::serve
