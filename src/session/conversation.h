// What the two ends of a session must remember of each other so that each message arrives once and in order,
// over any number of links. Gateway and client run the same code; who is who makes no difference here.
//
// A calculator: no socket, no clock, no thread. In: messages to send, sequence numbers and acknowledgements
// that came. Out: what may be sent, what must be sent again, what is new. The rules are spec/resume.md,
// "Flow" and "Resume".
//
// Two counts in each direction, and they are not the same:
//   read      what came in over a link, in order; a resume goes on behind it (`received`)
//   accepted  what was handed on for good (written whole to the game server, or given to the application);
//             only this is acknowledged, and only an acknowledgement frees the sender's window
// On the wire travel the low 32 bits of each count; a reader takes the value nearest to what it expects.
//
// Owner: a session (gateway) or a client; one thread. 88 bytes, and no memory of its own when it has been
// shrunk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/bytes.h"

namespace rejoin::session {

/// The 64-bit count nearest to `near` whose low 32 bits are `wire`. Never below zero.
std::uint64_t unwrap(std::uint32_t wire, std::uint64_t near);

/// Both bounds hold for what one end may have sent and not yet seen acknowledged.
struct WindowLimits {
  std::uint32_t bytes = 256 * 1024;  // of payload
  std::uint32_t messages = 2048;
  bool operator==(const WindowLimits&) const = default;
};

/// Our DATA that the other end has not acknowledged, kept for a replay.
class SendWindow {
 public:
  struct Held {
    std::uint64_t seq = 0;
    bool text = false;
    Bytes payload;  // valid until the next push() or acknowledge()
  };
  /// Where a link stands in the window: the next message it has to send. Stays valid over push() and
  /// acknowledge(). 16 bytes.
  struct Cursor {
    std::uint64_t next = 1;
    std::uint64_t offset = 0;  // in all bytes ever held, with kMarkBytes before each message
  };
  static constexpr std::size_t kMarkBytes = sizeof(std::uint32_t);
  enum class Ack : std::uint8_t {
    nothing,  // what was known already, or less (a lower one is ignored)
    freed,    // messages left the window
    beyond,   // more than was ever sent: a bad frame; nothing changed
  };

  explicit SendWindow(WindowLimits limits, std::uint64_t sent = 0);

  /// May a message of so many bytes be sent now? One larger than the window never may.
  bool has_room(std::size_t bytes) const;
  /// Takes a copy and numbers it. Only with has_room(), or into an empty window (asserted).
  std::uint64_t push(Bytes payload, bool text);
  Ack acknowledge(std::uint32_t wire);
  /// The same for a count that came whole.
  Ack acknowledge_count(std::uint64_t count);

  std::uint64_t sent() const { return sent_; }    // the last number given; 0 before the first
  std::uint64_t acked() const { return acked_; }  // 1 to acked_ were accepted by the other end
  std::size_t held_messages() const { return static_cast<std::size_t>(sent_ - acked_); }
  /// Of payload; what `limits.bytes` bounds.
  std::size_t held_bytes() const { return held_bytes_; }
  /// Bytes of memory in use for it, for a budget over all sessions.
  std::size_t memory_bytes() const { return capacity_; }
  const WindowLimits& limits() const { return limits_; }
  void set_limits(WindowLimits limits) { limits_ = limits; }

  /// At the message `seq`, which is held (acked < seq <= sent + 1). Walks from the front.
  Cursor at(std::uint64_t seq) const;
  /// At the end: what is pushed from now on.
  Cursor end() const { return {sent_ + 1, freed_ + used_}; }
  bool more(const Cursor& cursor) const { return cursor.next <= sent_ && acked_ < sent_; }
  /// The message there (only if more()), and moves the cursor behind it. A cursor that acknowledgements have
  /// overtaken goes on at the first message that is held.
  Held take(Cursor& cursor) const;

  /// A new owner of the counts: nothing is held, numbering goes on behind `sent` (a client that lost its
  /// memory).
  void restart(std::uint64_t sent);
  /// Gives back memory that is kept for reuse while nothing is held.
  void shrink();

 private:
  // The messages stand one behind the other in one block: u32 (length << 1 | text), payload.
  std::unique_ptr<char[]> block_;
  std::uint32_t begin_ = 0, used_ = 0, capacity_ = 0;
  std::uint32_t held_bytes_ = 0;
  std::uint64_t freed_ = 0;  // bytes of the block's language that have left it since the beginning
  std::uint64_t sent_ = 0, acked_ = 0;
  WindowLimits limits_;

  char* grow(std::size_t bytes);
  std::uint32_t mark_at(std::size_t offset) const;
};

/// What came from the other end.
class ReceiveCounts {
 public:
  enum class Seen : std::uint8_t {
    expected,   // take it: read() has grown
    duplicate,  // it was read before: drop it, and count that
    ahead,      // something is missing before it: a bad frame
  };
  explicit ReceiveCounts(std::uint64_t read = 0) : read_(read), accepted_(read) {}

  Seen observe(std::uint32_t wire_seq);
  /// `count` more of what was read were handed on for good. Never beyond read() (asserted).
  void accept(std::uint64_t count = 1);

  std::uint64_t read() const { return read_; }
  std::uint64_t accepted() const { return accepted_; }
  /// Read and not accepted yet: the other end may have at most a window of those.
  std::uint64_t pending() const { return read_ - accepted_; }
  void restart(std::uint64_t read) { read_ = accepted_ = read; }

 private:
  std::uint64_t read_, accepted_;
};

/// When an acknowledgement must leave without a frame to ride on: after 32 messages, 16 KiB or a quarter of
/// the window at once, else when the timer (200 ms after the first that is owed) finds it still owed.
class AckDebt {
 public:
  enum class Due : std::uint8_t { nothing, later, now };

  explicit AckDebt(std::uint64_t told = 0) : told_(told) {}

  /// A new link owes its acks anew.
  void new_link() { owes_all_ = true; }
  /// A message of `bytes` was accepted.
  void owe(std::size_t bytes);
  /// A frame left that bears the acknowledgement `accepted`.
  void told(std::uint64_t accepted);
  Due due(const ReceiveCounts& counts, const WindowLimits& window) const;
  std::uint64_t told_count() const { return told_; }

 private:
  std::uint64_t told_;
  std::uint32_t bytes_ = 0;
  bool owes_all_ = false;
};

/// Both directions of one end.
struct Conversation {
  explicit Conversation(WindowLimits limits, std::uint64_t sent = 0, std::uint64_t received = 0)
      : out(limits, sent), in(received), debt(received) {}
  SendWindow out;
  ReceiveCounts in;
  AckDebt debt;

  AckDebt::Due ack_due() const { return debt.due(in, out.limits()); }
};

}  // namespace rejoin::session
