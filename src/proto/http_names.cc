#include "proto/http_names.h"

#include <array>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace rejoin::proto {
namespace {

constexpr std::uint8_t kNotInTrailer = 1, kProtected = 2, kOneHop = 4;

struct Name {
  Bytes written;
  KnownField field;
  std::uint8_t traits;
};

using enum KnownField;

// Forbidden in trailers after RFC 9110 6.5.1: framing, routing, request modifiers and preconditions,
// authentication and cookies, what says how to read the content, and response control data. What proxies
// write is added: a server that merges trailers into its fields would trust it.
constexpr Name kNames[] = {
    {"Host", host, kNotInTrailer | kProtected},
    {"Content-Length", content_length, kNotInTrailer | kProtected},
    {"Transfer-Encoding", transfer_encoding, kNotInTrailer | kProtected},
    {"Connection", connection, kNotInTrailer | kProtected | kOneHop},
    {"Keep-Alive", keep_alive, kNotInTrailer | kOneHop},
    {"Proxy-Connection", proxy_connection, kNotInTrailer | kOneHop},
    {"TE", te, kNotInTrailer | kOneHop},
    {"Trailer", trailer, kNotInTrailer},
    {"Upgrade", upgrade, kNotInTrailer | kProtected | kOneHop},
    {"Expect", expect, kNotInTrailer | kProtected},
    {"Cookie", cookie, kNotInTrailer | kProtected},
    {"Set-Cookie", set_cookie, kNotInTrailer | kProtected},
    {"Authorization", authorization, kNotInTrailer | kProtected},
    {"Proxy-Authorization", proxy_authorization, kNotInTrailer | kProtected},
    {"Proxy-Authenticate", proxy_authenticate, kNotInTrailer | kProtected},
    {"WWW-Authenticate", www_authenticate, kNotInTrailer | kProtected},
    {"Via", via, kNotInTrailer | kProtected},
    {"Forwarded", forwarded, kNotInTrailer | kProtected},
    {"X-Forwarded-For", x_forwarded_for, kNotInTrailer | kProtected},
    {"X-Forwarded-Proto", x_forwarded_proto, kNotInTrailer | kProtected},
    {"X-Forwarded-Host", x_forwarded_host, kNotInTrailer | kProtected},
    {"X-Forwarded-Port", x_forwarded_port, kNotInTrailer | kProtected},
    {"X-Real-IP", x_real_ip, kNotInTrailer | kProtected},
    {"X-Request-Id", x_request_id, kNotInTrailer | kProtected},
    {"Sec-WebSocket-Key", sec_websocket_key, kNotInTrailer | kProtected},
    {"Sec-WebSocket-Version", sec_websocket_version, kNotInTrailer | kProtected},
    {"Sec-WebSocket-Protocol", sec_websocket_protocol, kNotInTrailer | kProtected},
    {"Sec-WebSocket-Extensions", sec_websocket_extensions, kNotInTrailer | kProtected},
    {"Sec-WebSocket-Accept", sec_websocket_accept, kNotInTrailer | kProtected},
    {"Origin", origin, kNotInTrailer | kProtected},
    {"User-Agent", user_agent, 0},
    {"Accept", accept, 0},
    {"Accept-Encoding", accept_encoding, 0},
    {"Accept-Language", accept_language, 0},
    {"Cache-Control", cache_control, kNotInTrailer},
    {"Pragma", pragma, kNotInTrailer},
    {"Referer", referer, 0},
    {"Content-Type", content_type, kNotInTrailer},
    {"Content-Encoding", content_encoding, kNotInTrailer},
    {"Content-Range", content_range, kNotInTrailer},
    {"Range", range, kNotInTrailer},
    {"Max-Forwards", max_forwards, kNotInTrailer},
    {"If-Match", if_match, kNotInTrailer},
    {"If-None-Match", if_none_match, kNotInTrailer},
    {"If-Modified-Since", if_modified_since, kNotInTrailer},
    {"If-Unmodified-Since", if_unmodified_since, kNotInTrailer},
    {"If-Range", if_range, kNotInTrailer},
    {"Date", date, kNotInTrailer},
    {"Age", age, kNotInTrailer},
    {"Expires", expires, kNotInTrailer},
    {"Location", location, kNotInTrailer},
    {"Retry-After", retry_after, kNotInTrailer},
    {"Vary", vary, kNotInTrailer},
    {"Warning", warning, kNotInTrailer},
    {"Server", server, 0},
    {"ETag", etag, 0},
    {"Last-Modified", last_modified, 0},
};
constexpr std::size_t kNameCount = std::size(kNames);
static_assert(kNameCount + 1 == static_cast<std::size_t>(count_));

constexpr bool in_order() {
  for (std::size_t i = 0; i < kNameCount; ++i) {
    if (static_cast<std::size_t>(kNames[i].field) != i + 1) return false;
  }
  return true;
}
static_assert(in_order(), "kNames is indexed by KnownField - 1");

// A hash without collisions over the listed names: length and three letters (the last but one tells Host from
// Port), multiplied by a number that the
// compiler found. One multiplication and one comparison tell a known name from any other.
constexpr std::size_t kLongest = 24, kShortest = 2, kSlots = 256;

constexpr std::uint32_t fold(char byte) { return static_cast<unsigned char>(byte) | 0x20u; }

constexpr std::uint32_t slot_of(Bytes name, std::uint32_t magic) {
  const std::uint32_t key = fold(name.front()) | fold(name[name.size() / 2]) << 8 |
                            fold(name[name.size() - 2]) << 16 | static_cast<std::uint32_t>(name.size()) << 24;
  return key * magic >> 24;
}

consteval std::uint32_t find_magic() {
  for (std::uint32_t magic = 0x9e3779b1u;; magic += 0x2545f492u) {
    bool taken[kSlots] = {};
    bool collides = false;
    for (const Name& name : kNames) {
      bool& slot = taken[slot_of(name.written, magic)];
      if (slot) {
        collides = true;
        break;
      }
      slot = true;
    }
    if (!collides) return magic;
  }
}
constexpr std::uint32_t kMagic = find_magic();

// Names in lower case, padded to one width, by slot; two of them share a cache line, none crosses one.
struct alignas(32) Slot {
  char lower[kLongest] = {};
  std::uint8_t length = 0;
  KnownField field = other;
};

consteval std::array<Slot, kSlots> make_slots() {
  std::array<Slot, kSlots> slots{};
  for (const Name& name : kNames) {
    Slot& slot = slots[slot_of(name.written, kMagic)];
    for (std::size_t i = 0; i < name.written.size(); ++i)
      slot.lower[i] = static_cast<char>(fold(name.written[i]));
    slot.length = static_cast<std::uint8_t>(name.written.size());
    slot.field = name.field;
  }
  return slots;
}
constexpr std::array<Slot, kSlots> kTable = make_slots();

consteval std::array<bool, 256> make_token_bytes() {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (char c : Bytes("!#$%&'*+-.^_`|~")) table[static_cast<unsigned char>(c)] = true;
  return table;
}
constexpr std::array<bool, 256> kTokenBytes = make_token_bytes();

template <typename Word>
bool folded_equal(const char* text, const char* lower) {
  Word a, b;
  std::memcpy(&a, text, sizeof a);
  std::memcpy(&b, lower, sizeof b);
  // Every byte of a listed name has bit 0x40 (letters) or 0x20 ('-'). Asking for one of them keeps out CR,
  // the one other byte that the folding turns into '-'.
  const Word seen = (a | a << 1) & static_cast<Word>(0x4040404040404040ull);
  return (a | static_cast<Word>(0x2020202020202020ull)) == b &&
         seen == static_cast<Word>(0x4040404040404040ull);
}

// Equal when bit 0x20 is set everywhere, which is "ignoring case" for the letters and '-' that the listed
// names are of.
bool folded_equal(const char* text, const char* lower, std::size_t length) {
  // Two loads that overlap cover every length of their class, and never read past the end.
  if (length >= 16) {
    return folded_equal<std::uint64_t>(text, lower) && folded_equal<std::uint64_t>(text + 8, lower + 8) &&
           folded_equal<std::uint64_t>(text + length - 8, lower + length - 8);
  }
  if (length >= 8) {
    return folded_equal<std::uint64_t>(text, lower) &&
           folded_equal<std::uint64_t>(text + length - 8, lower + length - 8);
  }
  if (length >= 4) {
    return folded_equal<std::uint32_t>(text, lower) &&
           folded_equal<std::uint32_t>(text + length - 4, lower + length - 4);
  }
  for (std::size_t i = 0; i < length; ++i) {
    if (static_cast<char>(fold(text[i])) != lower[i] || text[i] < ' ') return false;
  }
  return true;
}

constexpr char to_lower(char byte) {
  return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte | 0x20) : byte;
}

}  // namespace

#if defined(__SSE2__)
KnownField known_field(const char* at, std::size_t length, std::size_t readable) {
  if (length - kShortest > kLongest - kShortest) return other;
  if (readable < kLongest) return known_field({at, length});
  const Slot& slot = kTable[slot_of({at, length}, kMagic)];
  // Sixteen bytes and eight, compared whatever the length is; then the bytes behind the name are taken out.
  const __m128i fold_bit = _mm_set1_epi8(0x20);
  const auto equal = [&](__m128i text, __m128i wanted) {
    return static_cast<std::uint32_t>(
        _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_or_si128(text, fold_bit), wanted)));
  };
  const std::uint32_t first = equal(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)),
                                    _mm_load_si128(reinterpret_cast<const __m128i*>(slot.lower)));
  const std::uint32_t second = equal(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(at + 16)),
                                     _mm_loadl_epi64(reinterpret_cast<const __m128i*>(slot.lower + 16)));
  const bool same = (~(first | second << 16) << (32 - length)) == 0;
  return same && slot.length == length ? slot.field : other;
}
#else
KnownField known_field(const char* at, std::size_t length, std::size_t) { return known_field({at, length}); }
#endif

KnownField known_field(Bytes name) {
  if (name.size() < kShortest || name.size() > kLongest) return other;
  const Slot& slot = kTable[slot_of(name, kMagic)];
  if (slot.length != name.size() || !folded_equal(name.data(), slot.lower, name.size())) return other;
  return slot.field;
}

Bytes name_of(KnownField field) {
  return field == other ? Bytes{} : kNames[static_cast<std::size_t>(field) - 1].written;
}

FieldTraits traits_of(KnownField field) {
  if (field == other) return {};
  const std::uint8_t traits = kNames[static_cast<std::size_t>(field) - 1].traits;
  return {(traits & kNotInTrailer) != 0, (traits & kProtected) != 0, (traits & kOneHop) != 0};
}

bool is_token_byte(char byte) { return kTokenBytes[static_cast<unsigned char>(byte)]; }

bool is_token(Bytes text) {
  bool good = !text.empty();
  for (char byte : text) good &= kTokenBytes[static_cast<unsigned char>(byte)];
  return good;
}

bool equals_ignoring_case(Bytes a, Bytes b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (to_lower(a[i]) != to_lower(b[i])) return false;
  }
  return true;
}

Bytes trim_ows(Bytes text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool next_list_item(Bytes& rest, Bytes& item) {
  if (rest.data() == nullptr) return false;
  const std::size_t comma = rest.find(',');
  item = trim_ows(rest.substr(0, comma));
  rest = comma == Bytes::npos ? Bytes{} : rest.substr(comma + 1);
  return true;
}

bool list_has(Bytes list, Bytes item) {
  Bytes found;
  while (next_list_item(list, found)) {
    if (equals_ignoring_case(found, item)) return true;
  }
  return false;
}

}  // namespace rejoin::proto
