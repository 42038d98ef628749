#include "proto/ws_extensions.h"

#include <algorithm>
#include <utility>

#include "proto/http_names.h"

namespace rejoin::proto {
namespace {

constexpr Bytes kDeflate = "permessage-deflate";
constexpr Bytes kServerNoTakeover = "server_no_context_takeover";
constexpr Bytes kClientNoTakeover = "client_no_context_takeover";
constexpr Bytes kServerWindow = "server_max_window_bits";
constexpr Bytes kClientWindow = "client_max_window_bits";

/// "8" to "15", without a leading zero; else nothing.
std::optional<std::uint8_t> window_bits(Bytes digits) {
  if (digits == "8" || digits == "9") return static_cast<std::uint8_t>(digits[0] - '0');
  if (digits.size() != 2 || digits[0] != '1' || digits[1] < '0' || digits[1] > '5') return std::nullopt;
  return static_cast<std::uint8_t>(10 + digits[1] - '0');
}

/// The parameters of one offer or answer, as they stand there.
struct DeflateParameters {
  bool server_no_takeover = false;
  bool client_no_takeover = false;
  std::optional<std::uint8_t> server_window;
  std::optional<std::uint8_t> client_window;
  bool client_window_named = false;  // also without a value
  bool valid = true;

  /// Whatever a valid parameter cannot be makes all of it invalid.
  void add(Bytes name, std::optional<Bytes> value) {
    if (name == kServerNoTakeover) {
      valid &= !value && !std::exchange(server_no_takeover, true);
    } else if (name == kClientNoTakeover) {
      valid &= !value && !std::exchange(client_no_takeover, true);
    } else if (name == kServerWindow) {
      valid &= !server_window;
      server_window = value ? window_bits(*value) : std::nullopt;
      valid &= server_window.has_value();
    } else if (name == kClientWindow) {
      valid &= !std::exchange(client_window_named, true);
      if (value) {
        client_window = window_bits(*value);
        valid &= client_window.has_value();
      }
    } else {
      valid = false;
    }
  }
};

/// What we do about one offer, if anything.
std::optional<DeflateTerms> accept_offer(const DeflateParameters& offer, const DeflateTerms& wanted) {
  if (!offer.valid) return std::nullopt;
  DeflateTerms terms = wanted;
  if (offer.server_no_takeover) terms.server.takeover = Takeover::no;
  if (offer.client_no_takeover) terms.client.takeover = Takeover::no;
  if (offer.server_window)
    terms.server.window_bits = std::min(terms.server.window_bits, *offer.server_window);
  if (terms.server.window_bits < kDeflaterWindowBitsMin) return std::nullopt;
  if (offer.client_window_named) {
    terms.client.window_bits =
        std::min(terms.client.window_bits, offer.client_window.value_or(kWindowBitsMax));
  } else if (terms.client.window_bits < kWindowBitsMax) {
    terms.client = {kWindowBitsMax, Takeover::no};
  }
  return terms;
}

void append_name(std::string& out, Bytes name) {
  out += "; ";
  out += name;
}

void append_window(std::string& out, Bytes name, std::uint8_t bits) {
  append_name(out, name);
  out += '=';
  out += std::to_string(bits);
}

void append_no_takeover(std::string& out, const DeflateTerms& terms) {
  if (terms.server.takeover == Takeover::no) append_name(out, kServerNoTakeover);
  if (terms.client.takeover == Takeover::no) append_name(out, kClientNoTakeover);
}

Error bad_answer(const char* why) { return {ErrorKind::bad_input, Side::server, Retry::no, why}; }

}  // namespace

// ---- the grammar ----

void ExtensionReader::skip_blanks() {
  while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t')) rest_.remove_prefix(1);
}

bool ExtensionReader::take(char byte) {
  if (rest_.empty() || rest_.front() != byte) return false;
  rest_.remove_prefix(1);
  return true;
}

bool ExtensionReader::take_token(Bytes& token) {
  const auto end = std::find_if_not(rest_.begin(), rest_.end(), is_token_byte);
  token = rest_.substr(0, static_cast<std::size_t>(end - rest_.begin()));
  rest_.remove_prefix(token.size());
  return !token.empty();
}

/// What stands behind an opening quote, up to and with the closing one.
bool ExtensionReader::take_quoted() {
  const Bytes begin = rest_;
  bool escaped = false;
  unescaped_.clear();
  for (;;) {
    if (rest_.empty()) return false;
    if (take('"')) break;
    if (take('\\')) {
      if (rest_.empty()) return false;
      if (!escaped) unescaped_ = begin.substr(0, begin.size() - rest_.size() - 1);
      escaped = true;
    }
    if (escaped) unescaped_ += rest_.front();
    rest_.remove_prefix(1);
  }
  value_ = escaped ? Bytes(unescaped_) : begin.substr(0, begin.size() - rest_.size() - 1);
  return is_token(*value_);
}

bool ExtensionReader::take_parameter() {
  skip_blanks();
  value_.reset();
  if (!take_token(name_)) return false;
  skip_blanks();
  if (!take('=')) return true;
  skip_blanks();
  if (take('"')) return take_quoted();
  Bytes token;
  if (!take_token(token)) return false;
  value_ = token;
  return true;
}

ExtensionReader::Item ExtensionReader::next() {
  if (malformed_) return Item::malformed;
  skip_blanks();
  if (inside_ && take(';')) {
    malformed_ = !take_parameter();
    return malformed_ ? Item::malformed : Item::parameter;
  }
  value_.reset();
  // Behind an extension a comma must come before the next one; before the first, and beside another, it may.
  bool may_begin = !inside_;
  while (take(',')) {
    may_begin = true;
    skip_blanks();
  }
  if (rest_.empty()) return Item::end;
  inside_ = true;
  malformed_ = !may_begin || !take_token(name_);
  return malformed_ ? Item::malformed : Item::extension;
}

// ---- server ----

Result<std::optional<DeflateTerms>> accept_deflate(const RequestHead& head, const DeflateTerms& wanted) {
  using Item = ExtensionReader::Item;
  std::optional<DeflateTerms> terms;
  // Over several lines, which are one list (RFC 6455 9.1). What was malformed counts behind an accepted
  // offer, too: whether a field is good must not depend on what we think of its first item.
  for (const Field& field : head.all(KnownField::sec_websocket_extensions)) {
    ExtensionReader reader(head.value(field));
    std::optional<DeflateParameters> offer;
    for (;;) {
      const Item item = reader.next();
      if (item == Item::parameter) {
        if (offer) offer->add(reader.name(), reader.value());
        continue;
      }
      if (offer && !terms) terms = accept_offer(*offer, wanted);
      offer.reset();
      if (item == Item::end) break;
      if (item == Item::malformed) {
        return Error{ErrorKind::bad_input, Side::client, Retry::no, "Sec-WebSocket-Extensions is malformed"};
      }
      if (reader.name() == kDeflate) offer.emplace();
    }
  }
  return terms;
}

std::string deflate_answer(const DeflateTerms& terms) {
  std::string out(kDeflate);
  append_no_takeover(out, terms);
  // Told to everybody: who asked must be answered, and who did not can make a smaller inflater.
  append_window(out, kServerWindow, terms.server.window_bits);
  // Only where it was offered (RFC 7692 7.1.2.2), and accept_deflate has a smaller window only there.
  if (terms.client.window_bits < kWindowBitsMax) append_window(out, kClientWindow, terms.client.window_bits);
  return out;
}

// ---- client ----

std::string deflate_offer(const DeflateTerms& wanted) {
  std::string out(kDeflate);
  append_no_takeover(out, wanted);
  if (wanted.server.window_bits < kWindowBitsMax)
    append_window(out, kServerWindow, wanted.server.window_bits);
  if (wanted.client.window_bits < kWindowBitsMax) {
    append_window(out, kClientWindow, wanted.client.window_bits);
  } else {
    append_name(out, kClientWindow);
  }
  return out;
}

Result<std::optional<DeflateTerms>> check_deflate_answer(const ResponseHead& head,
                                                         const DeflateTerms& offered) {
  using Item = ExtensionReader::Item;
  std::optional<DeflateParameters> answer;
  for (const Field& field : head.all(KnownField::sec_websocket_extensions)) {
    ExtensionReader reader(head.value(field));
    for (Item item; (item = reader.next()) != Item::end;) {
      if (item == Item::malformed) return bad_answer("101 with a malformed Sec-WebSocket-Extensions");
      if (item == Item::parameter) {
        answer->add(reader.name(), reader.value());
        continue;
      }
      if (answer || reader.name() != kDeflate)
        return bad_answer("101 with an extension that was not asked for");
      answer.emplace();
    }
  }
  if (!answer) return std::optional<DeflateTerms>();
  if (!answer->valid || (answer->client_window_named && !answer->client_window)) {
    return bad_answer("101 with wrong parameters of permessage-deflate");
  }
  DeflateTerms terms;
  if (answer->server_no_takeover) terms.server.takeover = Takeover::no;
  if (answer->client_no_takeover || offered.client.takeover == Takeover::no)
    terms.client.takeover = Takeover::no;
  terms.server.window_bits = answer->server_window.value_or(kWindowBitsMax);
  terms.client.window_bits =
      std::min(offered.client.window_bits, answer->client_window.value_or(kWindowBitsMax));
  if (terms.server.window_bits > offered.server.window_bits ||
      (offered.server.takeover == Takeover::no && terms.server.takeover == Takeover::yes)) {
    return bad_answer("101 that does not grant what permessage-deflate was asked for");
  }
  // Told as a hint with a value, a window is a promise: the server may only ask for less (RFC 7692 7.1.2.2).
  if (answer->client_window && *answer->client_window > offered.client.window_bits) {
    return bad_answer("101 with a larger client_max_window_bits than was offered");
  }
  return std::optional(terms);
}

}  // namespace rejoin::proto
