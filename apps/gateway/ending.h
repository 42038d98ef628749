// How links and sessions end, in the words of the access log; docs/access-log.md explains each.
//
// Pure.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace rejoin::gateway {

/// How a link ended, for the log and the counters.
enum class LinkEnd : std::uint8_t {
  finished,   // by the client's wish: close frame, or FIN between two messages
  refused,    // the client broke a rule of its protocol and was told so
  dismissed,  // by ours: another link has the session, the session ended, or we drain
  abandoned,  // FIN in the middle of something
  broken,     // reset, or a write failed
  stalled,    // the client took nothing for limits::kLinkStallS
  silent,     // nothing was heard for too long
  cancelled,  // we stopped
  moved,      // another worker or gateway has its connection
};
std::string_view to_string(LinkEnd end);
Side side_of(LinkEnd end);

/// Why a session ended.
enum class EndCause : std::uint8_t {
  closed,      // its client said CLOSE
  link_ended,  // its link ended, and nobody could have come back for it
  game_over,   // its game server ended the connection as it should
  game_lost,   // its game server cannot be reached, broke off, or said what cannot be
  over_limit,  // more was to be kept for its client than may be
  expired,     // nobody came back
  unanswered,  // its client never answered WELCOME
  by_operator,
  stopped,  // we end, or it could not go to the next process
};
std::string_view to_string(EndCause cause);
Side side_of(EndCause cause);

/// What a link is told with a code of the resume protocol, as a word; "transport" for the codes of WebSocket
/// alone, nothing for 0.
std::string_view code_word(std::uint16_t code);

}  // namespace rejoin::gateway
