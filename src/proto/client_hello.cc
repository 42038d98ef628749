#include "proto/client_hello.h"

#include <algorithm>
#include <optional>

namespace rejoin::proto {
namespace {

constexpr std::size_t kRecordHeadBytes = 5;
constexpr std::size_t kRecordBytesMax = 16 * 1024;
constexpr std::size_t kMessageHeadBytes = 4;
constexpr char kHandshake = 22;
constexpr char kClientHello = 1;
constexpr std::uint16_t kServerName = 0;
constexpr char kHostName = 0;
constexpr std::size_t kNameBytesMax = 253;

HelloVerdict refused(Bytes why) { return {HelloState::refused, why}; }

/// What lies in a message, from its front. Nothing: it is shorter than it says.
class Reader {
 public:
  explicit Reader(Bytes bytes) : left_(bytes) {}
  bool empty() const { return left_.empty(); }
  std::optional<Bytes> take(std::size_t count) {
    if (left_.size() < count) return std::nullopt;
    const Bytes taken = left_.substr(0, count);
    left_.remove_prefix(count);
    return taken;
  }
  std::optional<std::size_t> number(std::size_t bytes) {
    const auto taken = take(bytes);
    if (!taken) return std::nullopt;
    std::size_t out = 0;
    for (const char byte : *taken) out = out << 8 | static_cast<unsigned char>(byte);
    return out;
  }
  /// A vector behind its length of so many bytes.
  std::optional<Bytes> vector(std::size_t length_bytes) {
    const auto length = number(length_bytes);
    if (!length) return std::nullopt;
    return take(*length);
  }

 private:
  Bytes left_;
};

/// Letters, digits, hyphens, underscores and dots, as a host name in SNI has them: no address, no final dot
/// (RFC 6066 3).
bool is_host_name(Bytes name) {
  if (name.empty() || name.size() > kNameBytesMax || name.front() == '.' || name.back() == '.') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

/// Empty: good.
Bytes read_server_name(Bytes extension, ClientHello& hello) {
  Reader reader(extension);
  const auto list = reader.vector(2);
  if (!list || !reader.empty() || list->empty()) return "a list of names that does not fill its extension";
  Reader names(*list);
  while (!names.empty()) {
    const auto kind = names.take(1);
    const auto name = names.vector(2);
    if (!kind || !name) return "a name that is longer than its list";
    if ((*kind)[0] != kHostName) continue;
    if (!hello.name.empty()) return "two host names";
    if (!is_host_name(*name)) return "a host name that is none";
    hello.name = *name;
    for (char& c : hello.name) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
  }
  return {};
}

/// Empty: good.
Bytes read_message(Bytes message, ClientHello& hello) {
  constexpr Bytes kShort = "a ClientHello that is shorter than it says";
  Reader reader(message);
  const auto version = reader.number(2);
  if (!version || *version >> 8 != 3) return "a ClientHello of an unknown version";
  if (!reader.take(32)) return kShort;  // random
  const auto session = reader.vector(1);
  if (!session || session->size() > 32) return kShort;
  const auto ciphers = reader.vector(2);
  if (!ciphers || ciphers->empty() || ciphers->size() % 2 != 0) return "a ClientHello without ciphers";
  const auto compressions = reader.vector(1);
  if (!compressions || compressions->empty()) return "a ClientHello without compression methods";
  if (reader.empty()) return {};  // an old client, without extensions
  const auto extensions = reader.vector(2);
  if (!extensions || !reader.empty()) return "a ClientHello whose extensions do not fill it";
  Reader each(*extensions);
  bool named = false;
  while (!each.empty()) {
    const auto type = each.number(2);
    const auto body = each.vector(2);
    if (!type || !body) return "an extension that is longer than the ClientHello";
    if (*type != kServerName) continue;
    if (named) return "two lists of names";
    named = true;
    if (const Bytes wrong = read_server_name(*body, hello); !wrong.empty()) return wrong;
  }
  return {};
}

}  // namespace

HelloVerdict read_client_hello(Bytes arrived, ClientHello& hello) {
  hello = ClientHello();
  std::string joined;                      // only where the message is spread over records
  Bytes message;                           // what has come of it
  std::size_t records = 0, announced = 0;  // bytes that the heads of the records speak of
  while (!arrived.empty()) {
    // Each byte is judged as soon as it is here.
    if (arrived[0] != kHandshake) return refused(records == 0 ? "it is no TLS" : "a record of another kind");
    if (arrived.size() > 1 && arrived[1] != 3) return refused("a record of an unknown version");
    if (arrived.size() < kRecordHeadBytes) return {};
    const std::size_t length = load_u16(arrived.data() + 3);
    if (length == 0 || length > kRecordBytesMax) return refused("a record of a wrong length");
    if (++records > kClientHelloRecordsMax) return refused("a ClientHello in too many records");
    announced += length;
    const Bytes part = arrived.substr(kRecordHeadBytes, length);
    if (records == 1) {
      message = part;
    } else {
      if (records == 2) joined = message;
      joined += part;
      message = joined;
    }
    if (!message.empty() && message[0] != kClientHello)
      return refused("a handshake that begins with another message");
    if (message.size() >= kMessageHeadBytes) {
      const std::size_t bytes = load_u32(message.data()) & 0xffffff;
      if (bytes > kClientHelloBytesMax - kRecordHeadBytes) return refused("a ClientHello that is too long");
      if (announced > kMessageHeadBytes + bytes) return refused("a ClientHello with something behind it");
      if (message.size() == kMessageHeadBytes + bytes) {
        const Bytes wrong = read_message(message.substr(kMessageHeadBytes), hello);
        return wrong.empty() ? HelloVerdict{HelloState::complete} : refused(wrong);
      }
    }
    arrived.remove_prefix(std::min(arrived.size(), kRecordHeadBytes + length));
  }
  return {};
}

}  // namespace rejoin::proto
