// Where messages end in bytes that a socket has not taken yet, so that it can be said of each when all of it
// was taken.
//
// Place: beside an io::Outbox, in a game server's connection. A calculator; one thread. 24 bytes, and memory
// of its own (4 bytes a message) only while more than one message waits; the session's window bounds how
// many.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace rejoin::upstream {

class UnsentMessages {
 public:
  enum class Kind : std::uint8_t {
    message,
    other,  // what a protocol says for itself: a header before everything, a pong. Bytes that count for
            // nobody
  };

  /// So many bytes were queued behind all others. At least one, less than 2 GiB (asserted).
  void add(std::size_t bytes, Kind kind);
  /// `unsent` of the bytes still wait. How many messages are gone whole since the last call.
  std::size_t settle(std::size_t unsent);

  /// Messages of which a byte still waits. Counts by walking.
  std::size_t messages() const;

  /// What waits, for a connection that goes on in another process. restore() into an empty one; false: `from`
  /// is no such text.
  void save(std::string& out) const;
  bool restore(Bytes from);

 private:
  /// bytes << 1 | is a message; 0: none.
  using Entry = std::uint32_t;
  struct Rest {
    std::vector<Entry> entries;
    std::size_t first = 0;
  };
  static std::size_t bytes_of(Entry entry) { return entry >> 1; }
  void pop();

  std::uint64_t bytes_ = 0;     // of all entries, each counted whole
  std::unique_ptr<Rest> rest_;  // behind the front
  Entry front_ = 0;
};
static_assert(sizeof(UnsentMessages) == 24);

}  // namespace rejoin::upstream
