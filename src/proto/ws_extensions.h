// Sec-WebSocket-Extensions (RFC 6455 9.1), and the agreement on the one extension that we speak:
// permessage-deflate (RFC 7692 7.1).
//
// Place: beside ws_handshake.h, between the heads of a handshake and ws_compression.h. Calculators on heads
// that were parsed already. Used once per connection, on its thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "proto/http_head.h"

namespace rejoin::proto {

/// Walks over the value of one Sec-WebSocket-Extensions field: each extension, and behind it its parameters.
///
///     ExtensionReader reader(value);
///     while ((item = reader.next()) == Item::extension || item == Item::parameter) ...
///
/// Strict: names and values are tokens, a quoted value must be a token when its quotes and backslashes are
/// gone (RFC 6455 9.1). Blanks may stand around ',', ';' and '=', and a list may have empty items (RFC
/// 2616 2.1, which RFC 6455 builds on). An empty value names no extension.
class ExtensionReader {
 public:
  enum class Item : std::uint8_t {
    extension,  // name()
    parameter,  // of the extension before it: name(), value()
    end,        // nothing is left
    malformed,  // and so for ever: "the recipient MUST fail the connection"
  };

  /// `value` must live as long.
  explicit ExtensionReader(Bytes value) : rest_(value) {}
  ExtensionReader(const ExtensionReader&) = delete;
  ExtensionReader& operator=(const ExtensionReader&) = delete;

  Item next();
  Bytes name() const { return name_; }
  /// Without quotes and backslashes; nothing when the parameter has no value. Valid until next().
  std::optional<Bytes> value() const { return value_; }

 private:
  void skip_blanks();
  bool take(char byte);
  bool take_token(Bytes& token);
  bool take_quoted();
  bool take_parameter();

  Bytes rest_, name_;
  std::optional<Bytes> value_;
  std::string unescaped_;  // the value, where it had a backslash
  bool inside_ = false;    // an extension was named, its parameters may follow
  bool malformed_ = false;
};

/// May a deflater refer to the messages before the present one (RFC 7692 7.1.1)? `yes` compresses small
/// messages that resemble each other far better; its price is a window kept in memory on both sides between
/// messages.
enum class Takeover : std::uint8_t { no, yes };

/// Of an LZ77 window, as its base-2 logarithm (RFC 7692 7.1.2).
inline constexpr std::uint8_t kWindowBitsMin = 8;
inline constexpr std::uint8_t kWindowBitsMax = 15;
/// The smallest window that zlib makes: it fails raw deflate with 8.
inline constexpr std::uint8_t kDeflaterWindowBitsMin = 9;

/// One direction: what its sender's deflater does at most, and its receiver's inflater must hold.
struct DeflateSide {
  std::uint8_t window_bits = kWindowBitsMax;
  Takeover takeover = Takeover::yes;
  bool operator==(const DeflateSide&) const = default;
};

/// Both directions of a connection.
struct DeflateTerms {
  DeflateSide server;  // messages of the server
  DeflateSide client;  // messages of the client
  bool operator==(const DeflateTerms&) const = default;
};

// ---- server ----

/// The terms that we agree to: of the first offer of permessage-deflate that can be accepted; nothing when
/// there is none (no extension is used then, and the 101 names none). Other extensions are passed over.
///
/// `wanted` is the most that we do: a smaller window or no takeover is granted to who asks for it. A client
/// that did not say `client_max_window_bits` cannot be bound to a smaller window: where `wanted` has one,
/// such a client is asked for no context takeover instead, so that its window need not be kept.
///
/// An offer is declined (RFC 7692 7.1) for an unknown parameter, one that comes twice, a value that is
/// missing, not allowed or not 8 to 15 in decimal; and for `server_max_window_bits=8`, which zlib cannot do.
///
/// Error, bad_input of the client: a field that does not follow the grammar. Answer 400.
Result<std::optional<DeflateTerms>> accept_deflate(const RequestHead& head, const DeflateTerms& wanted);

/// The value of Sec-WebSocket-Extensions for the 101 (RFC 7692 7.1). `terms` are accept_deflate's.
std::string deflate_answer(const DeflateTerms& terms);

// ---- client ----

/// The value of Sec-WebSocket-Extensions for a request. Client side of `wanted`: no takeover and a window
/// below 15 are told as hints. Server side: they are demanded.
std::string deflate_offer(const DeflateTerms& wanted);

/// What the server agreed to; nothing when it named no extension. Error, bad_input of the server: anything
/// that was not offered or does not fit the offer (RFC 7692 7.1: fail the connection).
Result<std::optional<DeflateTerms>> check_deflate_answer(const ResponseHead& head,
                                                         const DeflateTerms& offered);

}  // namespace rejoin::proto
