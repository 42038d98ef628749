// Differential: our head parser against Boost.Beast's, whose leniencies are mended by the checks below,
// written plainly and slowly a second time. Input: the bytes of a connection from its first one; a response
// when they begin with "HTTP/".
//
// What must hold for every input:
//   - we accept a head: so does the oracle, with the same method, target, status, fields and framing;
//   - we refuse it: so does the oracle, also when the rest of the head had still come (a refusal before the
//   end);
//   - cut at two places, our answer is the same.
//
// Deliberate differences, where the oracle alone would judge otherwise:
//   leading-empty-line   we ignore one CRLF before a request (RFC 9112 2.2); Beast none. The oracle is not
//   shown it. proxy-connection     Beast reads Proxy-Connection as Connection. It is no standard field: we
//   drop it unread. Heads that
//                        have it are only compared when both accept, and without keep_alive.
//   too-late             a head that is too large in bytes, or has too many fields, is refused by us before
//   its end.
//                        The oracle counts too, over all that has come.
#define BOOST_DISABLE_ASSERTS  // basic_parser.ipp asserts on some cuts of chunked bodies (facts.md, 1, 13)

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proto/http_head.h"

namespace rejoin::proto {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;

[[noreturn]] void fail(Bytes input, const char* what, Bytes detail = {}) {
  std::fprintf(stderr, "%s: %.*s\n--- input\n%.*s\n---\n", what, static_cast<int>(detail.size()),
               detail.data(), static_cast<int>(input.size()), input.data());
  std::abort();
}

std::string lower(Bytes text) {
  std::string result(text);
  for (char& byte : result) {
    if (byte >= 'A' && byte <= 'Z') byte = static_cast<char>(byte + 32);
  }
  return result;
}

bool only(Bytes text, Bytes letters) { return text.find_first_not_of(letters) == Bytes::npos; }
const std::string kDigits = "0123456789";
const std::string kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const std::string kTokenLetters = kLetters + kDigits + "!#$%&'*+-.^_`|~";

// --- what Beast says ---

struct Seen {
  std::string method, target;
  int status = 0;
  int version = 0;
  bool keep_alive = false;
  std::vector<std::pair<std::string, std::string>> fields;
};

template <bool is_request>
class Oracle : public http::basic_parser<is_request> {
 public:
  Seen seen;

 private:
  using View = beast::string_view;
  using Code = beast::error_code;
  void on_request_impl(http::verb, View method, View target, int version, Code&) override {
    seen.method = std::string(method);
    seen.target = std::string(target);
    seen.version = version;
  }
  void on_response_impl(int status, View, int version, Code&) override {
    seen.status = status;
    seen.version = version;
  }
  void on_field_impl(http::field, View name, View value, Code&) override {
    seen.fields.emplace_back(std::string(name), std::string(value));
  }
  void on_header_impl(Code&) override {}
  void on_body_init_impl(boost::optional<std::uint64_t> const&, Code&) override {}
  std::size_t on_body_impl(View body, Code&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t, View, Code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, View body, Code&) override { return body.size(); }
  void on_finish_impl(Code&) override {}
};

/// What Beast reads out of a whole head; nothing when it refuses.
template <bool is_request>
std::optional<Seen> ask_beast(Bytes head) {
  Oracle<is_request> oracle;
  oracle.eager(false);
  oracle.body_limit(std::numeric_limits<std::uint64_t>::max());  // boost::none refuses every length in 1.74
  oracle.header_limit(1 << 20);
  beast::error_code error;
  oracle.put(boost::asio::const_buffer(head.data(), head.size()), error);
  if (error && error != http::error::need_more) return std::nullopt;
  if (!oracle.is_header_done()) return std::nullopt;
  oracle.seen.keep_alive = oracle.keep_alive();
  return oracle.seen;
}

// --- the checks that Beast lacks: a reason, or nullptr ---

bool good_host(const std::string& text) {
  std::string name = text, port;
  if (!text.empty() && text[0] == '[') {
    const auto close = text.find(']');
    if (close == std::string::npos) return false;
    name = text.substr(1, close - 1);
    port = text.substr(close + 1);
    if (name.empty() || name.size() > 45 || !only(name, "0123456789abcdefABCDEF:.")) return false;
    if (std::count(name.begin(), name.end(), ':') == 0) return false;
  } else {
    const auto colon = text.find(':');
    if (colon != std::string::npos) {
      name = text.substr(0, colon);
      port = text.substr(colon);
    }
    if (name.empty() || !only(name, kLetters + kDigits + "-._~%!$&'()*+;=")) return false;
  }
  if (port.empty()) return true;
  if (port[0] != ':' || port.size() == 1 || port.size() > 6 || !only(port.substr(1), kDigits)) return false;
  return std::stoi(port.substr(1)) < 65536;
}

const char* check_target(const Seen& seen, std::string& authority) {
  const std::string& target = seen.target;
  const std::string good = kLetters + kDigits + "%-._~:/?[]@!$&'()*+,;=";
  const auto query = std::min(target.find('?'), target.size());
  if (query == 0 || !only(target.substr(0, query), good)) return "target bytes";
  if (!only(target.substr(query), good + "{}|\\^`")) return "query bytes";
  if (seen.method == "CONNECT") {
    authority = target;
    const auto colon = target.rfind(':');
    const auto close = target.rfind(']');
    if (colon == std::string::npos || (close != std::string::npos && close > colon))
      return "CONNECT without port";
    return good_host(target) ? nullptr : "CONNECT target";
  }
  if (target[0] == '/') return nullptr;
  if (target == "*") return seen.method == "OPTIONS" ? nullptr : "asterisk";
  const std::string folded = lower(target);
  const std::size_t skip = folded.rfind("http://", 0) == 0 ? 7 : folded.rfind("https://", 0) == 0 ? 8 : 0;
  if (skip == 0) return "scheme";
  authority = target.substr(skip, target.find('/', skip) - skip);
  return good_host(authority) ? nullptr : "authority of the target";
}

const std::vector<std::string> kKept = {"host",
                                        "content-length",
                                        "transfer-encoding",
                                        "expect",
                                        "cookie",
                                        "set-cookie",
                                        "authorization",
                                        "proxy-authorization",
                                        "proxy-authenticate",
                                        "www-authenticate",
                                        "via",
                                        "forwarded",
                                        "x-forwarded-for",
                                        "x-forwarded-proto",
                                        "x-forwarded-host",
                                        "x-real-ip",
                                        "sec-websocket-key",
                                        "sec-websocket-version",
                                        "sec-websocket-protocol",
                                        "sec-websocket-extensions",
                                        "sec-websocket-accept",
                                        "origin"};
bool is_kept(const std::string& name) { return std::find(kKept.begin(), kKept.end(), name) != kKept.end(); }

std::vector<std::string> items_of(const std::string& list) {
  std::vector<std::string> items(1);
  for (char byte : list) {
    if (byte == ',') {
      items.emplace_back();
    } else {
      items.back() += byte;
    }
  }
  for (std::string& item : items) {
    const auto begin = item.find_first_not_of(" \t");
    item = begin == std::string::npos ? "" : item.substr(begin, item.find_last_not_of(" \t") - begin + 1);
  }
  return items;
}

const char* check_fields(const Seen& seen, std::vector<std::string>& hosts, int& lengths, int& codings) {
  std::size_t options = 0;
  for (const auto& [name, value] : seen.fields) {
    const std::string folded = lower(name);
    if (!only(name, kTokenLetters)) return "field name";
    if (name.find('_') != std::string::npos) {
      std::string dashed = folded;
      std::replace(dashed.begin(), dashed.end(), '_', '-');
      if (is_kept(dashed) || dashed == "connection" || dashed == "upgrade") return "underscore";
    }
    if (folded == "host") hosts.push_back(value);
    if (folded == "content-length") {
      ++lengths;
      if (value.empty() || !only(value, kDigits) || (value[0] == '0' && value != "0") || value.size() > 18)
        return "CL";
    }
    if (folded == "transfer-encoding") {
      ++codings;
      if (lower(value) != "chunked") return "TE";
      if (seen.version == 10) return "TE in 1.0";
    }
    if (folded == "connection") {
      for (const std::string& item : items_of(value)) {
        if (item.empty()) continue;
        if (!only(item, kTokenLetters)) return "connection option";
        if (is_kept(lower(item)) || ++options > limits::kConnectionOptionsMax) return "connection options";
      }
    }
  }
  return nullptr;
}

const char* check(Bytes head, const Seen& seen, bool is_request) {
  if (head.size() > limits::kHeadBytesMax) return "too large";
  if (head.find("\r\n") > limits::kRequestLineBytesMax) return "start line too long";
  if (seen.fields.size() > limits::kHeadFieldsMax) return "too many fields";
  for (std::size_t at = head.find("\r\n"); at + 2 < head.size(); at = head.find("\r\n", at + 2)) {
    if (head[at + 2] == ' ' || head[at + 2] == '\t') return "obs-fold";
  }
  std::vector<std::string> hosts;
  int lengths = 0, codings = 0;
  if (const char* wrong = check_fields(seen, hosts, lengths, codings)) return wrong;
  if (lengths + codings > 1) return "lengths";
  if (!is_request) {
    if (seen.status < 100 || seen.status > 599) return "status";
    if (seen.status >= 200 && seen.status != 204) return nullptr;
    if (codings != 0) return "TE without body";
    for (const auto& [name, value] : seen.fields) {
      if (lower(name) == "content-length" && value != "0") return "CL without body";
    }
    return nullptr;
  }
  if (!only(seen.method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") ||
      !only(seen.method.substr(0, 1), kLetters)) {
    return "method";
  }
  std::string authority;
  if (const char* wrong = check_target(seen, authority)) return wrong;
  if (hosts.size() > 1 || (hosts.empty() && seen.version == 11)) return "number of hosts";
  if (hosts.empty()) return nullptr;
  if (!good_host(hosts[0])) return "host";
  return authority.empty() || lower(authority) == lower(hosts[0]) ? nullptr : "host and target";
}

// --- the comparison ---

template <typename HeadType>
void compare(Bytes input, const HeadType& head, const Seen& seen) {
  if (head.minor_version() + 10 != seen.version) fail(input, "version");
  if (head.fields().size() != seen.fields.size()) fail(input, "number of fields");
  for (std::size_t i = 0; i < seen.fields.size(); ++i) {
    const Field& field = head.fields()[i];
    if (head.name(field) != seen.fields[i].first) fail(input, "name", seen.fields[i].first);
    if (head.value(field) != seen.fields[i].second) fail(input, "value", seen.fields[i].second);
    if (field.known != known_field(Bytes(seen.fields[i].first))) fail(input, "known", seen.fields[i].first);
    if (field.known != KnownField::other && lower(name_of(field.known)) != lower(seen.fields[i].first)) {
      fail(input, "known as another", seen.fields[i].first);
    }
    const bool chunked = lower(seen.fields[i].first) == "transfer-encoding";
    const bool length = lower(seen.fields[i].first) == "content-length";
    if (chunked && !head.chunked()) fail(input, "not chunked");
    if (length && head.content_length() != std::stoull(seen.fields[i].second)) fail(input, "length");
  }
}

void compare_start(Bytes input, const RequestHead& head, const Seen& seen) {
  if (head.method_text() != seen.method) fail(input, "method", seen.method);
  if (head.target() != seen.target) fail(input, "target", seen.target);
  if (head.keep_alive() != seen.keep_alive && !head.has(KnownField::proxy_connection))
    fail(input, "keep-alive");
}
void compare_start(Bytes input, const ResponseHead& head, const Seen& seen) {
  if (head.status() != seen.status) fail(input, "status");
}

bool same(const HeadVerdict& a, const HeadVerdict& b) {
  return a.state == b.state && a.consumed == b.consumed && a.status == b.status && a.reason == b.reason;
}

/// Feeds the input up to each cut in turn, then whole. The bytes lie in memory of exactly their size, so that
/// the sanitizer sees a read behind them, and elsewhere each time.
template <typename HeadType>
HeadVerdict feed_cut(HeadType& head, Bytes input, std::vector<std::size_t> cuts) {
  std::sort(cuts.begin(), cuts.end());
  cuts.push_back(input.size());
  HeadVerdict verdict;
  for (std::size_t cut : cuts) {
    const std::vector<char> exact(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(cut));
    verdict = head.feed({exact.data(), exact.size()});
  }
  return verdict;
}

template <typename HeadType>
void run(Bytes input) {
  constexpr bool is_request = std::is_same_v<HeadType, RequestHead>;
  HeadType head;
  const HeadVerdict verdict = head.feed(input);

  const std::size_t hash = std::hash<Bytes>()(input);
  HeadType cut_head;
  const HeadVerdict cut =
      feed_cut(cut_head, input, {hash % (input.size() + 1), (hash >> 20) % (input.size() + 1)});
  if (!same(verdict, cut)) fail(input, "cut changes the verdict", cut.reason);

  Bytes text = input;
  if (is_request && text.substr(0, 2) == "\r\n") text.remove_prefix(2);  // leading-empty-line
  std::string whole(text);
  const std::size_t end = whole.find("\r\n\r\n");
  if (end != std::string::npos) {
    whole.resize(end + 4);
  } else if (verdict.state == HeadState::refused) {
    whole += !whole.empty() && whole.back() == '\r' ? "\n\r\n" : "\r\n\r\n";
  } else if (verdict.state == HeadState::complete) {
    fail(input, "complete without end");
  } else {
    return;
  }
  if (verdict.state == HeadState::need_more) fail(input, "more wanted behind the end");

  const auto seen = ask_beast<is_request>(whole);
  const char* wrong = seen ? check(whole, *seen, is_request) : "Beast refuses";
  if (verdict.state == HeadState::complete) {
    if (verdict.consumed != input.size() - text.size() + whole.size()) fail(input, "consumed");
    const bool has_proxy_connection = head.has(KnownField::proxy_connection);
    if (wrong != nullptr && !(has_proxy_connection && !seen))
      fail(input, "we accept, the oracle refuses", wrong);
    if (seen) {
      compare(input, head, *seen);
      compare_start(input, head, *seen);
    }
  } else if (wrong == nullptr) {
    fail(input, "we refuse, the oracle accepts", verdict.reason);
  }
}

}  // namespace
}  // namespace rejoin::proto

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const rejoin::Bytes input(reinterpret_cast<const char*>(data), size);
  if (input.substr(0, 5) == "HTTP/") {
    rejoin::proto::run<rejoin::proto::ResponseHead>(input);
  } else {
    rejoin::proto::run<rejoin::proto::RequestHead>(input);
  }
  return 0;
}
