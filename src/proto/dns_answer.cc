#include "proto/dns_answer.h"

#include <algorithm>

namespace rejoin::proto {
namespace {

constexpr std::size_t kHeadBytes = 12, kQuestionTailBytes = 4, kRecordTailBytes = 10;
constexpr std::uint16_t kInternet = 1, kResponseBit = 0x8000, kTruncatedBit = 0x0200;
constexpr std::uint32_t kTtlSignBit = 0x80000000;

class Reader {
 public:
  explicit Reader(Bytes message) : message_(message) {}

  bool has(std::size_t bytes) const { return message_.size() - at_ >= bytes; }
  std::uint16_t u16() {
    at_ += 2;
    return load_u16(message_.data() + at_ - 2);
  }
  std::uint32_t u32() {
    at_ += 4;
    return load_u32(message_.data() + at_ - 4);
  }
  const char* here() const { return message_.data() + at_; }
  std::size_t at() const { return at_; }
  void go_to(std::size_t at) { at_ = at; }

  /// A name, compressed or not (RFC 1035 4.1.4); `at_` is behind it then. A pointer leads backwards, each
  /// further than the one before, so there is no way round in a circle.
  bool name(std::string& out) {
    out.clear();
    std::size_t at = at_, lowest = at_;
    bool jumped = false;
    for (;;) {
      if (at >= message_.size()) return false;
      const auto length = static_cast<std::uint8_t>(message_[at]);
      if (length >= 0xc0) {
        if (at + 2 > message_.size()) return false;
        const std::size_t to = load_u16(message_.data() + at) & 0x3fff;
        if (!jumped) at_ = at + 2;
        jumped = true;
        if (to >= lowest) return false;
        at = lowest = to;
        continue;
      }
      if (length >= 0x40) return false;
      if (length == 0) break;
      if (at + 1 + length > message_.size()) return false;
      if (!out.empty()) out += '.';
      for (const char c : message_.substr(at + 1, length)) {
        if (!add(out, c)) return false;
      }
      if (out.size() > kDnsNameBytesMax) return false;
      at += 1 + length;
    }
    if (!jumped) at_ = at + 1;
    return true;
  }

 private:
  static bool add(std::string& out, char c) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    if (plain) out += c;
    return plain;
  }

  Bytes message_;
  std::size_t at_ = 0;
};

bool read_ip(Reader& reader, std::size_t length, DnsRecord& out) {
  const bool v4 = out.type == DnsType::a;
  if (length != (v4 ? 4 : 16)) return false;
  out.address.family = v4 ? Address::Family::ipv4 : Address::Family::ipv6;
  std::copy_n(reinterpret_cast<const std::uint8_t*>(reader.here()), length, out.address.ip.begin());
  return true;
}

/// One record. False: broken. `known`: of a type that is wanted.
bool read_record(Reader& reader, DnsRecord& out, bool& known) {
  known = false;
  // A name that is not fit for a log is a record of somebody else's: the message is no good to us.
  if (!reader.name(out.name) || !reader.has(kRecordTailBytes)) return false;
  const std::uint16_t type = reader.u16(), group = reader.u16();
  const std::uint32_t ttl = reader.u32();
  const std::size_t length = reader.u16();
  if (!reader.has(length)) return false;
  const std::size_t end = reader.at() + length;
  out.type = static_cast<DnsType>(type);
  out.ttl_s = (ttl & kTtlSignBit) != 0 ? 0 : ttl;
  bool good = true;
  if (group == kInternet) {
    switch (out.type) {
      case DnsType::a:
      case DnsType::aaaa:
        known = true;
        good = read_ip(reader, length, out);
        break;
      case DnsType::cname:
        known = true;
        good = reader.name(out.target) && reader.at() == end;
        break;
      case DnsType::srv:
        known = true;
        if (length < 7) return false;
        out.priority = reader.u16();
        out.weight = reader.u16();
        out.port = reader.u16();
        good = reader.name(out.target) && reader.at() == end;
        break;
    }
  }
  reader.go_to(end);
  return good;
}

}  // namespace

std::optional<DnsAnswer> parse_dns_answer(Bytes message) {
  Reader reader(message);
  if (!reader.has(kHeadBytes)) return std::nullopt;
  reader.u16();  // the id: whoever sent the question has compared it
  const std::uint16_t flags = reader.u16();
  if ((flags & kResponseBit) == 0) return std::nullopt;
  DnsAnswer out;
  out.code = flags & 0x000f;
  out.truncated = (flags & kTruncatedBit) != 0;
  const std::size_t questions = reader.u16(), answers = reader.u16(), authorities = reader.u16(),
                    additional = reader.u16();
  std::string name;
  for (std::size_t i = 0; i < questions; ++i) {
    if (!reader.name(name) || !reader.has(kQuestionTailBytes)) return std::nullopt;
    reader.u32();
  }
  for (std::size_t i = 0; i < answers + authorities + additional; ++i) {
    DnsRecord record;
    bool known = false;
    if (!read_record(reader, record, known)) return std::nullopt;
    const bool authority = i >= answers && i < answers + authorities;
    if (!known || authority || out.answers.size() + out.additional.size() >= kDnsRecordsMax) continue;
    (i < answers ? out.answers : out.additional).push_back(std::move(record));
  }
  return out;
}

}  // namespace rejoin::proto
