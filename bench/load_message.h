// The messages of the load generator: who said it, which one it is, when it was to be said, and a checksum
// over these, so that crossed, lost, doubled and changed bytes are seen without keeping anything of a message
// that is under way. Owner: none. Thread: any.
#pragma once

#include <cstdint>
#include <cstring>

namespace bench {

/// The first byte of a message tells the server what to do with it; load_message.h is all that clients and
/// servers of the benchmark agree on.
constexpr unsigned char message_echo = 'e';       // comes back to who said it
constexpr unsigned char message_broadcast = 'b';  // goes to everybody who is there

struct Stamp {
  unsigned char kind = message_echo;
  std::uint32_t link = 0;      // the slot of who said it
  std::uint32_t sequence = 0;  // of its messages, from 1 on
  std::uint64_t due_ns = 0;    // when it was to be said (CLOCK_MONOTONIC), which may be before it was
};

constexpr std::size_t stamp_bytes = 28;        // kind and 3 bytes of nothing, link, sequence, due, checksum
constexpr unsigned char message_filler = 'x';  // whatever is behind the stamp

inline std::uint64_t checksum_of(const Stamp& stamp) {
  std::uint64_t mixed = stamp.due_ns ^ (static_cast<std::uint64_t>(stamp.link) << 32 | stamp.sequence) ^
                        (static_cast<std::uint64_t>(stamp.kind) << 56);
  mixed *= 0x9e3779b97f4a7c15ull;
  return mixed ^ mixed >> 29;
}

inline void write_stamp(unsigned char* to, const Stamp& stamp) {
  const std::uint64_t sum = checksum_of(stamp);
  std::memset(to, 0, 4);
  to[0] = stamp.kind;
  std::memcpy(to + 4, &stamp.link, 4);
  std::memcpy(to + 8, &stamp.sequence, 4);
  std::memcpy(to + 12, &stamp.due_ns, 8);
  std::memcpy(to + 20, &sum, 8);
}

/// False when the checksum is wrong.
inline bool read_stamp(const unsigned char* from, Stamp& stamp) {
  std::uint64_t sum;
  stamp.kind = from[0];
  std::memcpy(&stamp.link, from + 4, 4);
  std::memcpy(&stamp.sequence, from + 8, 4);
  std::memcpy(&stamp.due_ns, from + 12, 8);
  std::memcpy(&sum, from + 20, 8);
  return sum == checksum_of(stamp);
}

/// Two letters from 'a' to 'p' for each byte: a stamp in a text message. `to` has room for 2 * size.
inline void spell(unsigned char* to, const unsigned char* from, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) {
    to[2 * i] = static_cast<unsigned char>('a' + (from[i] >> 4));
    to[2 * i + 1] = static_cast<unsigned char>('a' + (from[i] & 15));
  }
}
inline void unspell(unsigned char* to, const unsigned char* from, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i)
    to[i] = static_cast<unsigned char>((from[2 * i] - 'a') << 4 | ((from[2 * i + 1] - 'a') & 15));
}

}  // namespace bench
