// Sec-WebSocket-Extensions: the reader against a slow one that sorts the value into words first, and what
// follows from an offer. Input: which terms are wanted, then the values of the fields, a line each.
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "proto/ws_extensions.h"

namespace {

using namespace rejoin;
using namespace rejoin::proto;

void check(bool held, const char* what) {
  if (held) return;
  std::cerr << "broken: " << what << "\n";
  std::abort();
}

using Told = std::vector<std::string>;  // "extension NAME", "parameter NAME[=VALUE]", "malformed"

Told read(Bytes value) {
  using Item = ExtensionReader::Item;
  ExtensionReader reader(value);
  Told told;
  for (;;) {
    const Item item = reader.next();
    if (item == Item::end) return told;
    if (item == Item::malformed) {
      told.push_back("malformed");
      return told;
    }
    std::string line = item == Item::extension ? "extension " : "parameter ";
    line += reader.name();
    if (item == Item::parameter && reader.value()) line.append("=").append(*reader.value());
    told.push_back(line);
  }
}

bool token_byte(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c != 0 && std::string("!#$%&'*+-.^_`|~").find(c) != std::string::npos);
}

/// A word is 't' and a token, 'q' and a quoted token, ',' ';' '=', or '?' for what cannot be.
Told words_of(const std::string& value) {
  Told words;
  for (std::size_t at = 0; at < value.size();) {
    const char c = value[at++];
    if (c == ' ' || c == '\t') continue;
    if (c == ',' || c == ';' || c == '=') {
      words.emplace_back(1, c);
    } else if (c == '"') {
      std::string text = "q";
      bool closed = false, good = true;
      while (at < value.size() && !closed) {
        char inner = value[at++];
        closed = inner == '"';
        if (inner == '\\' && at < value.size()) {
          inner = value[at++];
        } else if (inner == '\\') {
          good = false;
        }
        if (!closed) good &= token_byte(inner), text += inner;
      }
      words.push_back(closed && good && text.size() > 1 ? text : "?");
    } else if (token_byte(c)) {
      std::string text = {'t', c};
      while (at < value.size() && token_byte(value[at])) text += value[at++];
      words.push_back(text);
    } else {
      words.push_back("?");
    }
  }
  return words;
}

/// What the reader should tell up to its first fault.
Told slow_read(const std::string& value) {
  const Told words = words_of(value);
  Told told;
  std::size_t at = 0;
  const auto kind = [&](std::size_t i) { return i < words.size() ? words[i][0] : '.'; };
  const auto fault = [&] {
    told.push_back("malformed");
    return told;
  };
  for (;;) {
    while (kind(at) == ',') ++at;
    if (at == words.size()) return told;
    if (kind(at) != 't') return fault();
    told.push_back("extension " + words[at++].substr(1));
    while (kind(at) == ';') {
      if (kind(at + 1) != 't') return fault();
      std::string line = "parameter " + words[at + 1].substr(1);
      at += 2;
      if (kind(at) == '=') {
        if (kind(at + 1) != 't' && kind(at + 1) != 'q') return fault();
        line += "=" + words[at + 1].substr(1);
        at += 2;
      }
      told.push_back(line);
    }
    if (at != words.size() && kind(at) != ',') return fault();
  }
}

/// What a server grants is within what it wants, and a client that offered everything takes it as it was
/// meant.
void negotiate(const std::string& request, const DeflateTerms& wanted, bool malformed) {
  RequestHead head;
  if (head.feed(request).state != HeadState::complete) return;
  const auto terms = accept_deflate(head, wanted);
  check(terms.ok() == !malformed, "malformed or not");
  if (!terms.ok() || !*terms) return;
  const DeflateTerms agreed = **terms;
  check(agreed.server.window_bits >= kDeflaterWindowBitsMin, "a window that zlib can make");
  check(agreed.server.window_bits <= wanted.server.window_bits, "not more than wanted");
  check(agreed.client.window_bits <= wanted.client.window_bits || agreed.client.takeover == Takeover::no,
        "no large window to be kept");
  check(agreed.server.takeover == Takeover::no || wanted.server.takeover == Takeover::yes,
        "no takeover unasked");
  check(agreed.client.takeover == Takeover::no || wanted.client.takeover == Takeover::yes,
        "nor the other way");
  const std::string answer =
      "HTTP/1.1 101 X\r\nSec-WebSocket-Extensions: " + deflate_answer(agreed) + "\r\n\r\n";
  ResponseHead response;
  check(response.feed(answer).state == HeadState::complete, "an answer");
  const auto taken = check_deflate_answer(response, {});
  check(taken.ok() && *taken && **taken == agreed, "understood");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1 || size > 3000) return 0;
  DeflateTerms wanted;
  wanted.server = {static_cast<std::uint8_t>(9 + data[0] % 7),
                   (data[0] & 0x40) != 0 ? Takeover::yes : Takeover::no};
  wanted.client = {static_cast<std::uint8_t>(9 + data[0] / 7 % 7),
                   (data[0] & 0x80) != 0 ? Takeover::yes : Takeover::no};
  std::string request = "GET / HTTP/1.1\r\nHost: a\r\n", value;
  bool malformed = false;
  for (std::size_t i = 1; i <= size; ++i) {
    if (i < size && data[i] != '\n') {
      value += static_cast<char>(data[i]);
      continue;
    }
    const Told expected = slow_read(value), told = read(value);
    if (told != expected) {
      for (const auto& line : expected) std::cerr << "expected " << line << "\n";
      for (const auto& line : told) std::cerr << "told     " << line << "\n";
      std::abort();
    }
    malformed |= !told.empty() && told.back() == "malformed";
    request += "Sec-WebSocket-Extensions: " + value + "\r\n";
    value.clear();
  }
  negotiate(request + "\r\n", wanted, malformed);
  return 0;
}
