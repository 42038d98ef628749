#include "upstream/relay.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "io/network_contract.h"
#include "io/sim_network.h"

namespace rejoin::upstream {
namespace {

using io::contract::Acceptor;
using io::contract::End;

/// client --- relay --- server, each a host of a simulation.
struct Line final : RelayOwner, io::AcceptEvents {
  explicit Line(RelayRules given = {30s, ClientFin::passes_on}, std::size_t buffer_bytes = 64 * 1024)
      : rules(given), small(buffer_bytes) {
    listener = std::move(*middle.network().listen(middle.address(80), {}, *this));
    server_listener = std::move(*far.network().listen(far.address(8000), {}, servers));
    dialled = near.network().connect(middle.address(80), {});
    client = std::make_unique<End>(std::move(**dialled));
  }

  // A relay takes over sockets as they are: here the server's is still being opened.
  void on_accept(io::Socket socket, const Address&) override {
    auto server = middle.network().connect(far.address(8000), {});
    if (!server) return;  // the test failed this operation
    relay = std::make_unique<Relay>(middle.world(), *this, std::move(socket), std::move(*server), rules);
    relay->start();
  }
  void relay_ended(Relay&, RelayEnd how) override {
    end = how;
    relay.reset();
  }

  bool open() {
    return sim.run_until([&] { return client->writable > 0 && !servers.ends.empty(); });
  }
  End& server() { return *servers.ends[0]; }
  bool run_until(const std::function<bool()>& done, Duration at_most = 60s) {
    return sim.run_until(done, at_most);
  }
  bool ended() { return end.has_value(); }
  std::string left() {
    client.reset();
    servers.ends.clear();
    listener.reset();
    server_listener.reset();
    if (relay) relay->cancel();
    sim.run_for(1s);
    return sim.leftovers_text();
  }

  RelayRules rules;
  std::size_t small;
  io::Simulation sim{1};
  io::SimHost& near = sim.add_host(
      {.name = "near", .addresses = {"10.0.0.1"}, .send_buffer_bytes = small, .receive_buffer_bytes = small});
  io::SimHost& middle = sim.add_host({.name = "middle",
                                      .addresses = {"10.0.0.2"},
                                      .send_buffer_bytes = small,
                                      .receive_buffer_bytes = small});
  io::SimHost& far = sim.add_host(
      {.name = "far", .addresses = {"10.0.0.3"}, .send_buffer_bytes = small, .receive_buffer_bytes = small});
  Acceptor servers;
  std::unique_ptr<io::Listener> listener, server_listener;
  std::optional<Result<io::Socket>> dialled;
  std::unique_ptr<End> client;
  std::unique_ptr<Relay> relay;
  std::optional<RelayEnd> end;
};

TEST(Relay, moves_bytes_both_ways_and_holds_no_buffer_when_idle) {
  Line line;
  ASSERT_TRUE(line.open());
  ASSERT_EQ(line.client->write("hello").taken, 5u);
  ASSERT_TRUE(line.run_until([&] { return line.server().drain(), line.server().received == "hello"; }));
  ASSERT_EQ(line.server().write("welcome").taken, 7u);
  ASSERT_TRUE(line.run_until([&] { return line.client->drain(), line.client->received == "welcome"; }));
  EXPECT_EQ(line.relay->bytes_from_client(), 5u);
  EXPECT_EQ(line.relay->bytes_from_server(), 7u);
  EXPECT_EQ(line.middle.world().buffers.lent(), 0u);
  EXPECT_EQ(line.left(), "");
}

TEST(Relay, passes_a_half_close_on_and_ends_when_both_have_said_fin) {
  Line line;
  ASSERT_TRUE(line.open());
  line.client->write("last words");
  line.client->socket.shutdown_write();
  ASSERT_TRUE(line.run_until([&] { return line.server().drain() == io::ReadResult::State::ended; }));
  EXPECT_EQ(line.server().received, "last words");
  EXPECT_FALSE(line.ended());
  line.server().write("answer");
  line.server().close();
  ASSERT_TRUE(line.run_until([&] { return line.client->drain() == io::ReadResult::State::ended; }));
  EXPECT_EQ(line.client->received, "answer");
  ASSERT_TRUE(line.ended());
  EXPECT_EQ(line.end->how, RelayEnd::How::finished);
  EXPECT_EQ(line.end->side, Side::client);
  EXPECT_EQ(line.left(), "");
}

TEST(Relay, a_websocket_clients_fin_ends_both_after_its_last_bytes) {
  Line line({30s, ClientFin::ends_both});
  ASSERT_TRUE(line.open());
  line.client->write("last words");
  line.client->close();
  ASSERT_TRUE(line.run_until([&] { return line.ended(); }));
  EXPECT_EQ(line.end->how, RelayEnd::How::finished);
  ASSERT_TRUE(line.run_until([&] { return line.server().drain() == io::ReadResult::State::ended; }));
  EXPECT_EQ(line.server().received, "last words");
  EXPECT_EQ(line.left(), "");
}

TEST(Relay, a_websocket_servers_fin_is_passed_on_and_waits_for_the_clients) {
  Line line({30s, ClientFin::ends_both});
  ASSERT_TRUE(line.open());
  line.server().write("bye");
  line.server().socket.shutdown_write();
  ASSERT_TRUE(line.run_until([&] { return line.client->drain() == io::ReadResult::State::ended; }));
  EXPECT_EQ(line.client->received, "bye");
  EXPECT_FALSE(line.ended());
  line.client->close();
  ASSERT_TRUE(line.run_until([&] { return line.ended(); }));
  EXPECT_EQ(line.end->side, Side::server);
  EXPECT_EQ(line.left(), "");
}

TEST(Relay, a_reset_of_one_side_resets_the_other) {
  for (const Side side : {Side::client, Side::server}) {
    Line line;
    ASSERT_TRUE(line.open());
    End& breaks = side == Side::client ? *line.client : line.server();
    End& other = side == Side::client ? line.server() : *line.client;
    breaks.socket.reset();
    ASSERT_TRUE(line.run_until([&] { return line.ended(); }));
    EXPECT_EQ(line.end->how, RelayEnd::How::broken);
    EXPECT_EQ(line.end->side, side);
    ASSERT_TRUE(line.run_until([&] { return other.drain() == io::ReadResult::State::failed; }));
    EXPECT_EQ(line.left(), "");
  }
}

TEST(Relay, a_server_that_vanished_without_a_word_is_found_though_nobody_speaks) {
  for (const Duration idle : {Duration(1h), Duration(65s)}) {
    Line line({idle, ClientFin::ends_both});
    ASSERT_TRUE(line.open());
    line.far.crash(io::Crash::power_loss);
    if (idle == 1h) {
      line.sim.run_for(limits::kRelayKeepAliveAfterS + 110s);
      EXPECT_FALSE(line.ended());
      line.sim.run_for(15s);
      ASSERT_TRUE(line.ended());
      EXPECT_EQ(line.end->how, RelayEnd::How::broken);
      EXPECT_EQ(line.end->side, Side::server);
    } else {
      line.sim.run_for(66s);
      ASSERT_TRUE(line.ended());
      EXPECT_EQ(line.end->how, RelayEnd::How::idle) << "its time-out comes first";
    }
    line.sim.run_for(10min);
    line.far.restart();
  }
}

TEST(Relay, silence_both_ways_ends_it_and_traffic_in_one_direction_does_not) {
  Line line({10s, ClientFin::passes_on});
  ASSERT_TRUE(line.open());
  for (int i = 0; i < 5; ++i) {
    line.sim.run_for(8s);
    ASSERT_FALSE(line.ended());
    line.server().write("tick");
  }
  line.sim.run_for(9s);
  EXPECT_FALSE(line.ended());
  line.sim.run_for(2s);
  ASSERT_TRUE(line.ended());
  EXPECT_EQ(line.end->how, RelayEnd::How::idle);
  EXPECT_EQ(line.left(), "");
}

TEST(Relay, a_reader_that_does_not_read_pauses_its_source_and_loses_nothing) {
  Line line({60s, ClientFin::passes_on}, 4 * 1024);
  ASSERT_TRUE(line.open());
  std::string sent;
  const std::string piece(1000, 'x');
  // The client does not read: after the buffers on the way are full, the server cannot write any more.
  for (int quiet = 0; quiet < 20;) {
    const std::size_t taken = line.server().write(piece).taken;
    sent.append(piece, 0, taken);
    quiet = taken == 0 ? quiet + 1 : 0;
    line.sim.run_for(5ms);
  }
  EXPECT_LT(sent.size(), 100'000u);
  EXPECT_GT(line.relay->pauses(), 0u);
  EXPECT_EQ(line.middle.world().buffers.lent(), 1u);
  line.server().socket.shutdown_write();
  ASSERT_TRUE(line.run_until([&] { return line.client->drain() == io::ReadResult::State::ended; }));
  EXPECT_EQ(line.client->received.size(), sent.size());
  EXPECT_EQ(line.middle.world().buffers.lent(), 0u);
  EXPECT_EQ(line.left(), "");
}

TEST(Relay, whichever_operation_fails_both_sides_hear_of_it_and_nothing_is_left) {
  int survived = 0;
  for (std::uint64_t nth = 1; nth < 60 && survived == 0; ++nth) {
    SCOPED_TRACE(nth);
    Line line;
    line.middle.fail_operation(nth);
    const std::uint64_t before = line.middle.operations();
    line.run_until(
        [&] {
          return !line.servers.ends.empty() || line.client->drain() != io::ReadResult::State::would_block;
        },
        5s);
    if (!line.servers.ends.empty()) {
      line.client->write("question");
      line.run_until([&] { return line.server().drain(), line.server().received == "question"; }, 5s);
      line.server().write("answer");
      line.run_until([&] { return line.client->drain(), line.client->received == "answer"; }, 5s);
      line.client->socket.shutdown_write();
      line.server().socket.shutdown_write();
      line.run_until([&] { return line.ended(); }, 5s);
      ASSERT_TRUE(line.ended());
      if (line.end->how == RelayEnd::How::finished && line.middle.operations() - before < nth) ++survived;
    }
    ASSERT_EQ(line.left(), "");
  }
  EXPECT_EQ(survived, 1) << "the scenario never ran through";
}

}  // namespace
}  // namespace rejoin::upstream
