// What reading a head costs, against Boost.Beast's parser on the same bytes (without the checks that Beast
// lacks, which facts.md measures at another 60 to 90 ns on the upgrade), and what a proxy's edits of it cost.
#include <benchmark/benchmark.h>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <string>

#include "proto/http_editor.h"
#include "proto/http_head.h"

namespace rejoin::proto {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;

// What Chromium sends to open a WebSocket through us, with one cookie of ours: 14 fields.
const std::string kUpgrade =
    "GET /play/arena?room=4711&build=2024.11 HTTP/1.1\r\n"
    "Host: play.example.com\r\n"
    "Connection: Upgrade\r\n"
    "Pragma: no-cache\r\n"
    "Cache-Control: no-cache\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 "
    "Safari/537.36\r\n"
    "Upgrade: websocket\r\n"
    "Origin: https://play.example.com\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n"
    "Cookie: REJOIN=AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvWxYz01; theme=dark; "
    "session=8f14e45fceea167a5a36dedd4bea2543\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    "X-Requested-With: rejoin\r\n"
    "\r\n";
const std::string kSmallGet =
    "GET /api/state HTTP/1.1\r\n"
    "Host: play.example.com\r\n"
    "User-Agent: bench\r\n"
    "Accept: */*\r\n"
    "\r\n";
const std::string kSwitching =
    "HTTP/1.1 101 Switching Protocols\r\n"
    "Upgrade: websocket\r\n"
    "Connection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    "\r\n";

template <typename HeadType>
void ours(benchmark::State& state, const std::string& text) {
  for (auto _ : state) {
    HeadType head;
    const HeadVerdict verdict = head.feed(text);
    if (verdict.state != HeadState::complete) state.SkipWithError(verdict.reason);
    benchmark::DoNotOptimize(head);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text.size()));
}

template <bool is_request>
class BeastHead : public http::basic_parser<is_request> {
 public:
  int fields = 0;

 private:
  using View = beast::string_view;
  using Code = beast::error_code;
  void on_request_impl(http::verb, View, View, int, Code&) override {}
  void on_response_impl(int, View, int, Code&) override {}
  void on_field_impl(http::field, View, View, Code&) override { ++fields; }
  void on_header_impl(Code&) override {}
  void on_body_init_impl(boost::optional<std::uint64_t> const&, Code&) override {}
  std::size_t on_body_impl(View body, Code&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t, View, Code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, View body, Code&) override { return body.size(); }
  void on_finish_impl(Code&) override {}
};

template <bool is_request>
void beasts(benchmark::State& state, const std::string& text) {
  for (auto _ : state) {
    BeastHead<is_request> head;
    head.eager(false);
    head.body_limit(boost::none);
    beast::error_code error;
    head.put(boost::asio::const_buffer(text.data(), text.size()), error);
    if (!head.is_header_done()) state.SkipWithError("not read");
    benchmark::DoNotOptimize(head.fields);
  }
}

void upgrade_ours(benchmark::State& state) { ours<RequestHead>(state, kUpgrade); }
void upgrade_beast(benchmark::State& state) { beasts<true>(state, kUpgrade); }
void small_get_ours(benchmark::State& state) { ours<RequestHead>(state, kSmallGet); }
void small_get_beast(benchmark::State& state) { beasts<true>(state, kSmallGet); }
void switching_ours(benchmark::State& state) { ours<ResponseHead>(state, kSwitching); }
void switching_beast(benchmark::State& state) { beasts<false>(state, kSwitching); }
BENCHMARK(upgrade_ours);
BENCHMARK(upgrade_beast);
BENCHMARK(small_get_ours);
BENCHMARK(small_get_beast);
BENCHMARK(switching_ours);
BENCHMARK(switching_beast);

void upgrade_ours_byte_by_byte(benchmark::State& state) {
  for (auto _ : state) {
    RequestHead head;
    for (std::size_t size = 1; size <= kUpgrade.size(); ++size) head.feed(Bytes(kUpgrade).substr(0, size));
    benchmark::DoNotOptimize(head);
  }
}
BENCHMARK(upgrade_ours_byte_by_byte);

// All that a balancer does to an upgrade's head before it sends it to a server.
void upgrade_edited(benchmark::State& state) {
  BufferPool pool(limits::kBufferBytes);
  Buffer out = pool.borrow();
  RequestHead head;
  head.feed(kUpgrade);
  for (auto _ : state) {
    out.clear();
    HeadEdits edits(head);
    hop_by_hop(head, edits, NextHop::upgrade);
    edits.set(KnownField::x_forwarded_for, Bytes("203.0.113.7"));
    edits.set(KnownField::x_forwarded_proto, Bytes("https"));
    const Field* cookie = head.find(KnownField::cookie);
    edits.replace_value(*cookie, head.value(*cookie).substr(73));
    if (!edits.write(out)) state.SkipWithError("not written");
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(upgrade_edited);

}  // namespace
}  // namespace rejoin::proto
