// What one WebSocket message costs in the reader, and what the pieces around it cost: unmasking, UTF-8, the
// accept of a handshake, a cookie taken out of a request.
#include <benchmark/benchmark.h>

#include <string>

#include "proto/cookie.h"
#include "proto/utf8.h"
#include "proto/ws_frame.h"
#include "proto/ws_handshake.h"

namespace rejoin::proto {
namespace {

void read_message(benchmark::State& state, WsRole role, WsOpcode opcode) {
  const std::optional<MaskKey> mask =
      role == WsRole::server ? std::optional(MaskKey{1, 2, 3, 4}) : std::nullopt;
  std::string stream;
  append_frame(stream, opcode, std::string(static_cast<std::size_t>(state.range(0)), 'x'), mask);
  std::string lent = stream;
  FrameReader reader(role, 1 << 20);
  for (auto _ : state) {
    // Unmasking works in place, so that each round undoes the one before; the reader does not look at binary
    // payload.
    MutableBytes input = lent;
    WsEvent event = reader.feed(input);
    benchmark::DoNotOptimize(event);
    if (event.kind != WsEvent::Kind::data) state.SkipWithError("no message");
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
void read_masked_binary(benchmark::State& state) { read_message(state, WsRole::server, WsOpcode::binary); }
void read_unmasked_binary(benchmark::State& state) { read_message(state, WsRole::client, WsOpcode::binary); }
void read_unmasked_text(benchmark::State& state) { read_message(state, WsRole::client, WsOpcode::text); }
BENCHMARK(read_masked_binary)->Arg(0)->Arg(64)->Arg(1024)->Arg(16384);
BENCHMARK(read_unmasked_binary)->Arg(64)->Arg(16384);
BENCHMARK(read_unmasked_text)->Arg(64)->Arg(1024)->Arg(16384);

void check_utf8(benchmark::State& state) {
  std::string text;
  while (text.size() < static_cast<std::size_t>(state.range(0))) text += "\xe4\xb8\xad";
  for (auto _ : state) benchmark::DoNotOptimize(is_utf8(text));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK(check_utf8)->Arg(48)->Arg(16384);

void write_header(benchmark::State& state) {
  FrameSpec spec;
  spec.payload_bytes = 300;
  for (auto _ : state) {
    benchmark::DoNotOptimize(spec);
    benchmark::DoNotOptimize(write_frame_header(spec));
  }
}
BENCHMARK(write_header);

void accept_key(benchmark::State& state) {
  AcceptHasher hasher;
  for (auto _ : state) benchmark::DoNotOptimize(hasher.accept("dGhlIHNhbXBsZSBub25jZQ=="));
}
BENCHMARK(accept_key);

constexpr std::string_view kCookies =
    "_ga=GA1.2.1234567890.1234567890; session=0123456789abcdef0123456789abcdef; "
    "REJOIN=AbCdEf0123456789AbCdEf0123456789; "
    "theme=dark";
void cookie_find_and_cut(benchmark::State& state) {
  for (auto _ : state) {
    const auto pair = find_cookie(kCookies, "REJOIN");
    benchmark::DoNotOptimize(without_cookie(kCookies, *pair));
  }
}
BENCHMARK(cookie_find_and_cut);

void cookie_strip(benchmark::State& state) {
  std::string out;
  for (auto _ : state) {
    out.clear();
    benchmark::DoNotOptimize(strip_cookie(kCookies, "REJOIN", out));
  }
}
BENCHMARK(cookie_strip);

}  // namespace
}  // namespace rejoin::proto
