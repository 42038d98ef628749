// How a request, a connection or a tunnel ended: how, by whose doing, and in which phase. Three words in the
// access log, two labels in the metrics; docs/access-log.md explains every combination that there is.
//
// Pure.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "upstream/relay.h"

namespace rejoin::balancer {

enum class EndHow : std::uint8_t {
  done,         // all was said: an answer is out whole, a tunnel was ended by a FIN
  closed,       // a FIN where more was to come
  reset,        // the connection broke
  timeout,      // silent for too long
  bad_input,    // said what its protocol forbids
  limit,        // said more than a limit allows
  unsupported,  // well-formed, and not done here
  refused,      // no server took the client
  come_again,   // the client's server is away: told to come again
  exhausted,    // we had no descriptor, no memory, no room
  stopped,      // we are ending, or draining
  by_operator,  // somebody asked for it on the admin port
  server_down,  // its server went down, and `on_down` says that its connections end
};
inline constexpr std::size_t kEndHows = 13;
std::string_view to_string(EndHow how);

enum class EndPhase : std::uint8_t {
  gate,      // it was not let in (serve/gate.h)
  proxy,     // waiting for the PROXY header of the proxy in front
  hello,     // waiting for the ClientHello by which a pool is chosen
  tls,       // the TLS handshake
  head,      // waiting for the request's head, or for the first frame at layer 4
  queue,     // waiting for a server
  connect,   // to a server
  upload,    // the body of the request is under way
  response,  // waiting for the head of the response
  download,  // the body of the response is under way
  tunnel,    // bytes go both ways
};
std::string_view to_string(EndPhase phase);

struct Ending {
  Side side = Side::ours;
  EndHow how = EndHow::done;
  EndPhase phase = EndPhase::download;
};
/// What an Error of a connection in `phase` means.
Ending ending_of(const Error& error, EndPhase phase);
/// The same of a tunnel that has ended. A cancelled one: stopped.
Ending ending_of(const upstream::RelayEnd& end);
/// Of a head that was refused with this status.
Ending ending_of_head(int status);

}  // namespace rejoin::balancer
