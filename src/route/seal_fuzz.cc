// Nothing that a client sends opens, unless we sealed it; and nothing crashes.
//
// Input: any text. It is opened as it is, where only the corpus' own genuine text may open; and it is used as
// a recipe to change a genuine text (bytes of the input replace, remove, insert and repeat), where only the
// unchanged one may.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "route/seal.h"

namespace {

using namespace rejoin;
using namespace rejoin::route;

constexpr std::string_view kBound{"pool\0SRV", 8};
constexpr std::string_view kPlaintext{"\x6a\x00\x00\x00\x6a\x00\x00\x00g1", 10};

struct World {
  SeededRandom random{
      42};  // the same key and the same genuine text in every run, so that a corpus can hold it
  Seal seal{KeyRing(generate_key(random)), random};
  std::string genuine = [this] {
    std::string out;
    seal.seal(Purpose::cookie, kBound, kPlaintext, out);
    return out;
  }();
};

/// Aborts unless `text` opens exactly when it is the genuine one.
void check(World& world, const std::string& text) {
  std::string plaintext = "left over";
  const Opened opened = world.seal.open(Purpose::cookie, kBound, text, plaintext);
  if ((opened == Opened::ok) != (text == world.genuine)) std::abort();
  if (opened == Opened::ok ? plaintext != kPlaintext : !plaintext.empty()) std::abort();
  if (world.seal.open(Purpose::ticket, kBound, text, plaintext) == Opened::ok) std::abort();
}

std::string changed(const std::string& genuine, const std::uint8_t* recipe, std::size_t size) {
  std::string text = genuine;
  for (std::size_t i = 0; i + 2 < size && text.size() < 4096; i += 3) {
    if (text.empty()) break;
    const std::size_t at = recipe[i + 1] % text.size();
    const auto byte = static_cast<char>(recipe[i + 2]);
    switch (recipe[i] % 5) {
      case 0: text[at] = byte; break;
      case 1: text.erase(at, 1 + recipe[i + 2] % 4); break;
      case 2: text.insert(at, 1, byte); break;
      case 3: text.append(text, at, recipe[i + 2]); break;
      case 4: text[at] = static_cast<char>(text[at] ^ (1 << (recipe[i + 2] % 8))); break;
    }
  }
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World* world = new World;  // one key schedule for all inputs; reachable, so no leak
  check(*world, std::string(reinterpret_cast<const char*>(data), size));
  check(*world, changed(world->genuine, data, size));
  return 0;
}
