// Numbers and bytes one behind the other, for what one process hands to the next: sessions, the state of
// connections.
//
// Not a wire format: both ends are Rejoin, on one machine, though not always of one version. Who packs begins
// with a number for the form, and who unpacks takes only forms that it knows.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"

namespace rejoin {

/// Appends to a text that its caller owns.
class Packer {
 public:
  explicit Packer(std::string& out) : out_(out) {}

  void u8(std::uint8_t value) { out_.push_back(static_cast<char>(value)); }
  void flag(bool value) { u8(value ? 1 : 0); }
  void u16(std::uint16_t value) {
    char at[2];
    store_u16(at, value);
    raw({at, sizeof at});
  }
  void u32(std::uint32_t value) {
    char at[4];
    store_u32(at, value);
    raw({at, sizeof at});
  }
  void u64(std::uint64_t value) {
    char at[8];
    store_u64(at, value);
    raw({at, sizeof at});
  }
  /// Bytes of a length that the reader knows.
  void raw(Bytes bytes) { out_.append(bytes); }
  /// Bytes behind their length.
  void bytes(Bytes some) {
    u64(some.size());
    raw(some);
  }

 private:
  std::string& out_;
};

/// Reads from the front of bytes that outlive it. When something is missing ok() turns false, and everything
/// from there on is zero, or empty: check once, at the end.
class Unpacker {
 public:
  explicit Unpacker(Bytes from) : rest_(from) {}

  std::uint8_t u8() {
    const Bytes at = raw(1);
    return at.empty() ? std::uint8_t{0} : static_cast<std::uint8_t>(at[0]);
  }
  bool flag() { return u8() != 0; }
  std::uint16_t u16() {
    const Bytes at = raw(2);
    return at.empty() ? std::uint16_t{0} : load_u16(at.data());
  }
  std::uint32_t u32() {
    const Bytes at = raw(4);
    return at.empty() ? 0 : load_u32(at.data());
  }
  std::uint64_t u64() {
    const Bytes at = raw(8);
    return at.empty() ? 0 : load_u64(at.data());
  }
  Bytes raw(std::size_t count) {
    if (rest_.size() < count) ok_ = false;
    if (!ok_) return {};
    const Bytes out = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return out;
  }
  Bytes bytes() {
    const std::uint64_t count = u64();
    if (count > rest_.size()) ok_ = false;
    return ok_ ? raw(static_cast<std::size_t>(count)) : Bytes();
  }
  /// What was read makes no sense: as if it had not been there.
  void refuse() { ok_ = false; }

  bool ok() const { return ok_; }
  /// Everything was there, and nothing is behind it.
  bool done() const { return ok_ && rest_.empty(); }

 private:
  Bytes rest_;
  bool ok_ = true;
};

}  // namespace rejoin
