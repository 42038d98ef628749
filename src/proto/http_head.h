// Heads of HTTP/1.1 and HTTP/1.0 messages (RFC 9112): the start line and the fields, up to and with the empty
// line.
//
// First stop of every layer-7 byte: serve_client and the gateway feed what arrived; the head says
// `need_more`, `complete` or `refused`. Strict by construction: what two programs on the path could read in
// two ways is refused, never guessed, because a request that the balancer and the server cut differently is a
// request smuggled past everybody.
//
// Owner: the coroutine that begins a connection. The object is about 1.4 KiB, holds no memory besides and
// copies no byte: it keeps offsets into the bytes it was fed. One thread at a time.
//
//     RequestHead head;
//     HeadVerdict verdict = head.feed(buffer.view());      // again, with more behind the same bytes, while
//     need_more if (verdict.state == HeadState::complete) {
//       Bytes host = head.host();
//       for (const Field& cookie : head.all(KnownField::cookie)) use(head.value(cookie));
//       Bytes body_begins = buffer.view().substr(verdict.consumed);
//     }
#pragma once

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "base/limits.h"
#include "proto/http_names.h"

namespace rejoin::proto {

enum class HeadState : std::uint8_t { need_more, complete, refused };

/// What feed() says.
struct HeadVerdict {
  HeadState state = HeadState::need_more;
  /// complete: how many of the fed bytes are the head (an ignored empty line before it included). The body
  /// begins there.
  std::uint32_t consumed = 0;
  /// refused: the status to answer with: 400 malformed or ambiguous, 414 request line too long, 431 head too
  /// large or too many fields, 501 a transfer coding that we do not speak, 505 a version that we do not
  /// speak. For a response it is always 502, which is what a proxy tells its client then. The connection must
  /// be closed: where the next message begins is unknown.
  std::uint16_t status = 0;
  /// refused: the rule that was broken, in a few words; a static text, for logs and counters.
  const char* reason = "";
};

/// One field line, as offsets from the first byte of the head.
struct Field {
  std::uint16_t name_begin;
  std::uint16_t name_length;
  std::uint16_t value_begin;  // without the spaces and tabs around the value
  std::uint16_t value_length;
  KnownField known;
};
static_assert(sizeof(Field) == 10);
static_assert(limits::kHeadBytesMax <= 0xffff, "Field keeps 16-bit offsets");

enum class BodyKind : std::uint8_t {
  none,         // the message ends with its head
  length,       // exactly Body::length bytes follow, at least one
  chunked,      // RFC 9112 7.1: see ChunkScanner
  until_close,  // a response that ends when its connection does
  tunnel,       // after 101, and after 2xx to CONNECT: no longer HTTP
};

/// How long the body behind a head is (RFC 9112 6.3).
struct Body {
  BodyKind kind = BodyKind::none;
  std::uint64_t length = 0;  // of BodyKind::length
};

/// How much of a head is taken: beyond either it is 431.
struct HeadLimits {
  std::uint16_t bytes = limits::kHeadBytesMax;
  std::uint16_t fields = limits::kHeadFieldsMax;
};

/// What requests and responses have in common: fields, and what `Connection` and the framing fields said.
///
/// Everything but feed() may be asked only after it said `complete`.
class Head {
 public:
  Head(const Head&) = default;
  Head& operator=(const Head&) = default;

  /// The whole head, from the start line to the empty line with its CRLF.
  Bytes bytes() const { return bytes_; }
  /// The bytes of the head were moved: `bytes` are the same bytes at another place. Every view taken before
  /// is dead.
  void rebind(Bytes bytes);
  /// The start line without its CRLF.
  Bytes start_line() const { return bytes_.substr(0, start_line_length_); }

  std::span<const Field> fields() const { return {fields_.data(), count_}; }
  Bytes name(const Field& field) const { return bytes_.substr(field.name_begin, field.name_length); }
  /// Trimmed of spaces and tabs. Free of control characters but tabs; may hold bytes from 0x80 on (RFC
  /// 9110 5.5).
  Bytes value(const Field& field) const { return bytes_.substr(field.value_begin, field.value_length); }
  /// The place of `field` in fields().
  std::size_t index_of(const Field& field) const { return static_cast<std::size_t>(&field - fields_.data()); }

  bool has(KnownField known) const { return (present_ & bit(known)) != 0; }
  /// The first field of this name, or nullptr.
  const Field* find(KnownField known) const { return find_from(fields_.data(), known); }
  /// The same for a name that is not a KnownField. Letters' case is ignored.
  const Field* find(Bytes name) const;
  /// The value of the first field of this name; empty when there is none.
  Bytes value_of(KnownField known) const;

  /// Fields of one name in the order in which they came: `for (const Field& cookie :
  /// head.all(KnownField::cookie))`.
  class SameName;
  SameName all(KnownField known) const;

  /// 0 or 1: HTTP/1.0 or HTTP/1.1. Other versions are refused.
  int minor_version() const { return minor_version_; }
  /// The one Content-Length; nothing when there is none.
  std::optional<std::uint64_t> content_length() const;
  /// `Transfer-Encoding: chunked`, which is the only coding that is let through.
  bool chunked() const { return has(KnownField::transfer_encoding); }
  /// May the connection carry another message after this one, as far as this side says (RFC 9112 9.3)? In
  /// HTTP/1.1 unless `close` is said, in HTTP/1.0 only if `keep-alive` is said. A response until_close ends
  /// it besides.
  bool keep_alive() const;
  /// `Connection` has the option `upgrade`.
  bool connection_upgrade() const { return (connection_ & kSaysUpgrade) != 0; }
  /// True if a `Connection` field names `name`, so that the field of that name is for this hop only (RFC
  /// 9110 7.6.1).
  bool named_by_connection(Bytes name) const;
  /// False when named_by_connection() is false for every name but close, keep-alive and upgrade: the usual
  /// case.
  bool connection_names_fields() const { return (connection_ & kNamesFields) != 0; }

 protected:
  Head() {}  // leaves fields_ as they are: they are written before they are counted
  ~Head() = default;

  template <typename HeadType>
  friend class HeadReader;

  enum class Phase : std::uint8_t { start_line, fields, complete, refused };
  enum ConnectionBit : std::uint8_t {
    kSaysClose = 1,
    kSaysKeepAlive = 2,
    kSaysUpgrade = 4,
    kNamesFields = 8
  };

  static std::uint64_t bit(KnownField known) { return std::uint64_t{1} << static_cast<int>(known); }
  const Field* end_of_fields() const { return fields_.data() + count_; }
  const Field* find_from(const Field* at, KnownField known) const;

  Bytes bytes_;
  HeadVerdict verdict_;
  std::uint64_t present_ = 0;  // bit(KnownField)
  std::uint64_t content_length_ = 0;
  std::uint32_t scanned_ = 0;  // every byte before it was looked at, and is part of a whole line or harmless
  std::uint32_t line_begin_ = 0;  // of the line whose end has not come
  std::uint16_t start_line_length_ = 0;
  std::uint16_t count_ = 0;
  Phase phase_ = Phase::start_line;
  std::uint8_t connection_ = 0;
  std::uint8_t minor_version_ = 1;
  std::uint8_t connection_options_ = 0;
  std::uint8_t skipped_ = 0;  // bytes of an empty line before the head
  HeadLimits limits_;
  std::array<Field, limits::kHeadFieldsMax> fields_;
};

class Head::SameName {
 public:
  class Iterator {
   public:
    Iterator(const Head& head, const Field* at, KnownField known) : head_(&head), at_(at), known_(known) {}
    const Field& operator*() const { return *at_; }
    Iterator& operator++() {
      at_ = head_->find_from(at_ + 1, known_);
      return *this;
    }
    bool operator==(const Iterator& other) const { return at_ == other.at_; }

   private:
    const Head* head_;
    const Field* at_;
    KnownField known_;
  };
  Iterator begin() const { return {head_, head_.find(known_), known_}; }
  Iterator end() const { return {head_, nullptr, known_}; }

 private:
  friend class Head;
  SameName(const Head& head, KnownField known) : head_(head), known_(known) {}
  const Head& head_;
  KnownField known_;
};
inline Head::SameName Head::all(KnownField known) const { return {*this, known}; }

/// Methods that somebody asks for by name; any other is `other` and passes as text. The case of letters
/// counts (RFC 9110 9.1), and a method that is not of capital letters, digits, '-' and '_' is refused.
enum class Method : std::uint8_t { other, get, head, post, put, delete_, connect, options, trace, patch };

/// RFC 9112 3.2. Which form goes with which method is checked.
enum class TargetForm : std::uint8_t { origin, absolute, authority, asterisk };

/// The head of a request.
///
/// Refused besides what the grammar of RFC 9112 forbids, as it forbids it: a target with bytes outside RFC
/// 3986; both Content-Length and Transfer-Encoding; either of them twice, equal or not; a length with sign,
/// leading zero, list or more than 18 digits; a transfer coding other than exactly `chunked`, and any in
/// HTTP/1.0; no Host, two, an empty one or one that is not a host with an optional port; a Host that differs
/// from the authority in the target; obs-fold; a `Connection` that names a field which must not be dropped;
/// names that turn into a protected one when '_' is read as
/// '-' (see FieldTraits); bare CR, bare LF and control characters anywhere.
///
/// One empty line before the request line is ignored: RFC 9112 2.2 asks for it (old clients send one behind a
/// body), and it cannot change where a message begins. A second one is refused, as no sender of that kind
/// makes two.
class RequestHead : public Head {
 public:
  RequestHead() {}
  /// A listener's own bounds, at most those of base/limits.h (asserted).
  explicit RequestHead(HeadLimits most) {
    assert(most.bytes <= limits::kHeadBytesMax && most.fields <= limits::kHeadFieldsMax);
    limits_ = most;
  }

  /// `bytes` are all the bytes since the message's first one, not only the new ones; they may lie elsewhere
  /// than at the call before, and more may follow than the head. Looks at each byte once, however it arrives:
  /// the cost over all calls is linear, and no wrong line waits for the next one. The verdict does not depend
  /// on how the bytes were cut. After `complete` or `refused` the answer stays the same; a new message needs
  /// a new object.
  HeadVerdict feed(Bytes bytes);

  Method method() const { return method_; }
  Bytes method_text() const { return bytes_.substr(0, method_length_); }
  /// The request target as it came.
  Bytes target() const { return bytes_.substr(target_begin_, target_length_); }
  TargetForm target_form() const { return target_form_; }
  /// Path and query: what a request in origin-form would have said. For absolute-form the part behind the
  /// authority
  /// ("/" when there is none, or "*" for OPTIONS, RFC 9112 3.2.4); for `*` that; empty for CONNECT.
  Bytes path_and_query() const;
  /// Whom the client wants: the authority of an absolute-form or CONNECT target, else the Host field; empty
  /// only in HTTP/1.0 without Host. Host and optional port, checked.
  Bytes host() const;

  /// RFC 9112 6.3: a request without framing fields has no body. `Content-Length: 0` is BodyKind::none too.
  Body body() const;
  /// `Expect: 100-continue` in HTTP/1.1 (RFC 9110 10.1.1).
  bool expects_continue() const;
  /// `Connection: upgrade` and an Upgrade field, in HTTP/1.1 (RFC 9110 7.8: a server ignores it in 1.0).
  bool wants_upgrade() const;
  /// wants_upgrade(), method GET, no body, and `websocket` is the one protocol asked for (RFC 6455 4.1).
  /// Whether the handshake is right in the rest is for ws_handshake.h to say.
  bool wants_websocket() const;

 private:
  template <typename HeadType>
  friend class HeadReader;

  std::uint16_t target_begin_ = 0;
  std::uint16_t target_length_ = 0;
  std::uint16_t method_length_ = 0;
  std::uint16_t authority_begin_ = 0;  // in the target; of the absolute and authority forms
  std::uint16_t authority_length_ = 0;
  Method method_ = Method::other;
  TargetForm target_form_ = TargetForm::origin;
};

/// The head of a response.
///
/// The rules of RequestHead for fields hold here too, and: a status outside 100..599 is refused; so is a
/// Transfer-Encoding, or a Content-Length other than 0, in a 1xx or 204 (RFC 9112 6.1, RFC 9110 8.6: the next
/// reader could take the bytes behind it for a body); so is Transfer-Encoding in HTTP/1.0. Nothing is skipped
/// before the status line.
class ResponseHead : public Head {
 public:
  ResponseHead() {}

  /// As RequestHead::feed().
  HeadVerdict feed(Bytes bytes);

  int status() const { return status_; }
  /// The text behind the status; may be empty.
  Bytes reason() const { return start_line().substr(13); }
  /// 1xx but 101: another response follows for the same request (RFC 9110 15.2).
  bool interim() const { return status_ < 200 && status_ != 101; }
  /// How the body is delimited, given the method of the request that this answers (RFC 9112 6.3): none for
  /// HEAD, 1xx, 204 and 304 whatever the fields say; tunnel for 101 and for 2xx to CONNECT.
  Body body(Method request_method) const;

 private:
  template <typename HeadType>
  friend class HeadReader;

  std::uint16_t status_ = 0;
};

}  // namespace rejoin::proto
