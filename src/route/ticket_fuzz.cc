// Nothing that a client sends opens as a ticket, unless we sealed it; what we sealed opens as what it is; and
// nothing crashes.
//
// Input: any text, which is opened as it is, where only the corpus' own genuine ticket may open; and any
// plaintext, sealed with our key as another version of ours might, where exactly what seal_ticket() writes
// may open. It is read as a session's id in text, too.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/limits.h"
#include "route/ticket.h"

namespace {

using namespace rejoin;
using namespace rejoin::route;

constexpr UnixSeconds kNow = 1'800'000'000;

struct World {
  SeededRandom random{
      42};  // the same key and the same genuine text in every run, so that a corpus can hold it
  Seal seal{KeyRing(generate_key(random)), random};
  Ticket ticket{SessionId::make(random, 3), TicketKind::proof, kNow + 60, "g1"};
  std::string genuine = [this] {
    std::string out;
    seal_ticket(seal, ticket, out);
    return out;
  }();
};

void check_text(World& world, std::string_view text) {
  const OpenedTicket opened = open_ticket(world.seal, text, kNow);
  if (opened.ok() != (text == world.genuine)) std::abort();
  if (!(opened.ticket == (opened.ok() ? world.ticket : Ticket{}))) std::abort();

  const auto id = SessionId::parse(text);
  if (id && id->text() != text) std::abort();
}

void check_plaintext(World& world, std::string_view plaintext) {
  if (plaintext.size() > limits::kSealedPlainBytesMax) return;
  std::string text, again, plaintext_again;
  world.seal.seal(Purpose::ticket, {}, plaintext, text);
  const OpenedTicket opened = open_ticket(world.seal, text, kNow);
  if (opened.state == TicketState::unknown_key || opened.state == TicketState::forged) std::abort();
  const bool is_whole = opened.ok() || opened.state == TicketState::expired;
  if (!is_whole) return;
  seal_ticket(world.seal, opened.ticket, again);
  if (world.seal.open(Purpose::ticket, {}, again, plaintext_again) != Opened::ok) std::abort();
  if (plaintext_again != plaintext) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World* world = new World;  // one key schedule for all inputs; reachable, so no leak
  const std::string input(reinterpret_cast<const char*>(data), size);
  check_text(*world, input);
  check_plaintext(*world, input);
  return 0;
}
