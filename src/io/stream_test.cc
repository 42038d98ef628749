// What coroutines await, over the simulated network: ends well, ends at its deadline, ends when stopped, and
// ends when any one operation under it fails.
#include "io/stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/sim_scenario.h"

namespace rejoin::io {
namespace {

using scenario::EchoServer;
using scenario::Talk;

/// Accepts, and leaves what it accepted to the test.
class Bare final : public AcceptEvents {
 public:
  Bare(SimHost& host, std::uint16_t port) {
    auto made = host.network().listen(host.address(port), {}, *this);
    listener = std::move(*made);
  }
  void on_accept(Socket socket, const Address&) override { sockets.push_back(std::move(socket)); }
  std::unique_ptr<Listener> listener;
  std::vector<Socket> sockets;
};

/// How an awaited operation ended: "" while it has not, "ok", or "kind (side)".
using Outcome = std::string;

Outcome named(const Status& status) {
  if (status) return "ok";
  return std::string(to_string(status.error().kind)) + " (" + std::string(to_string(status.error().side)) +
         ")";
}

Task<void> connect_then(Stream& stream, Address to, ConnectOptions options, TimePoint deadline,
                        Outcome& out) {
  Status open = co_await stream.connect(to, options, deadline);
  out = named(open);
}

Task<void> read_then(Stream& stream, Buffer& into, TimePoint deadline, Outcome& out) {
  Status got = co_await stream.read_into(into, deadline);
  out = named(got);
}

Task<void> write_then(Stream& stream, Bytes bytes, TimePoint deadline, Outcome& out) {
  Status done = co_await stream.write_all(bytes, deadline);
  out = named(done);
}

class StreamTest : public testing::Test {
 protected:
  ~StreamTest() override {
    EXPECT_EQ(scope.running(), 0u);
    stream.reset();
    bare.sockets.clear();
    bare.listener.reset();
    buffer.release();
    EXPECT_EQ(sim.leftovers_text(), "");
  }
  TimePoint in(Duration time) const { return sim.now() + time; }
  /// Opens `stream` to the bare server; its other end is bare.sockets.back().
  void connect() {
    Outcome out;
    const std::size_t before = bare.sockets.size();
    scope.spawn(connect_then(*stream, server.address(1), {}, in(5s), out));
    ASSERT_TRUE(sim.run_until([&] { return !out.empty() && bare.sockets.size() > before; }));
    ASSERT_EQ(out, "ok");
  }
  void make_stream() { stream = std::make_unique<Stream>(client.world(), Side::server, stop); }

  Simulation sim{1};
  SimHost& server = sim.add_host({.name = "server", .addresses = {"10.0.0.1"}, .receive_buffer_bytes = 3000});
  SimHost& client = sim.add_host({.name = "client", .addresses = {"10.0.0.2"}, .send_buffer_bytes = 4000});
  Bare bare{server, 1};
  Stop stop;
  Scope scope{client.world().ready};
  Buffer buffer = client.world().buffers.borrow();
  std::unique_ptr<Stream> stream = std::make_unique<Stream>(client.world(), Side::server, stop);
};

// --- connect ---

TEST_F(StreamTest, connects) {
  connect();
  EXPECT_EQ(stream->socket().peer_address(), server.address(1));
  EXPECT_EQ(client.world().timers.armed(), 0u);
}

TEST_F(StreamTest, connects_from_an_address_of_ours_only) {
  client.add_address("10.0.0.77");
  Outcome good, bad;
  scope.spawn(
      connect_then(*stream, server.address(1), {.bind = *Address::parse_ip("10.0.0.77")}, in(5s), good));
  sim.run_for(1s);
  EXPECT_EQ(good, "ok");
  EXPECT_EQ(stream->socket().local_address().ip_text(), "10.0.0.77");
  make_stream();
  scope.spawn(
      connect_then(*stream, server.address(1), {.bind = *Address::parse_ip("192.0.2.1")}, in(5s), bad));
  sim.run_for(1s);
  EXPECT_EQ(bad, "exhausted (ours)");
  EXPECT_FALSE(*stream);
}

TEST_F(StreamTest, connect_says_why_it_failed) {
  const struct {
    const char* name;
    Address to;
    Duration deadline;
    Outcome wanted;
    Duration within;
  } cases[] = {
      {"nobody listens", server.address(2), 5s, "refused (server)", 1s},
      {"nobody is there, deadline", *Address::parse("10.9.9.9:1"), 3s, "timed out (server)", 3002ms},
      {"nobody is there, the kernel gives up", *Address::parse("10.9.9.9:1"), 1h, "timed out (server)", 128s},
      {"no address of that family", *Address::parse("[2001:db8::1]:1"), 3s, "unreachable (server)", 1s},
      {"a deadline that has passed", server.address(1), -1s, "timed out (server)", 2ms},
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(one.name);
    make_stream();
    Outcome out;
    scope.spawn(connect_then(*stream, one.to, {}, in(one.deadline), out));
    sim.run_for(one.within);
    EXPECT_EQ(out, one.wanted);
    EXPECT_FALSE(*stream) << "closed by itself";
    EXPECT_EQ(client.open_sockets(), 0u);
  }
  sim.run_for(1s);
}

TEST_F(StreamTest, connect_says_when_descriptors_are_out) {
  client.set_descriptors_max(0);
  Outcome out;
  scope.spawn(connect_then(*stream, server.address(1), {}, in(1s), out));
  sim.run_for(1s);
  EXPECT_EQ(out, "exhausted (ours)");
}

// --- reading and writing ---

TEST_F(StreamTest, reads_across_every_cut) {
  const std::string text = "the whole text, which arrives in two pieces";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    make_stream();
    connect();
    bare.sockets.back().write(Bytes(text).substr(0, cut));
    sim.at(in(50ms), [&] { bare.sockets.back().write(Bytes(text).substr(cut)); });
    buffer.clear();
    for (int reads = 0; buffer.size() < text.size(); ++reads) {
      ASSERT_LT(reads, 3);
      Outcome out;
      scope.spawn(read_then(*stream, buffer, in(1s), out));
      ASSERT_TRUE(sim.run_until([&] { return !out.empty(); }));
      ASSERT_EQ(out, "ok");
    }
    EXPECT_EQ(buffer.view(), text);
  }
}

TEST_F(StreamTest, a_read_ends_in_every_way) {
  const struct {
    const char* name;
    void (*act)(Socket& peer, Stop& stop);
    Outcome wanted;
  } cases[] = {
      {"bytes", [](Socket& peer, Stop&) { peer.write("x"); }, "ok"},
      {"bytes, then the end", [](Socket& peer, Stop&) { peer.write("x"), peer.close(); }, "ok"},
      {"the end", [](Socket& peer, Stop&) { peer.close(); }, "closed (server)"},
      {"half closed", [](Socket& peer, Stop&) { peer.shutdown_write(); }, "closed (server)"},
      {"reset", [](Socket& peer, Stop&) { peer.reset(); }, "reset (server)"},
      {"nothing", [](Socket&, Stop&) {}, "timed out (server)"},
      {"stop", [](Socket&, Stop& own) { own.request(); }, "cancelled (ours)"},
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(one.name);
    for (const bool before : {true, false}) {
      Stop own;
      stream = std::make_unique<Stream>(client.world(), Side::server, own);
      connect();
      Outcome out;
      if (before) {
        one.act(bare.sockets.back(), own);
        sim.run_for(100ms);
      }
      scope.spawn(read_then(*stream, buffer, in(1s), out));
      sim.run_for(100ms);
      if (!before) {
        EXPECT_EQ(out, "");
        one.act(bare.sockets.back(), own);
      }
      sim.run_for(1s);
      // What has come already can be read, and the end be told, after a stop as well: only waiting is over.
      EXPECT_EQ(out, one.wanted);
      EXPECT_EQ(client.world().timers.armed(), 0u);
      stream.reset();
      buffer.clear();
    }
  }
}

TEST_F(StreamTest, a_full_buffer_is_too_large) {
  connect();
  buffer.commit(buffer.room());
  Outcome out;
  scope.spawn(read_then(*stream, buffer, in(1s), out));
  sim.run_for(10ms);
  EXPECT_EQ(out, "too large (server)");
  buffer.clear();
  buffer.commit(buffer.room() - 2);
  bare.sockets.back().write("abc");
  for (const char* wanted : {"ok", "too large (server)"}) {
    out.clear();
    scope.spawn(read_then(*stream, buffer, in(1s), out));
    sim.run_for(100ms);
    EXPECT_EQ(out, wanted);
  }
  EXPECT_TRUE(buffer.view().ends_with("ab"))
      << "no more than there was room for; the rest waits in the socket";
}

TEST_F(StreamTest, write_all_waits_for_a_reader) {
  connect();
  std::string text;
  for (std::size_t i = 0; i < 100'000; ++i) text.push_back(scenario::stream_byte(1, i));
  Outcome out;
  scope.spawn(write_then(*stream, text, kNever, out));
  sim.run_for(10s);
  EXPECT_EQ(out, "") << "7,000 bytes of buffers on the way";
  Talk reader(std::move(bare.sockets.back()));
  ASSERT_TRUE(sim.run_until([&] { return reader.pull() && reader.received.size() == text.size(); }));
  EXPECT_EQ(reader.received, text);
  EXPECT_EQ(out, "ok");
}

TEST_F(StreamTest, write_all_ends_in_every_way) {
  const std::string much(50'000, 'w');
  const struct {
    const char* name;
    void (*act)(Socket& peer, Stop& stop);
    Outcome wanted;
  } cases[] = {
      {"nobody reads", [](Socket&, Stop&) {}, "timed out (server)"},
      {"stop", [](Socket&, Stop& own) { own.request(); }, "cancelled (ours)"},
      {"reset", [](Socket& peer, Stop&) { peer.reset(); }, "reset (server)"},
      {"closed unread", [](Socket& peer, Stop&) { peer.close(); }, "reset (server)"},
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(one.name);
    Stop own;
    stream = std::make_unique<Stream>(client.world(), Side::server, own);
    connect();
    Outcome out;
    scope.spawn(write_then(*stream, much, in(1s), out));
    sim.run_for(100ms);
    EXPECT_EQ(out, "");
    one.act(bare.sockets.back(), own);
    sim.run_for(1s);
    EXPECT_EQ(out, one.wanted);
    stream.reset();
  }
}

TEST_F(StreamTest, one_reads_while_another_writes) {
  connect();
  const std::string much(20'000, 'w');
  Outcome reading, writing;
  scope.spawn(read_then(*stream, buffer, in(1h), reading));
  scope.spawn(write_then(*stream, much, in(1h), writing));
  sim.run_for(1s);
  EXPECT_EQ(reading + writing, "");
  bare.sockets.back().write("answer");
  sim.run_for(1s);
  EXPECT_EQ(reading, "ok");
  EXPECT_EQ(writing, "");
  Talk reader(std::move(bare.sockets.back()));
  ASSERT_TRUE(sim.run_until([&] { return reader.pull() && reader.received.size() == much.size(); }));
  EXPECT_EQ(writing, "ok");
}

// --- release and adopt ---

TEST_F(StreamTest, readiness_outlives_release_and_adopt) {
  connect();
  while (stream->socket().read().got()) {
  }
  ASSERT_FALSE(stream->socket().may_read());
  Socket loose = stream->release();
  EXPECT_FALSE(*stream);
  bare.sockets.back().write("while nobody owned it");
  sim.run_for(1s);
  EXPECT_TRUE(loose.may_read());
  make_stream();
  stream->adopt(std::move(loose));
  Outcome out;
  scope.spawn(read_then(*stream, buffer, in(1s), out));
  sim.run_for(1ms);
  EXPECT_EQ(out, "ok") << "at once: nobody will be told again";
  EXPECT_EQ(buffer.view(), "while nobody owned it");

  // An event that was on its way to the old owner reaches the new one.
  while (stream->socket().read().got()) {
  }
  bare.sockets.back().write("!");
  Socket again = stream->release();
  make_stream();
  stream->adopt(std::move(again));
  out.clear();
  scope.spawn(read_then(*stream, buffer, in(1s), out));
  sim.run_for(100ms);
  EXPECT_EQ(out, "ok");
}

TEST_F(StreamTest, an_opening_socket_can_be_adopted) {
  auto opening = client.network().connect(server.address(1), {});
  ASSERT_TRUE(opening);
  stream->adopt(std::move(*opening));
  Outcome out;
  scope.spawn(write_then(*stream, "early", in(1s), out));
  sim.run_for(100ms);
  EXPECT_EQ(out, "ok") << "writing waits until it is open";
}

Task<void> sleeper(World& world, TimePoint when, Stop& stop, std::optional<Woken>& out) {
  const Woken why = co_await sleep_until(world, when, stop);
  out = why;
}

TEST_F(StreamTest, sleeping_ends_at_its_time_or_when_stopped) {
  std::optional<Woken> first, second;
  scope.spawn(sleeper(client.world(), in(1s), stop, first));
  scope.spawn(sleeper(client.world(), kNever, stop, second));
  sim.run_for(1002ms);
  EXPECT_EQ(first, Woken::timed_out);
  EXPECT_FALSE(second);
  stop.request();
  sim.run_for(1ms);
  EXPECT_EQ(second, Woken::stopped);
}

// --- each operation failed at its nth step ---

// Dials, sends a request, reads the answer until it is whole.
Task<void> exchange(Stream& stream, Address to, Bytes request, std::size_t wanted, TimePoint deadline,
                    Buffer& buffer, Outcome& out) {
  Status open = co_await stream.connect(to, ConnectOptions(), deadline);
  if (!open) {
    out = named(open);
    co_return;
  }
  Status sent = co_await stream.write_all(request, deadline);
  if (!sent) {
    out = named(sent);
    co_return;
  }
  while (buffer.size() < wanted) {
    Status got = co_await stream.read_into(buffer, deadline);
    if (!got) {
      out = named(got);
      co_return;
    }
  }
  out = "ok";
}

TEST(StreamSteps, every_operation_failed_once) {
  const std::string request(9000, 'r');
  std::uint64_t survived_at = 0;
  for (std::uint64_t nth = 1; survived_at == 0; ++nth) {
    ASSERT_LT(nth, 500u);
    Simulation sim(nth);
    SimHost& server_host =
        sim.add_host({.name = "server", .addresses = {"10.0.0.1"}, .receive_buffer_bytes = 2000});
    SimHost& host = sim.add_host({.name = "client", .addresses = {"10.0.0.2"}, .send_buffer_bytes = 1500});
    sim.set_faults(Faults::harmless());
    EchoServer server(server_host, 1);
    Stop stop;
    Scope scope(host.world().ready);
    {
      Stream stream(host.world(), Side::server, stop);
      Buffer buffer = host.world().buffers.borrow();
      Outcome out;
      host.fail_operation(nth);
      scope.spawn(
          exchange(stream, server_host.address(1), request, request.size(), sim.now() + 5min, buffer, out));
      ASSERT_TRUE(sim.run_until([&] { return !out.empty(); })) << "step " << nth;
      if (sim.counters().operations_failed == 0) {
        EXPECT_EQ(out, "ok");
        EXPECT_EQ(buffer.view(), request);
        survived_at = nth;
      } else {
        EXPECT_EQ(out, nth == 1 ? "exhausted (ours)" : "reset (server)") << "step " << nth;
      }
      EXPECT_EQ(host.world().timers.armed(), 0u);
    }
    EXPECT_EQ(scope.running(), 0u);
    server.stop();
    EXPECT_EQ(sim.leftovers_text(), "") << "step " << nth;
  }
  EXPECT_GT(survived_at, 10u) << "connect, several writes, several reads";
}

TEST(StreamSteps, every_connection_cut_at_every_hundredth_byte) {
  const std::string request(3000, 'r');
  for (const Towards towards : {Towards::listener, Towards::dialler}) {
    for (const Break how : {Break::reset, Break::hole}) {
      for (std::uint64_t after = 0; after <= 2900; after += 100) {
        Simulation sim(after + 1);
        SimHost& server_host = sim.add_host({.name = "server", .addresses = {"10.0.0.1"}});
        SimHost& host = sim.add_host({.name = "client", .addresses = {"10.0.0.2"}});
        sim.cut({.towards = towards, .after_bytes = after, .how = how});
        EchoServer server(server_host, 1);
        Stop stop;
        Scope scope(host.world().ready);
        {
          Stream stream(host.world(), Side::server, stop);
          Buffer buffer = host.world().buffers.borrow();
          Outcome out;
          scope.spawn(exchange(stream, server_host.address(1), request, request.size(), sim.now() + 10s,
                               buffer, out));
          ASSERT_TRUE(sim.run_until([&] { return !out.empty(); }));
          EXPECT_EQ(sim.counters().cuts, 1u);
          EXPECT_EQ(out, how == Break::reset ? "reset (server)" : "timed out (server)") << after;
        }
        server.stop();
        EXPECT_EQ(sim.leftovers_text(), "");
      }
    }
  }
}

}  // namespace
}  // namespace rejoin::io
