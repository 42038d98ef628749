// The HTTP/1.1 upgrade that opens a WebSocket (RFC 6455 section 4), both sides of it.
//
// Place: between a head (http_head.h) and frames (ws_frame.h). Calculators on heads that were parsed already;
// bytes are written into a Buffer. Used once per connection, on its thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/random.h"
#include "base/result.h"
#include "proto/http_head.h"

struct evp_md_st;  // EVP_MD and EVP_MD_CTX of OpenSSL, whose headers stay out of ours
struct evp_md_ctx_st;

namespace rejoin::proto {

/// Sec-WebSocket-Key: base64 of 16 random bytes.
using HandshakeKey = std::array<char, 24>;
/// Sec-WebSocket-Accept: base64 of a SHA-1.
using HandshakeAccept = std::array<char, 28>;
inline Bytes text_of(const HandshakeKey& key) { return {key.data(), key.size()}; }
inline Bytes text_of(const HandshakeAccept& accept) { return {accept.data(), accept.size()}; }

/// Computes accepts (RFC 6455 4.2.2). Keeps the digest and a context, because fetching them costs more than
/// the hash (330 ns against 158). One per worker or client program, on one thread.
class AcceptHasher {
 public:
  /// Aborts the process when OpenSSL has no SHA-1: nothing could ever be upgraded.
  AcceptHasher();
  ~AcceptHasher();
  AcceptHasher(const AcceptHasher&) = delete;
  AcceptHasher& operator=(const AcceptHasher&) = delete;

  /// `key` as it stands in the field; blanks around it do not count.
  HandshakeAccept accept(Bytes key);

 private:
  evp_md_st* digest_;
  evp_md_ctx_st* context_;
};

// ---- server ----

/// May this request become a WebSocket?
struct UpgradeVerdict {
  std::uint16_t status = 101;  // 101, or the status to refuse with: 400, 405, 426
  Bytes key;                   // 101: the key, trimmed, in the head's bytes
  Bytes reason;                // else: static text for the log and the body
  Bytes field_lines;  // else: field lines that the answer must have, whole, for SimpleResponse::field_lines
  bool ok() const { return status == 101; }
};

/// RFC 6455 4.2.1: GET, HTTP/1.1, no body, Upgrade has websocket, Connection has upgrade, version 13, one key
/// of 16 bytes. 405 for another method, 426 (RFC 9110 15.5.22, RFC 6455 4.4) for a request that asks for no
/// upgrade or for another version, 400 for what is malformed. `head` must be complete. Origin and target are
/// the caller's to judge.
UpgradeVerdict check_upgrade_request(const RequestHead& head);

/// Walks over the sub-protocols that the client offers, in its order of preference and over several field
/// lines (RFC 6455 11.3.4). Items that are no tokens are passed over. `head` must live as long.
class OfferedProtocols {
 public:
  explicit OfferedProtocols(const RequestHead& head);
  std::optional<Bytes> next();

 private:
  const RequestHead& head_;
  const Field* at_;
  Bytes rest_;
};

/// The first of `supported` (our preference) that the client offers; empty if it offers none of them, and
/// then the 101 names none. Names are case-sensitive. The view is the one in `supported`.
Bytes select_protocol(const RequestHead& head, std::span<const Bytes> supported);

/// Appends the 101 to `out`. `protocol` empty: none is named. `field_lines`: more lines, each whole with its
/// CRLF ("Set-Cookie: ...\r\n", "Sec-WebSocket-Extensions: " with a deflate_answer()), not checked.
/// ErrorKind::exhausted, and `out` as before, when there is no room.
Status write_upgrade_response(Buffer& out, const HandshakeAccept& accept, Bytes protocol = {},
                              Bytes field_lines = {});

// ---- client ----

HandshakeKey make_handshake_key(Random& random);

struct HeaderLine {
  Bytes name, value;
};

/// What a client asks for. Everything is borrowed until the request is written.
struct UpgradeRequest {
  Bytes target = "/";                   // Url::target
  Bytes host;                           // Url::authority()
  Bytes cookies;                        // value of the Cookie field; empty: none is sent
  std::span<const Bytes> protocols;     // offered, in order of preference
  std::span<const HeaderLine> headers;  // more fields: Origin, Authorization, ...
};

/// Appends the request's head to `out`. Errors, with `out` as before: bad_input (ours) for a target, a host,
/// a protocol or a header that cannot stand in a head (control characters, blanks in the target, a name that
/// is no token), so that nothing typed by a user can become a second header; exhausted when there is no room.
Status write_upgrade_request(Buffer& out, const UpgradeRequest& request, const HandshakeKey& key);

/// Whether the request offered extensions. `none`: a 101 that names one is wrong. `offered`: what it names is
/// the caller's to check (check_deflate_answer in ws_extensions.h).
enum class Extensions : std::uint8_t { none, offered };

/// RFC 6455 4.1: status 101, Upgrade, Connection, the accept of our key, at most one sub-protocol and that
/// one of the offered, and no extension unless some were offered. The sub-protocol chosen (in the head's
/// bytes), empty for none. Error (server): `refused` for another status than 101 (head.status() says which),
/// bad_input for a 101 that is wrong.
Result<Bytes> check_upgrade_response(const ResponseHead& head, const HandshakeKey& key,
                                     std::span<const Bytes> offered, AcceptHasher& hasher,
                                     Extensions extensions = Extensions::none);

}  // namespace rejoin::proto
