// FrameReader, fed in pieces of any size, against a slow decoder that has the whole stream before it; and
// what was read is written and read again. Input: options, seed of the cuts, then the stream.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "base/random.h"
#include "proto/ws_frame.h"
#include "proto/ws_message.h"

namespace {

using namespace rejoin;
using namespace rejoin::proto;

/// What happened, in order: "text:...", "binary:...", "ping:...", "close:1000:...", "refused:1002".
using Told = std::vector<std::string>;

/// The rows of RFC 3629 section 4. True if `text` is UTF-8, or could become it when `may_go_on`.
bool slow_utf8(const std::string& text, bool may_go_on) {
  static const std::vector<std::vector<std::pair<int, int>>> rows{
      {{0x00, 0x7f}},
      {{0xc2, 0xdf}, {0x80, 0xbf}},
      {{0xe0, 0xe0}, {0xa0, 0xbf}, {0x80, 0xbf}},
      {{0xe1, 0xec}, {0x80, 0xbf}, {0x80, 0xbf}},
      {{0xed, 0xed}, {0x80, 0x9f}, {0x80, 0xbf}},
      {{0xee, 0xef}, {0x80, 0xbf}, {0x80, 0xbf}},
      {{0xf0, 0xf0}, {0x90, 0xbf}, {0x80, 0xbf}, {0x80, 0xbf}},
      {{0xf1, 0xf3}, {0x80, 0xbf}, {0x80, 0xbf}, {0x80, 0xbf}},
      {{0xf4, 0xf4}, {0x80, 0x8f}, {0x80, 0xbf}, {0x80, 0xbf}},
  };
  for (std::size_t at = 0; at < text.size();) {
    std::size_t taken = 0;
    for (const auto& row : rows) {
      std::size_t fits = 0;
      while (fits < row.size() && at + fits < text.size()) {
        const int byte = static_cast<unsigned char>(text[at + fits]);
        if (byte < row[fits].first || byte > row[fits].second) break;
        ++fits;
      }
      if (fits == row.size() || (may_go_on && fits != 0 && at + fits == text.size())) taken = fits;
    }
    if (taken == 0) return false;
    at += taken;
  }
  return true;
}

struct SlowDecoder {
  WsRole role;
  std::uint64_t message_max;
  bool rsv1_allowed;

  Told run(const std::string& stream) const {
    Told told;
    std::string message;
    std::uint64_t announced = 0;
    int kind = 0;  // 0: no message has begun
    bool compressed = false;
    for (std::size_t at = 0;;) {
      const auto byte = [&](std::size_t i) {
        return static_cast<std::uint64_t>(static_cast<unsigned char>(stream[at + i]));
      };
      const std::size_t have = stream.size() - at;
      const auto refuse = [&](const char* code) {
        told.push_back(std::string("refused:") + code);
        return told;
      };
      if (have < 2) return told;
      const bool fin = byte(0) & 0x80, rsv1 = byte(0) & 0x40, masked = byte(1) & 0x80;
      const int opcode = static_cast<int>(byte(0) & 15);
      const bool control = opcode >= 8;
      if (byte(0) & 0x30) return refuse("1002");
      if (rsv1 && !(rsv1_allowed && (opcode == 1 || opcode == 2))) return refuse("1002");
      if (opcode != 0 && opcode != 1 && opcode != 2 && opcode != 8 && opcode != 9 && opcode != 10)
        return refuse("1002");
      if (masked != (role == WsRole::server)) return refuse("1002");
      if (control && (!fin || (byte(1) & 0x7f) > 125)) return refuse("1002");
      if (opcode == 0 && kind == 0) return refuse("1002");
      if ((opcode == 1 || opcode == 2) && kind != 0) return refuse("1002");
      std::uint64_t length = byte(1) & 0x7f;
      const std::size_t extra = length == 126 ? 2 : length == 127 ? 8 : 0;
      const std::size_t header = 2 + extra + (masked ? 4 : 0);
      if (have < header) return told;
      if (extra != 0) {
        length = 0;
        for (std::size_t i = 0; i < extra; ++i) length = length << 8 | byte(2 + i);
        if (length > INT64_MAX || length < (extra == 2 ? 126u : 65536u)) return refuse("1002");
      }
      if (!control) {
        if (kind == 0) kind = opcode, compressed = rsv1, announced = 0, message.clear();
        const std::uint64_t most =
            compressed ? std::min<std::uint64_t>(message_max + message_max / 8 + 64, 0xffffffff)
                       : message_max;
        if (length > most - announced) return refuse("1009");
        announced += length;
      }
      std::string payload = stream.substr(at + header, length);
      for (std::size_t i = 0; masked && i < payload.size(); ++i)
        payload[i] = static_cast<char>(payload[i] ^ stream[at + header - 4 + i % 4]);
      if (control) {
        if (payload.size() < length) return told;
        if (opcode == 8) {
          const auto code = payload.size() < 2
                                ? 0u
                                : static_cast<unsigned>(static_cast<unsigned char>(payload[0])) << 8 |
                                      static_cast<unsigned char>(payload[1]);
          if (payload.empty()) {
            told.push_back("close:1005:");
            return told;
          }
          const bool known = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
                             (code >= 3000 && code <= 4999);
          if (!known) return refuse("1002");
          if (!slow_utf8(payload.substr(2), false)) return refuse("1007");
          told.push_back("close:" + std::to_string(code) + ":" + payload.substr(2));
          return told;
        }
        told.push_back((opcode == 9 ? "ping:" : "pong:") + payload);
      } else {
        message += payload;
        const bool ends = fin && payload.size() == length;
        if (kind == 1 && !compressed && !slow_utf8(message, !ends)) return refuse("1007");
        if (payload.size() < length) return told;
        if (ends) {
          told.push_back((kind == 1 ? "text:" : "binary:") + message);
          kind = 0;
        }
      }
      at += header + length;
    }
  }
};

void check(bool held, const char* what) {
  if (held) return;
  std::cerr << "broken: " << what << "\n";
  std::abort();
}

/// What was read must come back the same through our writer.
void write_and_read(WsRole role, const WsEvent& event, Bytes payload) {
  const std::optional<MaskKey> mask =
      role == WsRole::server ? std::optional(MaskKey{1, 2, 3, char(0x80)}) : std::nullopt;
  std::string bytes;
  if (event.kind == WsEvent::Kind::close) {
    bytes = write_close(event.code, payload, mask).view();
  } else {
    append_frame(bytes, event.opcode, payload, mask);
  }
  FrameReader reader(role, 0xffffffff, Rsv1::allowed);
  MutableBytes input = bytes;
  const WsEvent again = reader.feed(input);
  const bool skip_text = event.compressed && event.opcode == WsOpcode::text;  // not UTF-8 perhaps
  check(skip_text || (again.kind == event.kind && again.code == event.code && again.view() == payload &&
                      input.empty()),
        "written and read again");
}

Told run_reader(WsRole role, std::uint32_t message_max, Rsv1 rsv1, const std::string& stream,
                std::uint64_t seed) {
  FrameReader reader(role, message_max, rsv1);
  MessageAssembler assembler;
  SeededRandom random(seed);
  const std::uint64_t step = seed % 3 == 0 ? 3 : seed % 3 == 1 ? 40 : 100000;
  Told told;
  for (std::size_t at = 0; at < stream.size();) {
    const std::size_t take = std::min<std::size_t>(1 + random.below(step), stream.size() - at);
    std::vector<char> lent(stream.begin() + static_cast<std::ptrdiff_t>(at),
                           stream.begin() + static_cast<std::ptrdiff_t>(at + take));
    at += take;
    MutableBytes input = lent;
    for (;;) {
      const WsEvent event = reader.feed(input);
      if (event.kind == WsEvent::Kind::more) break;
      const std::string text(event.view());
      if (event.kind == WsEvent::Kind::refused) {
        told.push_back("refused:" + std::to_string(number(event.code)));
        return told;
      }
      if (event.kind == WsEvent::Kind::data) {
        const auto message = assembler.add(event);
        if (!message) continue;
        check(event.compressed || message->size() <= message_max, "message within the limit");
        write_and_read(role, event, *message);
        told.push_back((event.opcode == WsOpcode::text ? "text:" : "binary:") + std::string(*message));
        continue;
      }
      write_and_read(role, event, text);
      if (event.kind == WsEvent::Kind::close)
        told.push_back("close:" + std::to_string(number(event.code)) + ":" + text);
      if (event.kind == WsEvent::Kind::ping) told.push_back("ping:" + text);
      if (event.kind == WsEvent::Kind::pong) told.push_back("pong:" + text);
    }
    check(input.empty(), "all input taken");
  }
  return told;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2 || size > 5000) return 0;
  const WsRole role = (data[0] & 1) != 0 ? WsRole::client : WsRole::server;
  const Rsv1 rsv1 = (data[0] & 2) != 0 ? Rsv1::allowed : Rsv1::refused;
  const std::uint32_t message_max = (data[0] & 4) != 0 ? 20 : (data[0] & 8) != 0 ? 0xffffffff : 2000;
  const std::string stream(reinterpret_cast<const char*>(data) + 2, size - 2);
  const Told expected = SlowDecoder{role, message_max, rsv1 == Rsv1::allowed}.run(stream);
  const Told told = run_reader(role, message_max, rsv1, stream, data[1]);
  if (told != expected) {
    for (const auto& line : expected) std::cerr << "expected " << line << "\n";
    for (const auto& line : told) std::cerr << "told     " << line << "\n";
    std::abort();
  }
  return 0;
}
