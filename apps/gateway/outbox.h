// What a link has to say and the client has not taken yet.
//
// Owned by a link; one thread. Holds nothing while it is empty: what one turn says is gathered in a borrowed
// block and leaves in one call to the kernel; only what neither the socket nor the block takes is kept in
// memory of its own. It takes all that it is given: its owner stops the source at a high mark (link.h).
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "io/network.h"

namespace rejoin::gateway {

class Outbox {
 public:
  /// Appends `head` and then `payload`. Copies what is small; of what is large the socket takes what it can,
  /// at once. A socket that breaks in this is told of by flush().
  void put(BufferPool& blocks, io::Socket& socket, Bytes head, Bytes payload = {});

  /// Writes what the socket takes now. 0, or the errno of a broken connection.
  [[nodiscard]] int flush(io::Socket& socket);

  /// Bytes that wait.
  std::size_t size() const { return block_.size() + (rest_ ? rest_->size() : 0); }
  bool empty() const { return size() == 0; }

 private:
  struct Rest {
    std::string bytes;
    std::size_t sent = 0;
    std::size_t size() const { return bytes.size() - sent; }
  };
  void keep(BufferPool& blocks, Bytes bytes);
  void sent(std::size_t count);

  Buffer block_;                // goes out before rest_; given back when empty
  std::unique_ptr<Rest> rest_;  // what came when the block was full
  int errnum_ = 0;
};

}  // namespace rejoin::gateway
