// What the owner of a socket has to say and the socket has not taken yet.
//
// Owned by a parked record: a link (apps/gateway), a game server's connection (src/upstream). One thread.
// Holds nothing while it is empty: what one turn says is gathered in a borrowed block and leaves in one call
// to the kernel; only what neither the socket nor the block takes is kept in memory of its own. It takes all
// that it is given: its owner stops the source at a high mark.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "io/network.h"

namespace rejoin::io {

/// 48 bytes. A socket that breaks in any of these calls is told of by flush() and error(); nothing more is
/// taken then.
class Outbox {
 public:
  /// Appends `head` and then `payload`. Copies what is small; of what is large the socket takes what it can,
  /// at once.
  void put(BufferPool& blocks, Socket& socket, Bytes head, Bytes payload = {});
  /// The same, and what the socket takes now is written now, all in one call and without a copy: for who says
  /// one thing in a turn.
  void send(BufferPool& blocks, Socket& socket, Bytes head, Bytes payload = {});
  /// Appends, and writes nothing: for a socket that is not open yet.
  void keep(BufferPool& blocks, Bytes bytes);

  /// Writes what the socket takes now. 0, or the errno of a broken connection.
  [[nodiscard]] int flush(Socket& socket);
  /// The same errno, without writing.
  int error() const { return errnum_; }

  /// Bytes that wait.
  std::size_t size() const { return block_.size() + (rest_ ? rest_->size() : 0); }
  bool empty() const { return size() == 0; }
  /// Appends them to `out`.
  void copy_to(std::string& out) const;

 private:
  struct Rest {
    std::string bytes;
    std::size_t sent = 0;
    std::size_t size() const { return bytes.size() - sent; }
  };
  void write_through(Socket& socket, Bytes& head, Bytes& payload);
  void sent(std::size_t count);

  Buffer block_;                // goes out before rest_; given back when empty
  std::unique_ptr<Rest> rest_;  // what came when the block was full
  int errnum_ = 0;
};
static_assert(sizeof(Outbox) <= 48);

}  // namespace rejoin::io
