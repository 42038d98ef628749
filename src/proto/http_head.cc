#include "proto/http_head.h"

#include <algorithm>
#include <cassert>
#include <type_traits>

#include "proto/http_scan.h"
#include "proto/http_target.h"

namespace rejoin::proto {
namespace {

/// Nothing wrong while `reason` is null.
struct Refusal {
  std::uint16_t status = 0;
  const char* reason = nullptr;
  explicit operator bool() const { return reason != nullptr; }
};

constexpr std::uint64_t mask_of(KnownField known) { return std::uint64_t{1} << static_cast<int>(known); }

// The fields whose value decides something while the head is read; the others are only noted.
constexpr std::uint64_t kFraming =
    mask_of(KnownField::content_length) | mask_of(KnownField::transfer_encoding);

constexpr std::size_t kLengthDigitsMax = 18;  // below 10^18: sums with head and chunk sizes cannot overflow

bool is_digit(char byte) { return byte >= '0' && byte <= '9'; }
bool is_space(char byte) { return byte == ' ' || byte == '\t'; }

/// RFC 9112 2.3: "HTTP/" DIGIT "." DIGIT, in capitals, eight bytes.
Refusal read_version(Bytes text, std::uint8_t& minor) {
  if (text.size() != 8 || text.substr(0, 5) != "HTTP/" || !is_digit(text[5]) || text[6] != '.' ||
      !is_digit(text[7])) {
    return {400, "malformed HTTP version"};
  }
  if (text[5] != '1' || text[7] > '1') return {505, "HTTP version other than 1.0 and 1.1"};
  minor = static_cast<std::uint8_t>(text[7] - '0');
  return {};
}

/// Methods are case-sensitive tokens, and every registered one is of capitals and '-'. Digits and '_' are let
/// through beside them; "get" is refused, as some servers take it for GET and others do not.
bool is_method(Bytes text) {
  if (text.empty() || text[0] < 'A' || text[0] > 'Z') return false;
  return std::ranges::all_of(text, [](char byte) {
    return (byte >= 'A' && byte <= 'Z') || is_digit(byte) || byte == '-' || byte == '_';
  });
}

Method method_of(Bytes text) {
  switch (text.size()) {
    case 3: return text == "GET" ? Method::get : text == "PUT" ? Method::put : Method::other;
    case 4: return text == "POST" ? Method::post : text == "HEAD" ? Method::head : Method::other;
    case 5: return text == "PATCH" ? Method::patch : text == "TRACE" ? Method::trace : Method::other;
    case 6: return text == "DELETE" ? Method::delete_ : Method::other;
    case 7: return text == "OPTIONS" ? Method::options : text == "CONNECT" ? Method::connect : Method::other;
    default: return Method::other;
  }
}

/// Only "chunked" passes. What is well-formed otherwise is a coding that we do not speak (501); what another
/// reader could take for chunked or for nothing (`chunked, identity`, `,chunked`, `chunked;q=1`) is an attack
/// or a bug.
Refusal check_transfer_encoding(Bytes value) {
  if (equals_ignoring_case(value, "chunked")) return {};
  bool was_chunked = false;
  Bytes item;
  while (next_list_item(value, item)) {
    const std::size_t semicolon = item.find(';');
    const Bytes coding = trim_ows(item.substr(0, semicolon));
    if (was_chunked) return {400, "Transfer-Encoding goes on behind chunked"};
    if (!is_token(coding)) return {400, "malformed Transfer-Encoding"};
    was_chunked = equals_ignoring_case(coding, "chunked");
    if (was_chunked && semicolon != Bytes::npos) return {400, "Transfer-Encoding: chunked with a parameter"};
  }
  return {501, "Transfer-Encoding other than chunked"};
}

Refusal read_content_length(Bytes value, std::uint64_t& length) {
  if (value.empty() || !std::ranges::all_of(value, is_digit)) return {400, "Content-Length is not a number"};
  if (value[0] == '0' && value.size() > 1) return {400, "Content-Length with a leading zero"};
  if (value.size() > kLengthDigitsMax) return {400, "Content-Length is too large"};
  length = 0;
  for (char byte : value) length = length * 10 + static_cast<std::uint64_t>(byte - '0');
  return {};
}

/// See FieldTraits::is_protected.
bool reads_as_protected(Bytes name) {
  char dashed[32];
  if (name.size() > sizeof dashed) return false;  // longer than every known name
  std::ranges::replace_copy(name, dashed, '_', '-');
  return traits_of(known_field({dashed, name.size()})).is_protected;
}

}  // namespace

// Reads a head line by line, each as soon as its end has come. The lines before a wrong byte are judged
// before it, so that the first fault in byte order decides, and the cuts do not matter.
template <typename HeadType>
class HeadReader {
 public:
  HeadReader(HeadType& head, Bytes bytes) : head_(head), bytes_(bytes) { head_.bytes_ = bytes; }

  HeadVerdict read() {
    using Phase = Head::Phase;
    const std::size_t limit = std::min<std::size_t>(bytes_.size(), head_.limits_.bytes);
    ControlFinder finder(bytes_.data(), head_.scanned_, limit);
    std::size_t at;
    while ((at = finder.next()) != ControlFinder::kNone) {
      if (head_.phase_ == Phase::start_line && at > limits::kRequestLineBytesMax)
        return refuse(start_line_too_long());
      const char byte = bytes_[at];
      if (byte == '\t') continue;  // good in a value; whoever reads another part of a line looks for it
      if (byte == '\n') return refuse({400, "LF without CR"});
      if (byte != '\r') return refuse({400, "control character"});
      if (at + 1 == limit) {
        head_.scanned_ = static_cast<std::uint32_t>(at);  // judged again when the next byte is here
        return out_of_bytes(limit);
      }
      if (bytes_[at + 1] != '\n') return refuse({400, "CR without LF"});
      finder.skip();  // that LF
      const std::size_t begin = head_.line_begin_;
      head_.line_begin_ = static_cast<std::uint32_t>(at + 2);
      if (begin == at && head_.phase_ == Phase::fields) return finish(at + 2);
      if (const Refusal wrong = line(begin, at)) return refuse(wrong);
    }
    head_.scanned_ = static_cast<std::uint32_t>(limit);
    return out_of_bytes(limit);
  }

 private:
  // Host says nothing in a response.
  static constexpr bool kIsRequest = std::is_same_v<HeadType, RequestHead>;
  static constexpr std::uint64_t kOnce = kFraming | (kIsRequest ? mask_of(KnownField::host) : 0);
  static constexpr std::uint64_t kRead = kOnce | mask_of(KnownField::connection);

  Refusal line(std::size_t begin, std::size_t end) {
    if (head_.phase_ == Head::Phase::fields) return field_line(begin, end);
    head_.phase_ = Head::Phase::fields;
    head_.start_line_length_ = static_cast<std::uint16_t>(end);
    return start_line(head_, bytes_.substr(0, end));
  }

  // --- the start line ---

  static Refusal start_line(RequestHead& head, Bytes line) {
    const std::size_t space = find_near(line.data(), line.size(), line.size(), ' ');
    const Bytes method = line.substr(0, space);
    head.method_ = method_of(method);
    if (head.method_ == Method::other && !is_method(method)) {
      return {400, line.empty() ? "more than one empty line before the request" : "malformed method"};
    }
    // The version has a fixed length, so what is between is the target, and a third space falls into it.
    constexpr std::size_t kVersionBytes = 8;
    if (line.size() < method.size() + 2 + kVersionBytes || line[line.size() - kVersionBytes - 1] != ' ') {
      return {400, "request line is not method, target and version"};
    }
    if (const Refusal wrong = read_version(line.substr(line.size() - kVersionBytes), head.minor_version_))
      return wrong;
    const std::size_t begin = method.size() + 1;
    head.method_length_ = static_cast<std::uint16_t>(method.size());
    head.target_begin_ = static_cast<std::uint16_t>(begin);
    head.target_length_ = static_cast<std::uint16_t>(line.size() - kVersionBytes - 1 - begin);
    return request_target(head);
  }

  static Refusal request_target(RequestHead& head) {
    const Bytes target = head.target();
    if (!is_target_text(target)) return {400, "request target with a byte that no URI has"};
    if (head.method_ == Method::connect) {
      if (!is_authority_with_port(target)) return {400, "CONNECT needs host:port"};
      head.target_form_ = TargetForm::authority;
      head.authority_begin_ = 0;
      head.authority_length_ = head.target_length_;
      return {};
    }
    if (target[0] == '/') {
      head.target_form_ = TargetForm::origin;
      return {};
    }
    if (target == "*") {
      head.target_form_ = TargetForm::asterisk;
      return head.method_ == Method::options ? Refusal{} : Refusal{400, "target * is for OPTIONS only"};
    }
    const auto absolute = read_absolute_target(target);
    if (!absolute) return {400, "request target is neither a path nor an http URI"};
    head.target_form_ = TargetForm::absolute;
    head.authority_begin_ = static_cast<std::uint16_t>(absolute->authority_begin);
    head.authority_length_ = static_cast<std::uint16_t>(absolute->authority_length);
    return {};
  }

  static Refusal start_line(ResponseHead& head, Bytes line) {
    // "HTTP/1.1 200 " and the reason, which may be empty, but not its space (RFC 9112 4).
    if (line.size() < 13 || line[8] != ' ' || line[12] != ' ' || !is_digit(line[9]) || !is_digit(line[10]) ||
        !is_digit(line[11])) {
      return {502, "malformed status line"};
    }
    if (const Refusal wrong = read_version(line.substr(0, 8), head.minor_version_)) return wrong;
    head.status_ =
        static_cast<std::uint16_t>((line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0'));
    if (head.status_ < 100 || head.status_ > 599) return {502, "status outside 100 to 599"};
    return {};
  }

  Refusal start_line_too_long() const { return {414, "start line too long"}; }

  // --- a field line ---

  Refusal field_line(std::size_t begin, std::size_t end) {
    const char* text = bytes_.data();
    if (is_space(text[begin])) return {400, head_.count_ == 0 ? "space before the first field" : "obs-fold"};
    if (head_.count_ == head_.limits_.fields) return {431, "too many fields"};

    const std::size_t length = find_near(text + begin, end - begin, bytes_.size() - begin, ':');
    if (length == end - begin) return {400, "field line without colon"};
    const Bytes name(text + begin, length);
    const KnownField known = known_field(name.data(), length, bytes_.size() - begin);
    if (known == KnownField::other) {
      if (const Refusal wrong = unknown_name(name)) return wrong;
    }

    std::size_t from = begin + length + 1, to = end;
    while (from < to && is_space(text[from])) ++from;
    while (from < to && is_space(text[to - 1])) --to;
    // Member by member: GCC 12 would build the ten bytes aside in two-byte stores and copy them by an
    // eight-byte load, which waits for all of those stores (some 35 ns in a head of 14 fields).
    Field& field = head_.fields_[head_.count_++];
    field.name_begin = static_cast<std::uint16_t>(begin);
    field.name_length = static_cast<std::uint16_t>(length);
    field.value_begin = static_cast<std::uint16_t>(from);
    field.value_length = static_cast<std::uint16_t>(to - from);
    field.known = known;
    const std::uint64_t seen = head_.present_;
    head_.present_ |= mask_of(known);
    if ((mask_of(known) & kRead) == 0) return {};
    if ((mask_of(known) & kOnce & seen) != 0) return {400, twice(known)};
    return meaning(known, {text + from, to - from});
  }

  static Refusal unknown_name(Bytes name) {
    if (!is_token(name)) {
      if (name.empty()) return {400, "empty field name"};
      return {400,
              is_space(name.back()) ? "space before the colon" : "field name with a byte that no token has"};
    }
    if (name.find('_') != Bytes::npos && reads_as_protected(name)) {
      return {400, "field name that some servers read as a protected one"};
    }
    return {};
  }

  static const char* twice(KnownField known) {
    switch (known) {
      case KnownField::host: return "more than one Host";
      case KnownField::content_length: return "more than one Content-Length";
      default: return "more than one Transfer-Encoding";
    }
  }

  Refusal meaning(KnownField known, Bytes value) {
    switch (known) {
      case KnownField::host:
        if (is_authority(value)) return {};
        return {400, value.empty() ? "empty Host" : "malformed Host"};
      case KnownField::content_length:
        if (head_.chunked()) return {400, "both Content-Length and Transfer-Encoding"};
        return read_content_length(value, head_.content_length_);
      case KnownField::transfer_encoding:
        if (head_.has(KnownField::content_length)) return {400, "both Content-Length and Transfer-Encoding"};
        if (head_.minor_version_ == 0) return {400, "Transfer-Encoding in HTTP/1.0"};
        return check_transfer_encoding(value);
      default: return connection(value);
    }
  }

  Refusal connection(Bytes list) {
    Bytes option;
    while (next_list_item(list, option)) {
      if (option.empty()) continue;  // RFC 9110 5.6.1.2: a few empty items are to be ignored
      if (!is_token(option)) return {400, "Connection is not a list of tokens"};
      if (++head_.connection_options_ > limits::kConnectionOptionsMax)
        return {400, "too many connection options"};
      if (equals_ignoring_case(option, "close")) {
        head_.connection_ |= Head::kSaysClose;
      } else if (equals_ignoring_case(option, "keep-alive")) {
        head_.connection_ |= Head::kSaysKeepAlive;
      } else if (equals_ignoring_case(option, "upgrade")) {
        head_.connection_ |= Head::kSaysUpgrade;
      } else {
        head_.connection_ |= Head::kNamesFields;
        const FieldTraits traits = traits_of(known_field(option));
        // A proxy that obeys would drop the length, the Host or the cookie of a message whose rest it passes
        // on.
        if (traits.is_protected && !traits.of_one_hop)
          return {400, "Connection names a field that must stay"};
      }
    }
    return {};
  }

  // --- the end ---

  HeadVerdict finish(std::size_t end) {
    head_.bytes_ = bytes_.substr(0, end);
    if (const Refusal wrong = whole(head_)) return refuse(wrong);
    head_.phase_ = Head::Phase::complete;
    head_.verdict_ = {HeadState::complete, static_cast<std::uint32_t>(head_.skipped_ + end), 0, ""};
    return head_.verdict_;
  }

  static Refusal whole(const RequestHead& head) {
    if (!head.has(KnownField::host)) {
      return head.minor_version_ == 0 ? Refusal{} : Refusal{400, "HTTP/1.1 without Host"};
    }
    if (head.authority_length_ != 0 && !equals_ignoring_case(head.host(), head.value_of(KnownField::host))) {
      return {400, "Host differs from the request target"};
    }
    return {};
  }

  static Refusal whole(const ResponseHead& head) {
    if (head.status_ >= 200 && head.status_ != 204) return {};
    if (head.chunked()) return {502, "Transfer-Encoding in a response that has no body"};
    if (head.content_length_ != 0) return {502, "Content-Length in a response that has no body"};
    return {};
  }

  HeadVerdict out_of_bytes(std::size_t limit) {
    const bool in_start_line = head_.phase_ == Head::Phase::start_line;
    // The byte at kRequestLineBytesMax may be the CR: only when it is there and is not, the line is too long.
    if (in_start_line && head_.scanned_ > limits::kRequestLineBytesMax) return refuse(start_line_too_long());
    if (limit == head_.limits_.bytes) return refuse({431, "head too large"});
    return {};
  }

  HeadVerdict refuse(Refusal refusal) {
    if (!kIsRequest) refusal.status = 502;
    head_.phase_ = Head::Phase::refused;
    head_.verdict_ = {HeadState::refused, 0, refusal.status, refusal.reason};
    return head_.verdict_;
  }

  HeadType& head_;
  const Bytes bytes_;
};

// --- both ---

void Head::rebind(Bytes bytes) {
  assert(bytes.size() == bytes_.size());
  bytes_ = bytes;
}

const Field* Head::find_from(const Field* at, KnownField known) const {
  if (!has(known)) return nullptr;
  for (; at != end_of_fields(); ++at) {
    if (at->known == known) return at;
  }
  return nullptr;
}

const Field* Head::find(Bytes wanted) const {
  for (const Field& field : fields()) {
    if (equals_ignoring_case(name(field), wanted)) return &field;
  }
  return nullptr;
}

Bytes Head::value_of(KnownField known) const {
  const Field* field = find(known);
  return field == nullptr ? Bytes{} : value(*field);
}

std::optional<std::uint64_t> Head::content_length() const {
  if (!has(KnownField::content_length)) return std::nullopt;
  return content_length_;
}

bool Head::keep_alive() const {
  if ((connection_ & kSaysClose) != 0) return false;
  return minor_version_ == 1 || (connection_ & kSaysKeepAlive) != 0;
}

bool Head::named_by_connection(Bytes wanted) const {
  for (const Field& field : all(KnownField::connection)) {
    if (list_has(value(field), wanted)) return true;
  }
  return false;
}

// --- requests ---

HeadVerdict RequestHead::feed(Bytes bytes) {
  if (phase_ == Phase::complete || phase_ == Phase::refused) return verdict_;
  if (skipped_ == 0 && phase_ == Phase::start_line && bytes.substr(0, 2) == "\r\n") {
    skipped_ = 2;
    scanned_ = 0;
  }
  return HeadReader<RequestHead>(*this, bytes.substr(skipped_)).read();
}

Bytes RequestHead::path_and_query() const {
  switch (target_form_) {
    case TargetForm::authority: return {};
    case TargetForm::absolute: {
      const Bytes rest = target().substr(authority_begin_ + authority_length_);
      if (!rest.empty()) return rest;
      return method_ == Method::options ? "*" : "/";
    }
    default: return target();
  }
}

Bytes RequestHead::host() const {
  if (authority_length_ != 0) return target().substr(authority_begin_, authority_length_);
  return value_of(KnownField::host);
}

Body RequestHead::body() const {
  if (chunked()) return {BodyKind::chunked, 0};
  if (content_length_ != 0) return {BodyKind::length, content_length_};
  return {};
}

bool RequestHead::expects_continue() const {
  return minor_version_ == 1 && equals_ignoring_case(value_of(KnownField::expect), "100-continue");
}

bool RequestHead::wants_upgrade() const {
  return minor_version_ == 1 && connection_upgrade() && has(KnownField::upgrade);
}

bool RequestHead::wants_websocket() const {
  if (!wants_upgrade() || method_ != Method::get || body().kind != BodyKind::none) return false;
  const Field* upgrade = find(KnownField::upgrade);
  return equals_ignoring_case(value(*upgrade), "websocket") &&
         find_from(upgrade + 1, KnownField::upgrade) == nullptr;
}

// --- responses ---

HeadVerdict ResponseHead::feed(Bytes bytes) {
  if (phase_ == Phase::complete || phase_ == Phase::refused) return verdict_;
  return HeadReader<ResponseHead>(*this, bytes).read();
}

Body ResponseHead::body(Method request_method) const {
  if (status_ == 101) return {BodyKind::tunnel, 0};
  if (status_ < 200 || status_ == 204 || status_ == 304 || request_method == Method::head) return {};
  if (request_method == Method::connect && status_ < 300) return {BodyKind::tunnel, 0};
  if (chunked()) return {BodyKind::chunked, 0};
  if (!has(KnownField::content_length)) return {BodyKind::until_close, 0};
  if (content_length_ == 0) return {};
  return {BodyKind::length, content_length_};
}

}  // namespace rejoin::proto
