#include "route/ticket.h"

#include <cassert>
#include <limits>

#include "base/limits.h"

namespace rejoin::route {
namespace {

constexpr std::size_t kIdBytes = 16;
constexpr std::size_t kKindAt = kIdBytes, kExpiryAt = kKindAt + 1, kOwnerAt = kExpiryAt + 8;

constexpr std::string_view kDigits = "0123456789abcdef";

bool is_owner(std::string_view name) { return !name.empty() && name.size() <= limits::kServerNameBytesMax; }

TicketState state_of(Opened opened) {
  switch (opened) {
    case Opened::ok: return TicketState::ok;
    case Opened::malformed: return TicketState::malformed;
    case Opened::unknown_key: return TicketState::unknown_key;
    case Opened::forged: return TicketState::forged;
  }
  return TicketState::malformed;
}

/// What was sealed with a key of ours may still be of a version that we do not know: of another kind, say.
std::optional<Ticket> parse_plaintext(std::string_view plaintext) {
  if (plaintext.size() <= kOwnerAt) return std::nullopt;
  Ticket ticket;
  std::memcpy(ticket.session.bytes.data(), plaintext.data(), kIdBytes);
  ticket.kind = static_cast<TicketKind>(plaintext[kKindAt]);
  if (ticket.kind != TicketKind::proof && ticket.kind != TicketKind::cookie) return std::nullopt;
  const std::uint64_t expiry = load_u64(plaintext.data() + kExpiryAt);
  if (expiry > static_cast<std::uint64_t>(std::numeric_limits<UnixSeconds>::max())) return std::nullopt;
  ticket.expiry = static_cast<UnixSeconds>(expiry);
  ticket.owner = plaintext.substr(kOwnerAt);
  if (!is_owner(ticket.owner)) return std::nullopt;
  return ticket;
}

}  // namespace

SessionId SessionId::make(Random& random, unsigned worker) {
  assert(worker <= std::numeric_limits<std::uint8_t>::max());
  SessionId id;
  random.fill(MutableBytes(reinterpret_cast<char*>(id.bytes.data()), id.bytes.size()));
  id.bytes[0] = static_cast<std::uint8_t>(worker);
  return id;
}

std::string SessionId::text() const {
  std::string out;
  out.reserve(2 * bytes.size());
  for (const std::uint8_t byte : bytes) {
    out.push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 15]);
  }
  return out;
}

std::optional<SessionId> SessionId::parse(std::string_view text) {
  SessionId id;
  if (text.size() != 2 * id.bytes.size()) return std::nullopt;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t digit = kDigits.find(text[i]);
    if (digit == kDigits.npos) return std::nullopt;
    id.bytes[i / 2] = static_cast<std::uint8_t>(id.bytes[i / 2] << 4 | digit);
  }
  return id;
}

std::string_view to_string(TicketState state) {
  switch (state) {
    case TicketState::ok: return "ok";
    case TicketState::malformed: return "malformed";
    case TicketState::unknown_key: return "unknown_key";
    case TicketState::forged: return "forged";
    case TicketState::expired: return "expired";
  }
  return "?";
}

void seal_ticket(Seal& seal, const Ticket& ticket, std::string& out) {
  assert(is_owner(ticket.owner));
  assert(ticket.expiry >= 0);
  char plaintext[kOwnerAt + limits::kServerNameBytesMax];
  std::memcpy(plaintext, ticket.session.bytes.data(), kIdBytes);
  plaintext[kKindAt] = static_cast<char>(ticket.kind);
  store_u64(plaintext + kExpiryAt, static_cast<std::uint64_t>(ticket.expiry));
  const std::size_t owner_bytes = ticket.owner.copy(plaintext + kOwnerAt, limits::kServerNameBytesMax);
  // Bound to nothing: every balancer and every gateway of an installation must be able to open it.
  seal.seal(Purpose::ticket, {}, {plaintext, kOwnerAt + owner_bytes}, out);
}

OpenedTicket open_ticket(Seal& seal, std::string_view text, UnixSeconds now) {
  OpenedTicket out;
  std::string plaintext;
  out.state = state_of(seal.open(Purpose::ticket, {}, text, plaintext));
  if (!out.ok()) return out;
  std::optional<Ticket> ticket = parse_plaintext(plaintext);
  if (!ticket) {
    out.state = TicketState::malformed;
    return out;
  }
  // Which end the skew is on does not matter: the owner's clock and ours differ by that much at the most.
  if (now - ticket->expiry > limits::kTicketSkewSeconds) out.state = TicketState::expired;
  out.ticket = std::move(*ticket);
  return out;
}

}  // namespace rejoin::route
