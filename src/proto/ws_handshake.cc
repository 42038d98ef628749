#include "proto/ws_handshake.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "proto/base64.h"
#include "proto/http_names.h"

namespace rejoin::proto {
namespace {

constexpr Bytes kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // RFC 6455 1.3

UpgradeVerdict refused(std::uint16_t status, Bytes reason, Bytes field_lines = {}) {
  UpgradeVerdict verdict;
  verdict.status = status;
  verdict.reason = reason;
  verdict.field_lines = field_lines;
  return verdict;
}

/// True if some field of this name lists `item` (a protocol name without version, any case of letters).
bool any_lists(const Head& head, KnownField known, Bytes item) {
  for (const Field& field : head.all(known)) {
    if (list_has(head.value(field), item)) return true;
  }
  return false;
}

/// The value of the field if there is exactly one, else nothing.
std::optional<Bytes> only_value(const Head& head, KnownField known) {
  std::optional<Bytes> only;
  for (const Field& field : head.all(known)) {
    if (only) return std::nullopt;
    only = head.value(field);
  }
  return only;
}

/// Appends pieces to a Buffer, all or none.
class Appender {
 public:
  explicit Appender(Buffer& out) : out_(out), room_(out.room()) {}
  Appender& operator<<(Bytes piece) {
    needed_ += piece.size();
    if (needed_ <= room_) std::copy(piece.begin(), piece.end(), out_.tail().data() + needed_ - piece.size());
    return *this;
  }
  /// Makes what was appended part of the Buffer.
  Status finish(Side side) {
    if (needed_ > room_) {
      return Error{ErrorKind::exhausted, side, Retry::no, "no room for the head of a WebSocket handshake"};
    }
    out_.commit(needed_);
    return {};
  }

 private:
  Buffer& out_;
  std::size_t room_;
  std::size_t needed_ = 0;
};

bool is_field_value(Bytes value) {
  return std::none_of(value.begin(), value.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  });
}

/// Visible ASCII without blanks, not empty: what may stand in a request line or a Host.
bool is_visible(Bytes text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

Error bad_request(const char* why) { return {ErrorKind::bad_input, Side::ours, Retry::no, why}; }
Error bad_response(const char* why) { return {ErrorKind::bad_input, Side::server, Retry::no, why}; }

}  // namespace

AcceptHasher::AcceptHasher() : digest_(EVP_MD_fetch(nullptr, "SHA1", nullptr)), context_(EVP_MD_CTX_new()) {
  if (digest_ == nullptr || context_ == nullptr) std::abort();
}

AcceptHasher::~AcceptHasher() {
  EVP_MD_CTX_free(context_);
  EVP_MD_free(digest_);
}

HandshakeAccept AcceptHasher::accept(Bytes key) {
  key = trim_ows(key);
  unsigned char hash[20];
  const bool done = EVP_DigestInit_ex2(context_, digest_, nullptr) == 1 &&
                    EVP_DigestUpdate(context_, key.data(), key.size()) == 1 &&
                    EVP_DigestUpdate(context_, kGuid.data(), kGuid.size()) == 1 &&
                    EVP_DigestFinal_ex(context_, hash, nullptr) == 1;
  if (!done) std::abort();  // SHA-1 of memory fails only when OpenSSL itself is broken
  HandshakeAccept accept;
  base64_encode_to(accept.data(), as_bytes(hash), Base64::standard);
  return accept;
}

// ---- server ----

UpgradeVerdict check_upgrade_request(const RequestHead& head) {
  constexpr Bytes kUpgradeLines = "Upgrade: websocket\r\nConnection: upgrade\r\n";
  constexpr Bytes kVersionLines =
      "Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\n";
  if (head.method() != Method::get) return refused(405, "a WebSocket is opened with GET", "Allow: GET\r\n");
  if (head.minor_version() != 1) return refused(426, "a WebSocket is opened with HTTP/1.1", kUpgradeLines);
  if (!head.connection_upgrade() || !any_lists(head, KnownField::upgrade, "websocket")) {
    return refused(426, "only WebSocket connections are served here", kUpgradeLines);
  }
  if (head.body().kind != BodyKind::none) return refused(400, "a WebSocket handshake has no body");
  const std::optional<Bytes> version = only_value(head, KnownField::sec_websocket_version);
  if (!version && head.has(KnownField::sec_websocket_version)) {
    return refused(400, "Sec-WebSocket-Version comes more than once");
  }
  if (version != Bytes("13"))
    return refused(426, "only version 13 of the WebSocket protocol is spoken", kVersionLines);
  const std::optional<Bytes> key = only_value(head, KnownField::sec_websocket_key);
  if (!key) return refused(400, "Sec-WebSocket-Key must come once");
  char bytes[21];
  const std::optional<std::size_t> size = base64_decode_to(bytes, *key, Base64::standard);
  if (!size || *size != 16) return refused(400, "Sec-WebSocket-Key must be 16 bytes in base64");
  UpgradeVerdict verdict;
  verdict.key = *key;
  return verdict;
}

OfferedProtocols::OfferedProtocols(const RequestHead& head)
    : head_(head), at_(head.find(KnownField::sec_websocket_protocol)) {
  if (at_ != nullptr) rest_ = head_.value(*at_);
}

std::optional<Bytes> OfferedProtocols::next() {
  while (at_ != nullptr) {
    Bytes item;
    while (next_list_item(rest_, item)) {
      if (is_token(item)) return item;
    }
    const Field* const end = head_.fields().data() + head_.fields().size();
    at_ = std::find_if(at_ + 1, end,
                       [](const Field& field) { return field.known == KnownField::sec_websocket_protocol; });
    if (at_ == end) {
      at_ = nullptr;
    } else {
      rest_ = head_.value(*at_);
    }
  }
  return std::nullopt;
}

Bytes select_protocol(const RequestHead& head, std::span<const Bytes> supported) {
  for (const Bytes wanted : supported) {
    OfferedProtocols offered(head);
    while (const std::optional<Bytes> item = offered.next()) {
      if (*item == wanted) return wanted;
    }
  }
  return {};
}

Status write_upgrade_response(Buffer& out, const HandshakeAccept& accept, Bytes protocol, Bytes field_lines) {
  Appender to(out);
  to << "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
        "Upgrade\r\nSec-WebSocket-Accept: "
     << text_of(accept) << "\r\n";
  if (!protocol.empty()) to << "Sec-WebSocket-Protocol: " << protocol << "\r\n";
  to << field_lines << "\r\n";
  return to.finish(Side::ours);
}

// ---- client ----

HandshakeKey make_handshake_key(Random& random) {
  char nonce[16];
  random.fill(nonce);
  HandshakeKey key;
  base64_encode_to(key.data(), {nonce, sizeof nonce}, Base64::standard);
  return key;
}

Status write_upgrade_request(Buffer& out, const UpgradeRequest& request, const HandshakeKey& key) {
  if (!is_visible(request.target) || request.target.front() != '/')
    return bad_request("a target must begin with '/' and have no blanks");
  if (!is_visible(request.host)) return bad_request("a host must be visible characters");
  if (!is_field_value(request.cookies)) return bad_request("control characters in a cookie");
  for (const Bytes protocol : request.protocols) {
    if (!is_token(protocol)) return bad_request("a sub-protocol must be letters, digits and !#$%&'*+-.^_`|~");
  }
  for (const HeaderLine& line : request.headers) {
    if (!is_token(line.name))
      return bad_request("a header's name must be letters, digits and !#$%&'*+-.^_`|~");
    if (!is_field_value(line.value)) return bad_request("control characters in a header's value");
  }
  Appender to(out);
  to << "GET " << request.target << " HTTP/1.1\r\nHost: " << request.host
     << "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " << text_of(key)
     << "\r\nSec-WebSocket-Version: 13\r\n";
  const char* before = "Sec-WebSocket-Protocol: ";
  for (const Bytes protocol : request.protocols) {
    to << before << protocol;
    before = ", ";
  }
  if (!request.protocols.empty()) to << "\r\n";
  if (!request.cookies.empty()) to << "Cookie: " << request.cookies << "\r\n";
  for (const HeaderLine& line : request.headers) to << line.name << ": " << line.value << "\r\n";
  to << "\r\n";
  return to.finish(Side::ours);
}

Result<Bytes> check_upgrade_response(const ResponseHead& head, const HandshakeKey& key,
                                     std::span<const Bytes> offered, AcceptHasher& hasher,
                                     Extensions extensions) {
  if (head.status() != 101) {
    return Error{ErrorKind::refused, Side::server, Retry::no,
                 "the server answered " + std::to_string(head.status()) + " " + std::string(head.reason()) +
                     " and not 101"};
  }
  const std::optional<Bytes> upgrade = only_value(head, KnownField::upgrade);
  if (!upgrade || !equals_ignoring_case(*upgrade, "websocket"))
    return bad_response("101 without 'Upgrade: websocket'");
  if (!head.connection_upgrade()) return bad_response("101 without 'Connection: upgrade'");
  const std::optional<Bytes> accept = only_value(head, KnownField::sec_websocket_accept);
  const HandshakeAccept right = hasher.accept(text_of(key));
  if (!accept) return bad_response("101 without one Sec-WebSocket-Accept");
  if (*accept != text_of(right)) return bad_response("101 with a wrong Sec-WebSocket-Accept");
  for (const Field& field : head.all(KnownField::sec_websocket_extensions)) {
    if (extensions == Extensions::none && !head.value(field).empty())
      return bad_response("101 with an extension that was not asked for");
  }
  if (!head.has(KnownField::sec_websocket_protocol)) return Bytes();
  const std::optional<Bytes> protocol = only_value(head, KnownField::sec_websocket_protocol);
  if (!protocol || std::find(offered.begin(), offered.end(), *protocol) == offered.end()) {
    return bad_response("101 with a sub-protocol that was not offered");
  }
  return *protocol;
}

}  // namespace rejoin::proto
