// A client came to us with the ticket of another gateway: its connection is passed on to that one, byte for
// byte. The owner is found in the list of peers; without it the client is told to come again (4404).
#pragma once

#include <string>

#include "apps/gateway/link.h"
#include "base/task.h"
#include "io/stream.h"

namespace rejoin::gateway {

class Worker;

/// Stands in a request that was passed on, so that it is passed on once.
inline constexpr std::string_view kRelayedHeader = "Rejoin-Relayed";

/// A link whose opening frame was `frame`. With an unreachable owner it is told so. `watch` is null in its
/// link when that has ended meanwhile.
Task<void> relay_link_to_owner(Worker& worker, const LinkWatch& watch, std::string frame, std::string owner);

/// A request for a WebSocket that has not been answered: `head` as it came, with what came behind it. True:
/// the client's connection is gone from the Stream, relayed.
/// X-Forwarded-For says `client_address` then, for an owner that trusts us; so does a PROXY header where the
/// peer's entry asks for one. `pass`, the client's, goes along, and `notes` for the access log.
Task<bool> relay_request_to_owner(Worker& worker, io::Stream& client, Address client_address,
                                  std::string head, std::string behind, std::string owner,
                                  route::Admission::Pass& pass, std::unique_ptr<LinkNotes> notes);

}  // namespace rejoin::gateway
