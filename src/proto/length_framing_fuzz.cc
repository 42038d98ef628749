// LengthReader in every format, fed in pieces of any size, against a reading of the whole stream; and what
// was read is written again. Input: format, limit and seed of the cuts, then the stream.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "proto/length_framing.h"
#include "proto/ws_message.h"

namespace {

using namespace rejoin;
using namespace rejoin::proto;

struct Read {
  std::vector<std::string> messages;
  bool refused = false;
  bool between = true;
  bool operator==(const Read&) const = default;
};

Read slowly(const LengthFormat& format, const std::string& stream) {
  const std::size_t width = format.length == LengthBytes::two ? 2 : 4;
  Read read;
  for (std::size_t at = 0; at < stream.size();) {
    read.between = false;
    if (stream.size() - at < width) return read;
    std::uint64_t length = 0;
    for (std::size_t i = 0; i < width; ++i) {
      const std::size_t place = format.endian == Endian::big ? i : width - 1 - i;
      length = length * 256 + static_cast<unsigned char>(stream[at + place]);
    }
    const std::uint64_t own = format.counts == LengthCounts::payload_and_itself ? width : 0;
    if (length < own || length - own > format.message_max) {
      read.refused = true;
      return read;
    }
    length -= own;
    if (stream.size() - at - width < length) return read;
    read.messages.push_back(stream.substr(at + width, length));
    at += width + length;
    read.between = true;
  }
  return read;
}

Read by_reader(const LengthFormat& format, const std::string& stream, std::uint64_t seed) {
  LengthReader reader(format);
  MessageAssembler assembler;
  SeededRandom random(seed);
  Read read;
  for (std::size_t at = 0; at < stream.size();) {
    const std::size_t take =
        std::min<std::size_t>(1 + random.below(seed % 2 == 0 ? 4 : 1000), stream.size() - at);
    const std::vector<char> lent(stream.begin() + static_cast<std::ptrdiff_t>(at),
                                 stream.begin() + static_cast<std::ptrdiff_t>(at + take));
    at += take;
    Bytes input(lent.data(), lent.size());
    for (;;) {
      const LengthEvent event = reader.feed(input);
      if (event.kind == LengthEvent::Kind::more) break;
      if (event.kind == LengthEvent::Kind::refused) {
        read.refused = true;
        read.between = false;
        return read;
      }
      if (event.last != (event.left == 0)) std::abort();
      if (const auto message = assembler.add(event)) read.messages.emplace_back(*message);
    }
    if (!input.empty()) std::abort();
  }
  read.between = reader.between_messages();
  return read;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3 || size > 5000) return 0;
  LengthFormat format;
  format.length = (data[0] & 1) != 0 ? LengthBytes::two : LengthBytes::four;
  format.endian = (data[0] & 2) != 0 ? Endian::little : Endian::big;
  format.counts = (data[0] & 4) != 0 ? LengthCounts::payload_and_itself : LengthCounts::payload;
  format.message_max = (data[0] & 8) != 0 ? 0xffffffff : data[1];
  const std::string stream(reinterpret_cast<const char*>(data) + 3, size - 3);
  const Read expected = slowly(format, stream);
  const Read read = by_reader(format, stream, data[2]);
  if (read != expected) {
    std::cerr << "expected " << expected.messages.size() << " messages, refused " << expected.refused
              << ", between " << expected.between << "; read " << read.messages.size() << ", " << read.refused
              << ", " << read.between << "\n";
    std::abort();
  }
  std::string again;
  for (const std::string& message : read.messages) {
    const Result<LengthHeader> header = write_length(format, message.size());
    if (!header) std::abort();
    again += std::string(header->view()) + message;
  }
  if (again != stream.substr(0, again.size())) std::abort();
  return 0;
}
