// The ticket: what a client keeps so that it can find its session again. It is the routing key (any balancer
// with the keys reads the owner's name in it) and names the session to the owner.
//
// Sealed by route::Seal with Purpose::ticket (spec/resume.md, "Ticket"). Plaintext:
//   session id (16 bytes) | kind u8 | expiry u64 (unix seconds, big-endian) | owner's name (the rest)
//
// Place: made by a gateway, opened by balancers (affinity_ticket.cc) and by gateways. One thread per Seal.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "route/seal.h"

namespace rejoin::route {

/// Random, but for the first byte: the worker of the owner that has the session. Not a secret by itself.
struct SessionId {
  std::array<std::uint8_t, 16> bytes{};

  /// `worker` is below limits::kWorkersMax (asserted).
  static SessionId make(Random& random, unsigned worker);
  unsigned worker() const { return bytes[0]; }
  auto operator<=>(const SessionId&) const = default;
  /// 32 hex digits of lower case, and parse() takes nothing else: in logs, `rejoin ctl`, and the header that
  /// tells a game server.
  std::string text() const;
  static std::optional<SessionId> parse(std::string_view text);
};

/// How a ticket resumes its session. A session never changes kind.
enum class TicketKind : std::uint8_t {
  proof = 1,   // by an HMAC with the session's secret
  cookie = 2,  // for plain WebSocket clients: whoever has it may
};

struct Ticket {
  SessionId session;
  TicketKind kind = TicketKind::proof;
  UnixSeconds expiry = 0;
  std::string owner;  // a gateway's name
  bool operator==(const Ticket&) const = default;
};

enum class TicketState : std::uint8_t {
  ok,
  malformed,    // no ticket, or one of another version
  unknown_key,  // sealed by a key that we do not have
  forged,
  expired,  // by more than limits::kTicketSkewSeconds
};
std::string_view to_string(TicketState state);

struct OpenedTicket {
  TicketState state = TicketState::malformed;
  Ticket ticket;  // when ok, or expired
  bool ok() const { return state == TicketState::ok; }
};

/// Appends the ticket's text. `ticket.owner` has 1 to limits::kServerNameBytesMax bytes, and
/// `ticket.expiry` is not before 1970 (asserted).
void seal_ticket(Seal& seal, const Ticket& ticket, std::string& out);
/// Any text is allowed.
OpenedTicket open_ticket(Seal& seal, std::string_view text, UnixSeconds now);

}  // namespace rejoin::route
