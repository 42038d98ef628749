#include "route/key_ring.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>

#include "base/limits.h"

namespace rejoin::route {
namespace {

Error config_error(std::string detail) {
  return {ErrorKind::config, Side::ours, Retry::no, std::move(detail)};
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const auto begin = text.find_first_not_of(kBlank);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

}  // namespace

Key::~Key() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

KeyId Key::id() const {
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> digest;
  SHA256(bytes_.data(), bytes_.size(), digest.data());
  KeyId id;
  std::copy_n(digest.begin(), id.size(), id.begin());
  return id;
}

std::string Key::hex() const {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  out.reserve(2 * kBytes);
  for (const std::uint8_t byte : bytes_) {
    out.push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 15]);
  }
  return out;
}

Result<Key> parse_key_hex(std::string_view text) {
  text = trim(text);
  if (text.size() != 2 * Key::kBytes) {
    return config_error("a key is 64 hex digits, this text has " + std::to_string(text.size()) +
                        " characters");
  }
  std::array<std::uint8_t, Key::kBytes> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
    if (high < 0 || low < 0) {
      OPENSSL_cleanse(bytes.data(), bytes.size());
      return config_error("a key is 64 hex digits, character " + std::to_string(2 * i + (high < 0 ? 1 : 2)) +
                          " is none");
    }
    bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  Key key(bytes);
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return key;
}

Key generate_key(Random& random) {
  std::array<std::uint8_t, Key::kBytes> bytes;
  random.fill(MutableBytes(reinterpret_cast<char*>(bytes.data()), bytes.size()));
  Key key(bytes);
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return key;
}

Result<KeyRing> KeyRing::make(const std::vector<Key>& keys) {
  if (keys.empty()) return config_error("a key ring needs a key");
  if (keys.size() > limits::kKeysMax) {
    return config_error("a key ring has at most " + std::to_string(limits::kKeysMax) + " keys");
  }
  KeyRing ring;
  // Reserved, so that no key is moved and a copy of it left in freed memory unwiped: ~Key wipes each copy
  // anyhow, but fewer copies are better.
  ring.keys_.reserve(keys.size());
  for (const Key& key : keys) {
    const KeyId id = key.id();
    const auto same =
        std::find_if(ring.keys_.begin(), ring.keys_.end(), [&](const Key& k) { return k.id() == id; });
    if (same != ring.keys_.end())
      return config_error("the same key is twice in the ring: leave one of them out");
    ring.keys_.push_back(key);
  }
  return ring;
}

}  // namespace rejoin::route
