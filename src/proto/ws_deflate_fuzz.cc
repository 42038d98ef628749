// Inflater, fed in pieces of any size, against a slow decoder of RFC 1951 that has each message whole; and
// what Deflater makes of the same bytes, inflated again. Input: options, seed of the cuts, then messages,
// each behind a byte that says how long it is.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "base/random.h"
#include "proto/ws_deflate.h"

namespace {

using namespace rejoin;
using namespace rejoin::proto;
using Verdict = Inflater::Verdict;

void check(bool held, const char* what) {
  if (held) return;
  std::cerr << "broken: " << what << "\n";
  std::abort();
}

/// Decodes bit by bit and code by code. `history` is all that came before, and grows.
class SlowInflater {
 public:
  SlowInflater(std::string& history, std::size_t bytes_max) : history_(history), bytes_max_(bytes_max) {}

  Verdict run(std::string payload) {
    if (payload.empty()) return Verdict::good;
    begin_ = history_.size();
    const std::size_t end_of_payload = payload.size();
    input_ = std::move(payload) + std::string("\0\0\xff\xff", 4);
    while (at_ / 8 < input_.size()) {
      bool last = false;
      const Verdict verdict = block(last);
      if (verdict != Verdict::good) return verdict;
      if (!last) {
        // All is read to the last bit, or there is another block.
        if (at_ == input_.size() * 8) return Verdict::good;
        continue;
      }
      at_ = (at_ + 7) / 8 * 8;
      if (at_ / 8 == end_of_payload) return Verdict::good;
    }
    return Verdict::good;
  }

 private:
  static constexpr unsigned kNone = ~0u;

  /// A bit, or kNone at the end.
  unsigned bit() {
    if (at_ / 8 >= input_.size()) return kNone;
    const unsigned value = static_cast<unsigned char>(input_[at_ / 8]) >> at_ % 8 & 1;
    ++at_;
    return value;
  }
  unsigned bits(unsigned count) {
    unsigned value = 0;
    for (unsigned i = 0; i < count; ++i) {
      const unsigned one = bit();
      if (one == kNone) return kNone;
      value |= one << i;
    }
    return value;
  }

  /// Codes in canonical order (RFC 1951 3.2.2).
  struct Codes {
    std::array<int, 16> count{};
    std::vector<unsigned> symbols;  // by length, then by value
    bool usable = true;

    Codes(const std::vector<unsigned>& lengths, bool one_alone_will_do) {
      for (unsigned length = 1; length < 16; ++length) {
        for (unsigned symbol = 0; symbol < lengths.size(); ++symbol) {
          if (lengths[symbol] != length) continue;
          ++count[length];
          symbols.push_back(symbol);
        }
      }
      int free = 1;
      for (int length = 1; length < 16; ++length) {
        free = free * 2 - count[static_cast<std::size_t>(length)];
        if (free < 0) usable = false;
        if (!usable) return;
      }
      const bool one_of_one_bit = symbols.size() == 1 && count[1] == 1;
      if (free > 0 && !symbols.empty() && !(one_alone_will_do && one_of_one_bit)) usable = false;
    }
  };
  unsigned symbol(const Codes& codes) {
    int code = 0, first = 0, index = 0;
    for (std::size_t length = 1; length < 16; ++length) {
      const unsigned one = bit();
      if (one == kNone) return kNone;
      code |= static_cast<int>(one);
      const int count = codes.count[length];
      if (code - first < count) return codes.symbols[static_cast<std::size_t>(index + code - first)];
      index += count;
      first = (first + count) << 1;
      code <<= 1;
    }
    return kNone;
  }

  bool put(char byte) {
    if (history_.size() - begin_ >= bytes_max_) return false;
    history_ += byte;
    return true;
  }

  Verdict block(bool& last) {
    last = bits(1) == 1;
    switch (bits(2)) {
      case 0: return stored();
      case 1: return fixed();
      case 2: return dynamic();
      default: return Verdict::corrupt;
    }
  }

  Verdict stored() {
    at_ = (at_ + 7) / 8 * 8;
    const unsigned length = bits(16), check_sum = bits(16);
    if (length == kNone || check_sum == kNone || length != (check_sum ^ 0xffff)) return Verdict::corrupt;
    for (unsigned i = 0; i < length; ++i) {
      const unsigned byte = bits(8);
      if (byte == kNone) return Verdict::corrupt;
      if (!put(static_cast<char>(byte))) return Verdict::too_big;
    }
    return Verdict::good;
  }

  Verdict fixed() {
    std::vector<unsigned> lengths(288, 8);
    std::fill(lengths.begin() + 144, lengths.begin() + 256, 9u);
    std::fill(lengths.begin() + 256, lengths.begin() + 280, 7u);
    return coded(Codes(lengths, false), Codes(std::vector<unsigned>(32, 5), false));
  }

  Verdict dynamic() {
    const unsigned literals = bits(5), distances = bits(5), code_lengths = bits(4);
    if (literals == kNone || distances == kNone || code_lengths == kNone) return Verdict::corrupt;
    if (literals + 257 > 286 || distances + 1 > 30) return Verdict::corrupt;
    static constexpr unsigned kOrder[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    std::vector<unsigned> of_lengths(19, 0);
    for (unsigned i = 0; i < code_lengths + 4; ++i) {
      const unsigned length = bits(3);
      if (length == kNone) return Verdict::corrupt;
      of_lengths[kOrder[i]] = length;
    }
    const Codes codes(of_lengths, false);
    if (!codes.usable) return Verdict::corrupt;
    std::vector<unsigned> lengths;
    const std::size_t wanted = literals + 257 + distances + 1;
    while (lengths.size() < wanted) {
      const unsigned what = symbol(codes);
      if (what == kNone) return Verdict::corrupt;
      if (what < 16) {
        lengths.push_back(what);
        continue;
      }
      if (what == 16 && lengths.empty()) return Verdict::corrupt;
      const unsigned value = what == 16 ? lengths.back() : 0;
      const unsigned extra = what == 16 ? bits(2) : what == 17 ? bits(3) : bits(7);
      if (extra == kNone) return Verdict::corrupt;
      lengths.insert(lengths.end(), extra + (what == 18 ? 11 : 3), value);
    }
    if (lengths.size() > wanted || lengths[256] == 0) return Verdict::corrupt;
    const auto middle = lengths.begin() + static_cast<std::ptrdiff_t>(literals + 257);
    return coded(Codes({lengths.begin(), middle}, true), Codes({middle, lengths.end()}, true));
  }

  Verdict coded(const Codes& literals, const Codes& distances) {
    static constexpr unsigned kLength[29] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                             31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
    if (!literals.usable || !distances.usable) return Verdict::corrupt;
    for (;;) {
      const unsigned what = symbol(literals);
      if (what == kNone) return Verdict::corrupt;
      if (what == 256) return Verdict::good;
      if (what < 256) {
        if (!put(static_cast<char>(what))) return Verdict::too_big;
        continue;
      }
      if (what > 285) return Verdict::corrupt;
      const unsigned index = what - 257;
      const unsigned length_extra = bits(index < 8 || index == 28 ? 0 : index / 4 - 1);
      const unsigned distance_code = length_extra == kNone ? kNone : symbol(distances);
      if (distance_code == kNone || distance_code > 29) return Verdict::corrupt;
      const unsigned extra_bits = distance_code < 4 ? 0 : distance_code / 2 - 1;
      const unsigned distance_extra = bits(extra_bits);
      if (distance_extra == kNone) return Verdict::corrupt;
      const unsigned base = distance_code < 4 ? distance_code : (2 + distance_code % 2) << extra_bits;
      const std::size_t distance = base + distance_extra + 1;
      if (distance > history_.size()) return Verdict::corrupt;
      for (unsigned i = 0; i < kLength[index] + length_extra; ++i) {
        if (!put(history_[history_.size() - distance])) return Verdict::too_big;
      }
    }
  }

  std::string& history_;
  std::string input_;
  std::size_t bytes_max_;
  std::size_t begin_ = 0;
  std::size_t at_ = 0;  // bits
};

/// In pieces, each in memory of its own.
Verdict inflate(Inflater& inflater, Bytes payload, Random& random, GrowingBlock& out, std::size_t bytes_max) {
  out.clear();
  const std::uint64_t step = 1 + random.below(2) * 99;
  bool first = true;
  for (;;) {
    const std::string piece(payload.substr(0, random.below(step + 1)));
    payload.remove_prefix(piece.size());
    const bool last = payload.empty() && random.below(2) == 0;
    const Verdict verdict = inflater.feed(piece, std::exchange(first, false), last, out, bytes_max);
    check(out.size() <= bytes_max, "no more than the bound");
    if (verdict != Verdict::good || last) return verdict;
  }
}

void as_payloads(const std::vector<std::string>& payloads, Takeover takeover, std::size_t bytes_max,
                 Random& random) {
  Inflater inflater({kWindowBitsMax, takeover});
  std::string history;
  GrowingBlock out;
  for (const std::string& payload : payloads) {
    if (takeover == Takeover::no) history.clear();
    const std::size_t before = history.size();
    const Verdict expected = SlowInflater(history, bytes_max).run(payload);
    const Verdict told = inflate(inflater, payload, random, out, bytes_max);
    if (told != expected)
      std::cerr << "expected " << static_cast<int>(expected) << ", told " << static_cast<int>(told) << "\n";
    check(told == expected, "the same verdict");
    if (told == Verdict::good) check(out.view() == Bytes(history).substr(before), "the same bytes");
    if (told != Verdict::good && takeover == Takeover::yes) return;
  }
}

void as_messages(const std::vector<std::string>& messages, DeflateSide side, int memory_level,
                 Random& random) {
  Deflater deflater(side, memory_level);
  Inflater inflater(side);
  GrowingBlock deflated, inflated;
  for (const std::string& message : messages) {
    if (random.below(8) == 0) deflater.forget();
    const auto payload = deflater.deflate(message, deflated);
    check(payload && !payload->empty(), "deflated");
    check(payload->size() <= message.size() + message.size() / 8 + 64, "not much longer");
    check(inflate(inflater, *payload, random, inflated, message.size()) == Verdict::good, "inflated again");
    check(inflated.view() == message, "the same message");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2 || size > 5000) return 0;
  const std::uint8_t options = data[0];
  SeededRandom random(data[1]);
  std::vector<std::string> messages;
  for (std::size_t at = 2; at < size;) {
    const std::size_t length = data[at] == 255 ? size : data[at];  // 255: all the rest
    const std::size_t taken = std::min(length, size - at - 1);
    messages.emplace_back(reinterpret_cast<const char*>(data) + at + 1, taken);
    at += 1 + taken;
  }
  const Takeover takeover = (options & 1) != 0 ? Takeover::yes : Takeover::no;
  const std::size_t bytes_max = (options & 2) != 0 ? 100 : 100'000;
  as_payloads(messages, takeover, bytes_max, random);
  const auto window = static_cast<std::uint8_t>(kDeflaterWindowBitsMin + (options >> 2) % 7);
  as_messages(messages, {window, takeover}, 1 + (options >> 5), random);
  return 0;
}
