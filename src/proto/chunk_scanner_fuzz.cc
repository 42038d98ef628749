// ChunkScanner against a slow reference that reads the whole body at once, with string searches and a plain
// list of rules; and against itself, cut anywhere, by feed() and by step(). Input: a chunked body, with or
// without something behind it.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "proto/chunk_scanner.h"

namespace rejoin::proto {
namespace {

[[noreturn]] void fail(Bytes input, const char* what, Bytes detail = {}) {
  std::fprintf(stderr, "%s: %.*s\n--- input\n%.*s\n---\n", what, static_cast<int>(detail.size()),
               detail.data(), static_cast<int>(input.size()), input.data());
  std::abort();
}

// --- the reference ---

struct Answer {
  ChunkState state = ChunkState::more;
  std::size_t end = 0;  // done: bytes of the body
  std::string payload;
};
constexpr Bytes kHex = "0123456789abcdefABCDEF";
constexpr Bytes kToken = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ!#$%&'*+-.^_`|~";
const std::vector<std::string> kForbidden = {"host",
                                             "content-length",
                                             "transfer-encoding",
                                             "connection",
                                             "keep-alive",
                                             "proxy-connection",
                                             "te",
                                             "trailer",
                                             "upgrade",
                                             "expect",
                                             "cookie",
                                             "set-cookie",
                                             "authorization",
                                             "via",
                                             "proxy-authorization",
                                             "proxy-authenticate",
                                             "www-authenticate",
                                             "forwarded",
                                             "x-forwarded-for",
                                             "x-forwarded-proto",
                                             "x-forwarded-host",
                                             "x-real-ip",
                                             "sec-websocket-key",
                                             "sec-websocket-version",
                                             "sec-websocket-protocol",
                                             "sec-websocket-accept",
                                             "sec-websocket-extensions",
                                             "origin",
                                             "cache-control",
                                             "pragma",
                                             "content-type",
                                             "content-encoding",
                                             "content-range",
                                             "range",
                                             "max-forwards",
                                             "if-match",
                                             "if-none-match",
                                             "if-modified-since",
                                             "if-unmodified-since",
                                             "if-range",
                                             "date",
                                             "age",
                                             "expires",
                                             "location",
                                             "retry-after",
                                             "vary",
                                             "warning"};

bool text_byte(char byte) { return byte == '\t' || (static_cast<unsigned char>(byte) >= 32 && byte != 127); }

/// True if `text` is a list of extensions, or (when `whole` is false) may become one.
bool good_extensions(Bytes text, bool whole) {
  while (!text.empty()) {
    if (text[0] != ';') return false;
    text.remove_prefix(1);
    const std::size_t name = std::min(text.find_first_not_of(kToken), text.size());
    if (name == 0) return !whole && text.empty();
    text.remove_prefix(name);
    if (text.empty() || text[0] != '=') continue;
    text.remove_prefix(1);
    if (text.empty()) return !whole;
    if (text[0] != '"') {
      const std::size_t value = std::min(text.find_first_not_of(kToken), text.size());
      if (value == 0) return false;
      text.remove_prefix(value);
      continue;
    }
    std::size_t i = 1;
    for (; i < text.size() && text[i] != '"'; ++i) {
      if (text[i] == '\\') ++i;
      if (i < text.size() && !text_byte(text[i])) return false;
    }
    if (i >= text.size()) return !whole;
    text.remove_prefix(i + 1);
  }
  return true;
}

/// A line of size and extensions without its end; `whole`: its CR has come.
bool good_size_line(Bytes line, bool whole) {
  if (line.size() > limits::kChunkLineBytesMax) return false;
  const std::size_t digits = std::min(line.find_first_not_of(kHex), line.size());
  if (digits == 0) return !whole && line.empty();
  if (digits > 16 || (digits == 16 && Bytes("01234567").find(line[0]) == Bytes::npos)) return false;
  return good_extensions(line.substr(digits), whole);
}

bool good_trailer_line(Bytes line, bool whole) {
  const std::size_t name = std::min(line.find_first_not_of(kToken), line.size());
  if (name == line.size()) return !whole;
  if (name == 0 || line[name] != ':') return false;
  std::string folded(line.substr(0, name));
  for (char& byte : folded) byte = byte == '_' ? '-' : static_cast<char>(std::tolower(byte));
  if (std::find(kForbidden.begin(), kForbidden.end(), folded) != kForbidden.end()) return false;
  return std::all_of(line.begin() + static_cast<std::ptrdiff_t>(name), line.end(), text_byte);
}

struct Line {
  Bytes text;
  bool has_cr = false, has_lf = false, wrong_lf = false;
};
Line line_at(Bytes input, std::size_t at) {
  Line line;
  const std::size_t cr = std::min(input.find('\r', at), input.size());
  line.text = input.substr(at, cr - at);
  line.has_cr = cr < input.size();
  line.has_lf = cr + 1 < input.size() && input[cr + 1] == '\n';
  line.wrong_lf = cr + 1 < input.size() && input[cr + 1] != '\n';
  return line;
}

Answer reference(Bytes input) {
  Answer answer;
  std::size_t at = 0;
  const auto refused = [&answer] {
    answer.state = ChunkState::refused;
    return answer;
  };
  while (true) {
    const Line line = line_at(input, at);
    if (!good_size_line(line.text, line.has_cr) || line.wrong_lf) return refused();
    if (!line.has_lf) return answer;
    at += line.text.size() + 2;
    const std::uint64_t size =
        std::stoull(std::string(line.text.substr(0, line.text.find(';'))), nullptr, 16);
    if (size == 0) break;
    answer.payload += input.substr(at, size);
    if (input.size() - at <= size) return answer;
    at += size;
    if (input[at] != '\r' || (at + 1 < input.size() && input[at + 1] != '\n')) return refused();
    if (at + 1 == input.size()) return answer;
    at += 2;
  }
  const std::size_t trailers = at;
  while (true) {
    const Line line = line_at(input, at);
    const bool end = line.text.empty() && line.has_cr;
    const std::size_t seen = at - trailers + line.text.size() + (line.has_cr ? 1 : 0) + (line.has_lf ? 1 : 0);
    if (seen > limits::kTrailerBytesMax) return refused();
    if ((!end && !good_trailer_line(line.text, line.has_cr)) || line.wrong_lf) return refused();
    if (!line.has_lf) return answer;
    at += line.text.size() + 2;
    if (!end) continue;
    answer.state = ChunkState::done;
    answer.end = at;
    return answer;
  }
}

// --- ours, cut ---

ChunkScanner::Fed feed_cut(Bytes input, std::vector<std::size_t> cuts) {
  ChunkScanner scanner;
  std::sort(cuts.begin(), cuts.end());
  cuts.push_back(input.size());
  ChunkScanner::Fed all;
  std::size_t from = 0;
  for (std::size_t cut : cuts) {
    const std::vector<char> exact(input.begin() + static_cast<std::ptrdiff_t>(from),
                                  input.begin() + static_cast<std::ptrdiff_t>(cut));
    const auto fed = scanner.feed({exact.data(), exact.size()});
    all.consumed += fed.consumed;
    all.state = fed.state;
    all.reason = fed.reason;
    if (fed.state != ChunkState::more) return all;
    if (fed.consumed != exact.size()) fail(input, "more, and not all consumed");
    from = cut;
  }
  return all;
}

std::string payload_of(Bytes input) {
  ChunkScanner scanner;
  std::string payload;
  while (true) {
    const auto step = scanner.step(input);
    payload += step.payload;
    input.remove_prefix(step.consumed);
    if (step.state != ChunkState::more || input.empty()) return payload;
  }
}

void run(Bytes input) {
  ChunkScanner scanner;
  const auto fed = scanner.feed(input);
  const Answer answer = reference(input);
  if (fed.state != answer.state) fail(input, "another verdict than the reference", fed.reason);
  if (fed.state == ChunkState::done && fed.consumed != answer.end)
    fail(input, "another end than the reference");
  if (fed.state != ChunkState::refused && payload_of(input) != answer.payload) fail(input, "another payload");

  const std::size_t hash = std::hash<Bytes>()(input);
  const auto cut = feed_cut(input, {hash % (input.size() + 1), (hash >> 20) % (input.size() + 1)});
  if (cut.state != fed.state || cut.consumed != fed.consumed || cut.reason != fed.reason)
    fail(input, "cut", cut.reason);
}

}  // namespace
}  // namespace rejoin::proto

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  rejoin::proto::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
