// permessage-deflate on one connection (RFC 7692 7.2): what FrameReader hands on becomes whole messages, and
// messages become payloads. In the place of MessageAssembler where the handshake agreed on the extension.
//
// Place: behind FrameReader with Rsv1::allowed, in front of a session. A calculator.
// Owner: MessageCompression by a connection that agreed on the extension, CompressionShare by its worker (it
// outlives them); one thread.
//
//   Where the memory is                             between messages, per connection       inside a message
//   a side without takeover                         none: the share's, one per worker      its compressed
//   bytes a side with takeover                            one deflater or inflater, when used    its inflated
//   bytes
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "proto/ws_deflate.h"
#include "proto/ws_extensions.h"
#include "proto/ws_frame.h"
#include "proto/ws_message.h"

namespace rejoin::proto {

/// What compresses messages, and where its memory is.
struct CompressionSettings {
  std::uint8_t window_bits = 12;  // of our deflaters, and with takeover of a peer's: 9 to 15
  std::uint8_t memory_level = 5;  // zlib's memLevel: 1 to 9
  Takeover takeover = Takeover::no;
  std::size_t message_min = 64;       // bytes; shorter messages are sent as they are
  std::size_t memory_max = SIZE_MAX;  // bytes of all connections with takeover; beyond it new ones get none
  WsRole role = WsRole::server;
};

/// What a connection with takeover on both sides comes to hold between messages, when both were used: 50 kB
/// with windowBits 12 and memLevel 5, 308 kB with 15 and 8.
std::size_t takeover_bytes(std::uint8_t window_bits, std::uint8_t memory_level);

/// What connections have in common: deflaters and an inflater without takeover, and the blocks that bytes
/// come out into. Memory is taken when it is first needed.
class CompressionShare {
 public:
  explicit CompressionShare(const CompressionSettings& settings);

  ~CompressionShare();
  CompressionShare(const CompressionShare&) = delete;
  CompressionShare& operator=(const CompressionShare&) = delete;

  /// What a server agrees to at most now (accept_deflate), or a client asks for (deflate_offer): no takeover
  /// when the connections that have it may come to hold memory_max, or `most` is no.
  DeflateTerms wanted(Takeover most = Takeover::yes) const;
  const CompressionSettings& settings() const { return settings_; }
  /// What it holds itself, and what the connections with takeover may come to hold.
  std::size_t memory_bytes() const;
  std::size_t takeover_memory_bytes() const;
  /// Gives back what large messages took: when a turn of the loop is over.
  void release();

 private:
  friend class MessageCompression;
  Deflater& deflater(std::uint8_t window_bits);

  CompressionSettings settings_;
  Inflater inflater_{{kWindowBitsMax, Takeover::no}};
  // By window bits: a client may ask for a smaller one than ours.
  std::array<std::unique_ptr<Deflater>, kWindowBitsMax - kDeflaterWindowBitsMin + 1> deflaters_;
  GrowingBlock deflated_, inflated_;
  std::size_t keepers_ = 0;  // connections with takeover on a side
};

/// 64 bytes when idle, besides what takeover costs.
class MessageCompression {
 public:
  /// `terms`: what the handshake agreed on. `message_max`: bytes of an inflated message of the peer; a longer
  /// one is refused.
  MessageCompression(CompressionShare& share, const DeflateTerms& terms, std::uint32_t message_max);
  ~MessageCompression();
  MessageCompression(const MessageCompression&) = delete;
  MessageCompression& operator=(const MessageCompression&) = delete;

  /// From the next message on.
  void set_message_max(std::uint32_t bytes) { message_max_ = bytes; }

  /// What take() found.
  struct Taken {
    enum class Kind : std::uint8_t {
      more,     // the message has not ended
      message,  // whole, inflated; of a text it is known that it is UTF-8
      refused,  // send a close with `code` and end the connection: RFC 7692 names none, RFC 6455 7.4.1 has
                // 1007 for what is corrupt or not UTF-8 and 1009 for what is too big; 1011: our memory is
                // used up
    };
    Kind kind = Kind::more;
    Bytes message;
    CloseCode code = CloseCode::none;
    std::string_view reason;  // refused: static text, fit for the log and for the close frame
  };
  /// Takes a WsEvent of kind data; compressed and other messages may follow each other. The view of a message
  /// is valid until the next take() or release() on this share, and no longer than the event is. With
  /// takeover of the peer, a message is refused in the piece that makes it too big or wrong; without, when it
  /// has come whole (its compressed bytes are bounded by FrameReader).
  Taken take(const WsEvent& data);

  /// The payload of a message, `head` and `rest`, that is sent with RSV1, whole and in this order; or
  /// nothing: send it as it is, as it is short, or would not become shorter (with takeover the latter is
  /// compressed all the same). Valid until the next pack() or release() on this share.
  std::optional<Bytes> pack(Bytes head, Bytes rest);
  std::optional<Bytes> pack(Bytes message) { return pack({}, message); }

  DeflateTerms terms() const;
  /// A connection that changes its worker: leave() on the thread of the old one, join() on that of the new.
  /// Between them nothing else may be called.
  void leave();
  void join(CompressionShare& share);

  /// Gives back what a finished message took: when an input is used up.
  void release();
  /// Forgets a message that has not ended, too: when the connection ends.
  void clear();

  /// All that this connection holds by itself: with takeover windowBits 12 and memLevel 5 50 kB.
  std::size_t memory_bytes() const;

 private:
  bool keeps() const { return ours_.takeover == Takeover::yes || theirs_.takeover == Takeover::yes; }
  Taken inflate_whole(Bytes compressed, bool text);
  Taken inflate_piece(const WsEvent& data);

  // Bytes on a 64-bit machine.
  CompressionShare* share_;              // 8, null between leave() and join()
  std::unique_ptr<Deflater> deflater_;   // 8, with takeover of ours, once used
  std::unique_ptr<Inflater> inflater_;   // 8, with takeover of the peer's, once used
  std::unique_ptr<GrowingBlock> begun_;  // 8, inside a message: what its pieces inflated to (takeover)
  MessageAssembler assembler_;           // 16, pieces that are not to be inflated, or not yet
  std::uint32_t message_max_;            // 4
  DeflateSide ours_, theirs_;            // 4
  Utf8Validator utf8_;                   // 4
};
static_assert(sizeof(MessageCompression) == 64);

}  // namespace rejoin::proto
