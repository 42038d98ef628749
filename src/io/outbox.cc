#include "io/outbox.h"

#include <algorithm>
#include <array>

namespace rejoin::io {

void Outbox::put(BufferPool& blocks, Socket& socket, Bytes head, Bytes payload) {
  if (errnum_ != 0) return;  // nobody will ever read it
  const std::size_t room = block_ ? block_.room() : blocks.block_bytes();
  if (!rest_ && head.size() + payload.size() > room && socket.may_write())
    write_through(socket, head, payload);
  keep(blocks, head);
  keep(blocks, payload);
}

void Outbox::send(BufferPool& blocks, Socket& socket, Bytes head, Bytes payload) {
  if (rest_) (void)flush(socket);
  if (errnum_ != 0) return;
  if (!rest_ && socket.may_write()) write_through(socket, head, payload);
  keep(blocks, head);
  keep(blocks, payload);
  if (block_.empty()) block_.release();
}

/// Writes the block and what comes behind it; `head` and `payload` are then what the socket did not take.
void Outbox::write_through(Socket& socket, Bytes& head, Bytes& payload) {
  const std::array<Bytes, 3> pieces{block_.view(), head, payload};
  const WriteResult written = socket.write(pieces);
  errnum_ = written.errnum;
  std::size_t taken = written.taken;
  const std::size_t from_block = std::min(taken, block_.size());
  block_.consume(from_block);
  taken -= from_block;
  const std::size_t from_head = std::min(taken, head.size());
  head.remove_prefix(from_head);
  payload.remove_prefix(taken - from_head);
}

void Outbox::keep(BufferPool& blocks, Bytes bytes) {
  if (bytes.empty()) return;
  if (!rest_) {
    if (!block_) block_ = blocks.borrow();
    if (block_.room() < bytes.size()) block_.compact();
    bytes.remove_prefix(block_.append(bytes));
    if (bytes.empty()) return;
    rest_ = std::make_unique<Rest>();
  }
  rest_->bytes += bytes;
}

int Outbox::flush(Socket& socket) {
  while (errnum_ == 0 && !empty() && socket.may_write()) {
    const Bytes rest = rest_ ? Bytes(rest_->bytes).substr(rest_->sent) : Bytes();
    const std::array<Bytes, 2> pieces{block_.view(), rest};
    const WriteResult written = socket.write(pieces);
    errnum_ = written.errnum;
    sent(written.taken);
  }
  if (block_.empty()) block_.release();
  return errnum_;
}

void Outbox::copy_to(std::string& out) const {
  out += block_.view();
  if (rest_) out += Bytes(rest_->bytes).substr(rest_->sent);
}

void Outbox::sent(std::size_t count) {
  const std::size_t from_block = std::min(count, block_.size());
  block_.consume(from_block);
  if (!rest_) return;
  rest_->sent += count - from_block;
  if (rest_->sent == rest_->bytes.size()) {
    rest_.reset();
  } else if (rest_->sent >
             rest_->bytes.size() / 2) {  // so that an outbox that is never quite empty does not grow
    rest_->bytes.erase(0, rest_->sent);
    rest_->sent = 0;
  }
}

}  // namespace rejoin::io
