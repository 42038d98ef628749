// Where a reader of messages stands in its stream, as text for the same reader in another process: the part
// of GameConnection::leave() and Connector::adopt() that TCP and WebSocket have in common.
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/pack.h"
#include "proto/ws_message.h"

namespace rejoin::upstream {

/// Appends it to `out`.
template <typename Reader>
void save_reading(const Reader& reader, const proto::MessageAssembler& assembler, std::string& out) {
  Packer pack(out);
  std::string part;
  reader.save(part);
  pack.bytes(part);
  pack.flag(assembler.begun());
  pack.bytes(assembler.held());
}

/// False: `from` is no such text, and nothing changed.
template <typename Reader>
bool restore_reading(Bytes from, Reader& reader, proto::MessageAssembler& assembler) {
  Unpacker in(from);
  const Bytes reading = in.bytes();
  const bool begun = in.flag();
  const Bytes held = in.bytes();
  if (!in.done() || !reader.restore(reading)) return false;
  if (begun) assembler.restore(held);
  return true;
}

}  // namespace rejoin::upstream
