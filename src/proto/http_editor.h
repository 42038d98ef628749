// What a proxy changes in a head before it sends it on: fields dropped, replaced and added, the hop-by-hop
// ones first.
//
// Place on the path: between RequestHead/ResponseHead and the socket. The head's bytes stay where they are; a
// HeadEdits only notes what shall differ, and write() copies old bytes and new ones, each once, into the
// outgoing buffer. When nothing was noted (`empty()`), send head.bytes() itself: nothing is copied then.
//
// Owner: the coroutine that relays the message. About 2 KiB, no memory besides, one thread.
//
//     HeadEdits edits(head);
//     hop_by_hop(head, edits, NextHop::persist);
//     edits.append("X-Forwarded-For", edits.keep(client_ip));
//     Status sent = edits.write(buffer);
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/result.h"
#include "proto/http_head.h"

namespace rejoin::proto {

/// Fields that a proxy replaces or adds in one head (dropped ones do not count): its own, and what the
/// operator's rules say.
inline constexpr std::size_t kEditsMax = 64;

/// A new value in up to three pieces, written one behind the other, so that "all but our cookie" or "prefix
/// and old value" need no copy. Each piece is borrowed until the last write().
struct Pieces {
  Pieces(Bytes first, Bytes second = {}, Bytes third = {}) : parts{first, second, third} {}
  Pieces(const char* text) : Pieces(Bytes(text)) {}
  std::array<Bytes, 3> parts;
  std::size_t size() const { return parts[0].size() + parts[1].size() + parts[2].size(); }
};

/// The changes to one head.
///
/// Names and values given here are *borrowed*: they must live until the last write(), unless they come from
/// keep(). The head must not be rebound or die between. A later edit of the same field wins over an earlier
/// one.
///
/// Failure is remembered, not thrown: the edit methods return nothing, and write() tells the first failure:
/// more than kEditsMax replaced and added fields, keep() without room, or a text that would break
/// the head (control characters in a value, a name that is no token): ErrorKind::exhausted or bad_input, side
/// `ours`.
class HeadEdits {
 public:
  explicit HeadEdits(const RequestHead& head);
  explicit HeadEdits(const ResponseHead& head);
  HeadEdits(const HeadEdits&) = delete;  // keep() gives out views into the object
  HeadEdits& operator=(const HeadEdits&) = delete;

  /// True while nothing differs from the head as it came.
  bool empty() const { return edit_count_ == 0 && dropped_.none() && !start_edited_ && !raised_; }

  /// The field line goes away. `field` is one of the head's fields().
  void drop(const Field& field);
  /// Every field of this name goes away; appended ones stay.
  void drop_all(KnownField known);
  /// The field keeps its name and place and gets another value. Undoes a drop().
  void replace_value(const Field& field, Pieces value);
  /// A new field line behind the others. `name` is a token, written as given.
  void append(Bytes name, Pieces value);
  /// Every field of this name goes away, appended ones too.
  void drop_all(Bytes name);
  /// The first field of this name, be it the head's or an appended one, gets the value, and the others go
  /// away; appended when there is none.
  void set(Bytes name, Pieces value);
  /// The field's line is written as `Name: value` if it came otherwise (spaces, tabs), so that nobody behind
  /// us reads another value. For what frames a message.
  void tidy(const Field& field);
  /// The head says HTTP/1.1, whatever it came with (RFC 9112 2.3: a proxy sends its own version).
  void speak_1_1() { raised_ = head_.minor_version() == 0; }
  /// The first field of this name gets the value and the others are dropped; appended when there is none.
  void set(KnownField known, Pieces value);
  /// Another target in the request line. No spaces and control characters, not empty. Requests only
  /// (asserted).
  void replace_target(Bytes target);
  /// Another reason phrase in the status line. Responses only (asserted).
  void replace_reason(Bytes reason);

  /// Copies `text` into the object (limits::kHeadEditsKeptBytesMax in all), for values that would not live
  /// long enough. Returns the copy; empty, and write() fails, when there is no room.
  Bytes keep(Bytes text);

  /// Exactly how many bytes write() will write.
  std::size_t size() const;
  /// Writes the edited head, with its empty line, to the front of `out`; how many bytes. An error
  /// `exhausted`, with nothing useful in `out`, when there is less room than size(); otherwise the first
  /// failure of an edit.
  Result<std::size_t> write(MutableBytes out) const;
  /// The same behind what `out` holds already; on failure `out` is as before.
  Status write(Buffer& out) const;

 private:
  struct Edit {
    std::uint16_t field = 0;  // index in the head's fields(), or kAppended
    Bytes name;               // of an appended field
    Pieces value{Bytes{}};
  };
  static constexpr std::uint16_t kAppended = 0xffff;

  HeadEdits(const Head& head, bool is_request, Bytes before, Bytes variable, Bytes after);
  void note(std::uint16_t field, Bytes name, const Pieces& value);
  const Edit* edit_of(std::size_t field) const;
  std::size_t line_end(std::size_t index) const;
  char* write_start(char* at) const;
  const Edit* edits() const { return reinterpret_cast<const Edit*>(edits_.data()); }
  Edit* edits() { return reinterpret_cast<Edit*>(edits_.data()); }
  std::size_t replaced_size(std::size_t index) const;
  void fail(ErrorKind kind, const char* why);

  const Head& head_;
  // The start line as three pieces, of which the middle one can be replaced: method, target, version; or
  // version and status, reason, nothing.
  Bytes before_, variable_, after_;
  bool is_request_;
  bool start_edited_ = false;
  bool raised_ = false;
  std::uint16_t edit_count_ = 0;
  std::uint16_t kept_ = 0;
  ErrorKind failure_kind_ = ErrorKind::exhausted;
  const char* failure_ = nullptr;
  std::bitset<limits::kHeadFieldsMax> dropped_;
  std::bitset<limits::kHeadFieldsMax> replaced_;
  // Made as they are noted: to clear all of them for each head would cost more than the edits do.
  alignas(Edit) std::array<std::byte, kEditsMax * sizeof(Edit)> edits_;
  std::array<char, limits::kHeadEditsKeptBytesMax> kept_bytes_;
};

/// What the head shall say about the connection that it is sent on.
enum class NextHop : std::uint8_t {
  /// The connection stays. HTTP/1.1 says so by saying nothing; a head that goes as HTTP/1.0 gets
  /// `Connection: keep-alive`.
  persist,
  /// It stays, and the other side speaks HTTP/1.0 (a response to a 1.0 client): `Connection: keep-alive`.
  persist_aloud,
  /// It ends after this message: `Connection: close`.
  close,
  /// A protocol change is passed on (a request that wants it, or the 101): `Connection: upgrade`, and Upgrade
  /// stays.
  upgrade,
};

/// Drops what is about the hop on which the head came (RFC 9110 7.6.1): the fields that `Connection` names,
/// and Connection, Keep-Alive, Proxy-Connection, TE and Upgrade; then says what `next` means in words.
///
/// The head goes on as HTTP/1.1; a request of HTTP/1.0 without Host, which HTTP/1.1 does not allow, stays
/// what it is. What frames the message (Content-Length, Transfer-Encoding, Host) is written in its plainest
/// form.
///
/// Two stay on purpose. Transfer-Encoding, because we relay a chunked body as it is, and with it Trailer (RFC
/// 9110 6.6.2), because the trailers pass too. Framing fields cannot be dropped by naming them in
/// `Connection`: such heads are refused. From a response of 1xx or 204 a `Content-Length: 0` is dropped (RFC
/// 9110 8.6 forbids it there).
void hop_by_hop(const RequestHead& head, HeadEdits& edits, NextHop next);
void hop_by_hop(const ResponseHead& head, HeadEdits& edits, NextHop next);

}  // namespace rejoin::proto
