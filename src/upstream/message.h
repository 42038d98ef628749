// A whole message, as sessions and game servers exchange it.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace rejoin::upstream {

/// Text is UTF-8 and checked before it comes here. Transports without the distinction (length-framed TCP)
/// speak `binary`.
enum class MessageKind : std::uint8_t { text, binary };

/// `bytes` are lent: they live until the call that was given them returns.
struct Message {
  Bytes bytes;
  MessageKind kind = MessageKind::binary;
};

}  // namespace rejoin::upstream
