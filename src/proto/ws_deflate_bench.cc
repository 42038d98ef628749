// What compression costs a message, and how much shorter it gets: JSON of a game, one message like the next
// but for its numbers. `sent` is bytes per message on the wire. Memory of each: see `memory`.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "base/random.h"
#include "proto/ws_compression.h"
#include "proto/ws_deflate.h"

namespace rejoin::proto {
namespace {

/// Different each time: the same one again would be a single reference.
std::vector<std::string> game_messages(std::size_t size) {
  SeededRandom random(1);
  std::vector<std::string> out(128 * 1024 / size);  // more than a window: none may come again within one
  for (std::string& message : out) {
    message = R"({"type":"state","tick":)" + std::to_string(random.below(100'000)) + R"(,"players":[)";
    while (message.size() < size) {
      message += R"({"id":)" + std::to_string(random.below(64)) + R"(,"x":)" +
                 std::to_string(random.below(4000)) + R"(.25,"y":)" + std::to_string(random.below(4000)) +
                 R"(.5,"hp":)" + std::to_string(random.below(101)) + "},";
    }
    message.resize(size);
  }
  return out;
}

void deflate(benchmark::State& state, Takeover takeover) {
  const std::vector<std::string> messages = game_messages(static_cast<std::size_t>(state.range(0)));
  Deflater deflater({static_cast<std::uint8_t>(state.range(1)), takeover}, static_cast<int>(state.range(2)));
  GrowingBlock out;
  std::size_t sent = 0, i = 0;
  for (auto _ : state) sent += deflater.deflate(messages[i++ % messages.size()], out)->size();
  state.counters["sent"] = static_cast<double>(sent) / static_cast<double>(i);
  state.counters["memory"] = static_cast<double>(deflater.memory_bytes());
}
void deflate_shared(benchmark::State& state) { deflate(state, Takeover::no); }
void deflate_takeover(benchmark::State& state) { deflate(state, Takeover::yes); }
void shapes(benchmark::internal::Benchmark* it) {
  it->ArgNames({"bytes", "window_bits", "memory_level"});
  for (const auto& [bits, memory] : {std::pair(9, 1), {10, 3}, {12, 5}, {15, 8}})
    for (const int size : {64, 173, 1024, 16384}) it->Args({size, bits, memory});
}
BENCHMARK(deflate_shared)->Apply(shapes);
BENCHMARK(deflate_takeover)->Apply(shapes);

/// There and back, as a gateway does it: a client's compressed message in, and out again to another.
void echo(benchmark::State& state, Takeover takeover) {
  const std::vector<std::string> messages = game_messages(static_cast<std::size_t>(state.range(0)));
  CompressionSettings settings;
  settings.takeover = takeover;
  CompressionShare share(settings);
  const DeflateTerms terms = share.wanted();
  MessageCompression link(share, terms, 1 << 20);
  Deflater client(terms.client, 8);
  GrowingBlock from_client;
  std::size_t i = 0;
  for (auto _ : state) {
    state.PauseTiming();
    std::string payload(*client.deflate(messages[i++ % messages.size()], from_client));
    state.ResumeTiming();
    WsEvent event;
    event.kind = WsEvent::Kind::data;
    event.opcode = WsOpcode::text;
    event.first = event.last = event.compressed = true;
    event.payload = payload;
    const MessageCompression::Taken taken = link.take(event);
    benchmark::DoNotOptimize(link.pack(taken.message));
    link.release();
  }
  state.counters["memory"] = static_cast<double>(link.memory_bytes());
}
void echo_shared(benchmark::State& state) { echo(state, Takeover::no); }
void echo_takeover(benchmark::State& state) { echo(state, Takeover::yes); }
BENCHMARK(echo_shared)->Arg(173)->Arg(1024);
BENCHMARK(echo_takeover)->Arg(173)->Arg(1024);

}  // namespace
}  // namespace rejoin::proto
