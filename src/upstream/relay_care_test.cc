// Care for a relay over the simulated network and clock: what each side hears, and when.
#include "upstream/relay_care.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/network_contract.h"
#include "io/sim_network.h"

namespace rejoin::upstream {
namespace {

using io::contract::Acceptor;
using io::contract::End;
using proto::CloseCode;
using proto::WsOpcode;
using State = io::ReadResult::State;

constexpr proto::MaskKey kKey{'\x11', '\x22', '\x33', '\x44'};
constexpr std::array<char, kPingTokenBytes> kToken{'t', 'o', 'k', 'e', 'n', '-', '-', '1'};

CareRules with_token(CareRules rules) {
  rules.token = kToken;
  return rules;
}

/// client --- relay with care --- server, each a host of a simulation.
struct Line final : RelayOwner, io::AcceptEvents {
  explicit Line(CareRules care, bool ws = true, std::size_t buffer_bytes = 64 * 1024)
      : rules(with_token(care)), websocket(ws), small(buffer_bytes) {
    listener = std::move(*middle.network().listen(middle.address(80), {}, *this));
    server_listener = std::move(*far.network().listen(far.address(8000), {}, servers));
    auto dialled = near.network().connect(middle.address(80), {});
    client = std::make_unique<End>(std::move(*dialled));
    EXPECT_TRUE(run_until([&] { return client->writable > 0 && !servers.ends.empty(); }));
  }
  ~Line() { EXPECT_EQ(left(), ""); }

  void on_accept(io::Socket socket, const Address&) override {
    auto server = middle.network().connect(far.address(8000), {});
    const RelayRules of_relay{1h, websocket ? ClientFin::ends_both : ClientFin::passes_on};
    relay = std::make_unique<Relay>(middle.world(), *this, std::move(socket), std::move(*server), of_relay);
    relay->care_for(rules, websocket);
    relay->start();
  }
  void relay_ended(Relay&, RelayEnd how) override {
    end = how;
    ended_at = sim.now();
    relay.reset();
  }
  End& server() { return *servers.ends[0]; }
  bool run_until(const std::function<bool()>& done, Duration at_most = 60s) {
    return sim.run_until(done, at_most);
  }
  /// Both ends read all that comes for so long.
  void run_for(Duration time) {
    const TimePoint until = sim.now() + time;
    while (sim.now() < until) {
      sim.run_for(std::min<Duration>(10ms, until - sim.now()));
      drain();
    }
  }
  void drain() {
    if (client && client->socket && client_reads) client_state = client->drain();
    if (!servers.ends.empty() && server().socket) server_state = server().drain();
  }
  std::string left() {
    client.reset();
    servers.ends.clear();
    listener.reset();
    server_listener.reset();
    if (relay) relay->cancel();
    sim.run_for(1s);
    return sim.leftovers_text();
  }

  CareRules rules;
  bool websocket;
  std::size_t small;
  io::Simulation sim{1};
  io::SimHost& host(const char* name, const char* ip) {
    return sim.add_host(
        {.name = name, .addresses = {ip}, .send_buffer_bytes = small, .receive_buffer_bytes = small});
  }
  io::SimHost& near = host("near", "10.0.0.1");
  io::SimHost& middle = host("middle", "10.0.0.2");
  io::SimHost& far = host("far", "10.0.0.3");
  Acceptor servers;
  std::unique_ptr<io::Listener> listener, server_listener;
  std::unique_ptr<End> client;
  std::unique_ptr<Relay> relay;
  std::optional<RelayEnd> end;
  TimePoint ended_at{};
  State client_state = State::would_block, server_state = State::would_block;
  bool client_reads = true;
};

std::string from_client(WsOpcode opcode, const std::string& payload, proto::Fin fin = proto::Fin::yes) {
  proto::FrameSpec spec;
  spec.opcode = opcode;
  spec.payload_bytes = payload.size();
  spec.mask = kKey;
  spec.fin = fin;
  std::string masked = payload;
  proto::apply_mask(masked, kKey);
  return std::string(proto::write_frame_header(spec).view()) + masked;
}
std::string from_server(WsOpcode opcode, const std::string& payload) {
  std::string out;
  proto::append_frame(out, opcode, payload, std::nullopt);
  return out;
}
std::string token() { return {kToken.data(), kToken.size()}; }
std::string our_ping() { return from_server(WsOpcode::ping, token()); }
std::string our_pong() { return from_client(WsOpcode::pong, token()); }
std::string close_for_client(CloseCode code) {
  return std::string(proto::write_close(code, {}, std::nullopt).view());
}

/// The code of the one close frame in `bytes`, which a client masked; 0 when it is none.
int code_for_server(const std::string& bytes) {
  if (bytes.size() != 8 || bytes[0] != '\x88') return 0;
  proto::MaskKey key{bytes[2], bytes[3], bytes[4], bytes[5]};
  std::string code = bytes.substr(6);
  proto::apply_mask(code, key);
  return load_u16(code.data());
}

CareRules pings() {
  CareRules rules;
  rules.ping = 20s;
  rules.pong_timeout = 10s;
  return rules;
}

TEST(RelayCare, asks_a_silent_client_and_keeps_its_answer_from_the_server) {
  Line line(pings());
  line.run_for(19s);
  EXPECT_EQ(line.client->received, "");
  line.run_for(2s);
  EXPECT_EQ(line.client->received, our_ping());
  for (int round = 0; round < 5; ++round) {
    line.client->write(our_pong());
    line.run_for(22s);
    ASSERT_FALSE(line.end.has_value());
  }
  EXPECT_EQ(line.client->received.size(), 6 * our_ping().size());
  EXPECT_EQ(line.server().received, "") << "neither pings nor pongs of ours reach it";
}

TEST(RelayCare, does_not_ask_who_talks) {
  Line line(pings());
  const std::string message = from_client(WsOpcode::text, "hello");
  for (int i = 0; i < 10; ++i) {
    line.client->write(message);
    line.run_for(15s);
  }
  EXPECT_EQ(line.client->received, "");
  EXPECT_EQ(line.server().received.size(), 10 * message.size());
}

TEST(RelayCare, notices_a_client_that_is_gone_and_tells_its_server_with_1001) {
  Line line(pings());
  line.run_for(29s);
  EXPECT_EQ(line.server().received, "");
  line.run_for(2s);  // 20 s of silence, 10 s without a pong
  EXPECT_EQ(code_for_server(line.server().received), 1001);
  EXPECT_EQ(line.server_state, State::ended) << "and a FIN behind it";
  EXPECT_NE(line.client->failed_with, 0) << "a RST, if it lives after all";
  ASSERT_FALSE(line.end.has_value()) << "the server may say its own close frame";
  line.server().close();
  line.run_for(1s);
  ASSERT_TRUE(line.end.has_value());
  EXPECT_EQ(line.end->how, RelayEnd::How::dead);
  EXPECT_EQ(line.end->side, Side::client);
}

TEST(RelayCare, does_not_wait_for_ever_for_a_server_that_ignores_the_end) {
  Line line(pings());
  line.run_for(30s + Duration(kCareCloseS) + 1s);
  ASSERT_TRUE(line.end.has_value());
  EXPECT_EQ(line.end->how, RelayEnd::How::dead);
}

TEST(RelayCare, a_server_that_talks_does_not_keep_a_dead_client_alive) {
  Line line(pings());
  for (int i = 0; i < 40 && !line.end; ++i) {
    line.server().write(from_server(WsOpcode::text, "tick"));
    line.run_for(1s);
    if (line.server_state == State::ended) line.server().close();
    if (!line.server().socket) break;
  }
  line.run_for(1s);
  ASSERT_TRUE(line.end.has_value());
  EXPECT_EQ(line.end->how, RelayEnd::How::dead);
}

TEST(RelayCare, asks_between_two_frames_of_the_server_and_not_inside_one) {
  const std::string message = from_server(WsOpcode::text, std::string(300, 's'));
  for (std::size_t cut = 1; cut < message.size(); cut += cut < 8 ? 1 : 97) {
    SCOPED_TRACE(cut);
    Line line(pings());
    line.server().write(message.substr(0, cut));
    line.run_for(22s);
    ASSERT_EQ(line.client->received, message.substr(0, cut)) << "a ping would stand inside the frame";
    line.server().write(message.substr(cut) + message);
    line.run_for(1s);
    EXPECT_EQ(line.client->received, message + our_ping() + message);
    line.client->write(our_pong());
    line.run_for(5s);
    EXPECT_FALSE(line.end.has_value());
  }
}

TEST(RelayCare, leaves_the_question_to_a_server_that_has_asked_itself) {
  Line line(pings());
  line.server().write(from_server(WsOpcode::ping, "theirs"));
  line.run_for(22s);
  EXPECT_EQ(line.client->received, from_server(WsOpcode::ping, "theirs"))
      << "a client may answer the latest ping alone";
  line.client->write(from_client(WsOpcode::pong, "theirs"));
  line.run_for(1s);
  EXPECT_EQ(line.server().received, from_client(WsOpcode::pong, "theirs"));
  line.run_for(21s);
  EXPECT_TRUE(line.client->received.ends_with(our_ping())) << "now ours";
}

TEST(RelayCare, takes_our_pong_out_of_what_the_client_says_wherever_it_is_cut) {
  const std::string before = from_client(WsOpcode::text, "before") + from_client(WsOpcode::binary, "");
  const std::string other = from_client(WsOpcode::pong, "not ours") + from_client(WsOpcode::pong, "") +
                            from_client(WsOpcode::pong, "its size is another");
  const std::string after = from_client(WsOpcode::text, std::string(200, 'a'));
  const std::string said = before + our_pong() + other + our_pong() + our_pong() + after;
  const std::string heard = before + other + after;
  for (std::size_t cut = 1; cut < said.size(); ++cut) {
    SCOPED_TRACE(cut);
    Line line(pings());
    line.client->write(said.substr(0, cut));
    line.run_for(50ms);
    EXPECT_TRUE(heard.starts_with(line.server().received)) << "what has come is a beginning of it";
    line.client->write(said.substr(cut));
    line.run_for(100ms);
    ASSERT_EQ(line.server().received, heard);
  }
  Line line(pings());
  for (const char byte : said) {
    line.client->write({&byte, 1});
    line.run_for(10ms);
  }
  line.run_for(100ms);
  EXPECT_EQ(line.server().received, heard);
}

TEST(RelayCare, ends_with_the_code_that_fits_and_the_server_hears_whole_frames_only) {
  const std::string good = from_client(WsOpcode::text, "good");
  CareRules rules;
  rules.message_max = 1000;
  rules.frame_max = 600;
  const struct {
    std::string name, said;
    CloseCode code;
    std::string passed;
  } cases[] = {
      {"a frame too large", good + from_client(WsOpcode::text, std::string(601, 'x')), CloseCode::too_big,
       good},
      {"a message too large",
       good + from_client(WsOpcode::text, std::string(600, 'x'), proto::Fin::no) +
           from_client(WsOpcode::continuation, std::string(401, 'x')),
       CloseCode::too_big, good + from_client(WsOpcode::text, std::string(600, 'x'), proto::Fin::no)},
      {"no mask", good + from_server(WsOpcode::text, "x"), CloseCode::protocol_error, good},
      {"a long ping", good + from_client(WsOpcode::ping, std::string(126, 'x')), CloseCode::protocol_error,
       good},
  };
  for (const auto& it : cases) {
    for (std::size_t cut = good.size() - 2; cut < it.said.size(); cut += cut < good.size() + 16 ? 1 : 211) {
      SCOPED_TRACE(it.name + ", cut at " + std::to_string(cut));
      Line line(rules);
      line.client->write(it.said.substr(0, cut));
      line.run_for(50ms);
      line.client->write(it.said.substr(cut));
      line.run_for(50ms);
      EXPECT_EQ(line.client->received, close_for_client(it.code));
      EXPECT_EQ(line.client_state, State::ended) << "a FIN behind it";
      ASSERT_TRUE(line.server().received.starts_with(it.passed));
      EXPECT_EQ(code_for_server(line.server().received.substr(it.passed.size())), 1001);
      EXPECT_EQ(line.server_state, State::ended);
      line.client->close();
      line.server().close();
      line.run_for(50ms);
      ASSERT_TRUE(line.end.has_value());
      EXPECT_EQ(line.end->how, RelayEnd::How::refused);
      EXPECT_EQ(line.end->code, proto::number(it.code));
    }
  }
}

TEST(RelayCare, what_is_just_small_enough_passes) {
  CareRules rules;
  rules.message_max = 1000;
  rules.frame_max = 600;
  Line line(rules);
  const std::string said = from_client(WsOpcode::text, std::string(600, 'x'), proto::Fin::no) +
                           from_client(WsOpcode::ping, "in between") +
                           from_client(WsOpcode::continuation, std::string(400, 'x')) +
                           from_client(WsOpcode::text, std::string(600, 'y'));
  line.client->write(said);
  line.server().write(from_server(WsOpcode::text, std::string(5000, 's')));
  line.run_for(1s);
  EXPECT_EQ(line.server().received, said);
  EXPECT_EQ(line.client->received.size(), from_server(WsOpcode::text, std::string(5000, 's')).size())
      << "the limits are the client's";
  EXPECT_FALSE(line.end.has_value());
}

TEST(RelayCare, ends_a_flood_of_frames_with_1008_and_takes_a_burst) {
  CareRules rules;
  rules.frames_per_second = 10;
  Line line(rules);
  const std::string frame = from_client(WsOpcode::text, "x");
  std::string burst;
  for (int i = 0; i < 20; ++i) burst += frame;
  line.client->write(burst);
  line.run_for(1s);
  EXPECT_EQ(line.server().received, burst);
  for (int i = 0; i < 30; ++i) {
    line.client->write(frame);
    line.run_for(105ms);
  }
  EXPECT_FALSE(line.end.has_value());
  EXPECT_EQ(line.client->received, "");
  line.client->write(burst + burst);
  line.run_for(50ms);
  EXPECT_EQ(line.client->received, close_for_client(CloseCode::policy));
}

TEST(RelayCare, is_dismissed_with_a_close_frame_for_each_side_and_fins) {
  CareRules rules;
  rules.closes_at_drain = true;
  Line line(rules);
  line.client->write(from_client(WsOpcode::text, "hello"));
  line.run_for(50ms);
  ASSERT_TRUE(line.relay->dismiss(1012));
  EXPECT_FALSE(line.relay->dismiss(1012)) << "once";
  line.run_for(50ms);
  EXPECT_EQ(line.client->received, close_for_client(CloseCode::restart));
  EXPECT_EQ(line.client_state, State::ended);
  EXPECT_EQ(code_for_server(line.server().received.substr(from_client(WsOpcode::text, "hello").size())),
            1001);
  EXPECT_EQ(line.server_state, State::ended);
  line.client->write(from_client(WsOpcode::close, "\x03\xf4"));  // both answer, and that is nobody's
  line.client->close();
  line.server().write(from_server(WsOpcode::close, "\x03\xe9"));
  line.server().close();
  line.run_for(100ms);
  ASSERT_TRUE(line.end.has_value());
  EXPECT_EQ(line.end->how, RelayEnd::How::dismissed);
  EXPECT_EQ(line.end->code, 1012);
}

TEST(RelayCare, a_dismissal_waits_for_the_end_of_the_servers_frame) {
  CareRules rules;
  rules.closes_at_drain = true;
  Line line(rules);
  const std::string message = from_server(WsOpcode::text, std::string(300, 's'));
  line.server().write(message.substr(0, 100));
  line.run_for(50ms);
  ASSERT_TRUE(line.relay->dismiss(1012));
  line.run_for(50ms);
  EXPECT_EQ(line.client->received, message.substr(0, 100));
  line.server().write(message.substr(100) + message);
  line.run_for(50ms);
  EXPECT_EQ(line.client->received, message + close_for_client(CloseCode::restart)) << "and nothing behind it";
  EXPECT_EQ(line.client_state, State::ended);
}

TEST(RelayCare, without_frames_to_follow_nothing_is_dismissed) {
  CareRules rules;
  rules.client_timeout = 10s;
  Line line(rules);
  EXPECT_TRUE(line.relay->has_care());
  EXPECT_FALSE(line.relay->dismiss(1012));
  Line plain((CareRules()));
  EXPECT_FALSE(plain.relay->has_care());
}

TEST(RelayCare, a_server_that_breaks_the_frames_ends_both) {
  CareRules rules;
  rules.message_max = 1000;
  Line line(rules);
  const std::string good = from_server(WsOpcode::text, "good");
  line.server().write(good + from_client(WsOpcode::text, "masked"));
  line.run_for(50ms);
  EXPECT_EQ(line.client->received, good + close_for_client(CloseCode::bad_gateway));
  EXPECT_EQ(code_for_server(line.server().received), 1002);
}

TEST(RelayCare, paces_each_direction_and_loses_nothing) {
  for (const bool up : {true, false}) {
    CareRules rules;
    (up ? rules.bytes_from_client : rules.bytes_to_client) = 10'000;
    Line line(rules, /*ws=*/false);
    std::string sent;
    for (int i = 0; i < 40'000; ++i) sent += static_cast<char>('a' + i % 26);
    End& sender = up ? *line.client : line.server();
    End& reader = up ? line.server() : *line.client;
    ASSERT_EQ(sender.write(sent).taken, sent.size());
    line.run_for(1s);
    EXPECT_NEAR(static_cast<double>(reader.received.size()), 20'000, 2'500)
        << "a second's worth at once, and one more";
    line.run_for(1s);
    EXPECT_NEAR(static_cast<double>(reader.received.size()), 30'000, 2'500);
    line.run_for(2s);
    EXPECT_EQ(reader.received, sent);
    (up ? line.server() : *line.client).write("at once");
    line.run_for(20ms);
    EXPECT_EQ(sender.received, "at once") << "the other direction is free";
  }
}

TEST(RelayCare, ends_a_side_that_takes_nothing) {
  for (const bool client_sleeps : {true, false}) {
    CareRules rules;
    rules.write_timeout = 5s;
    Line line(rules, /*ws=*/false, 4 * 1024);
    End& sender = client_sleeps ? line.server() : *line.client;
    TimePoint stuck{};
    for (int i = 0; i < 2000 && !line.end; ++i) {
      if (sender.socket.may_write()) {
        sender.write(std::string(1000, 'x'));
        stuck = line.sim.now();
      }
      line.sim.run_for(10ms);
    }
    ASSERT_TRUE(line.end.has_value());
    EXPECT_EQ(line.end->how, RelayEnd::How::stalled);
    EXPECT_EQ(line.end->side, client_sleeps ? Side::client : Side::server);
    EXPECT_LE(line.ended_at - stuck, 6s);
  }
}

TEST(RelayCare, a_slow_reader_that_does_read_is_no_stalled_one) {
  CareRules rules;
  rules.write_timeout = 5s;
  Line line(rules, /*ws=*/false, 4 * 1024);
  for (int i = 0; i < 60; ++i) {
    if (line.server().socket.may_write()) line.server().write(std::string(4000, 'x'));
    line.sim.run_for(1s);
    line.client->read(2000);
  }
  EXPECT_FALSE(line.end.has_value());
}

TEST(RelayCare, bounds_the_silence_of_each_side_alone) {
  for (const bool of_client : {true, false}) {
    CareRules rules;
    (of_client ? rules.client_timeout : rules.server_timeout) = 10s;
    Line line(rules, /*ws=*/false);
    End& silent = of_client ? *line.client : line.server();
    End& talks = of_client ? line.server() : *line.client;
    for (int i = 0; i < 5; ++i) {
      silent.write("x");
      talks.write("x");
      line.run_for(5s);
    }
    ASSERT_FALSE(line.end.has_value());
    for (int i = 0; i < 20 && !line.end; ++i) {
      talks.write("x");
      line.run_for(1s);
    }
    ASSERT_TRUE(line.end.has_value());
    EXPECT_EQ(line.end->how, RelayEnd::How::silent);
    EXPECT_EQ(line.end->side, of_client ? Side::client : Side::server);
  }
}

TEST(RelayCare, bounds_what_follows_the_first_fin) {
  for (const bool of_client : {true, false}) {
    CareRules rules;
    rules.half_closed_timeout = 10s;
    Line line(rules, /*ws=*/false);
    line.run_for(60s);
    End& first = of_client ? *line.client : line.server();
    End& second = of_client ? line.server() : *line.client;
    first.socket.shutdown_write();
    line.run_for(5s);
    second.write("still here");
    line.run_for(4s);
    EXPECT_EQ(first.received, "still here");
    ASSERT_FALSE(line.end.has_value());
    line.run_for(2s);
    ASSERT_TRUE(line.end.has_value());
    EXPECT_EQ(line.end->how, RelayEnd::How::silent);
    EXPECT_EQ(line.end->side, of_client ? Side::server : Side::client) << "who has not ended";
  }
}

TEST(RelayCare, whichever_operation_fails_both_sides_hear_of_it_and_nothing_is_left) {
  int survived = 0;
  for (std::uint64_t nth = 1; nth < 60 && survived == 0; ++nth) {
    SCOPED_TRACE(nth);
    CareRules rules = pings();
    rules.closes_at_drain = true;
    Line line(rules);
    const std::uint64_t before = line.middle.operations();
    line.middle.fail_operation(nth);
    line.client->write(from_client(WsOpcode::text, "question"));
    line.run_for(100ms);
    if (!line.end) line.server().write(from_server(WsOpcode::text, "answer"));
    line.run_for(21s);
    if (!line.end) line.client->write(our_pong());
    line.run_for(1s);
    if (!line.end) (void)line.relay->dismiss(1001);
    line.run_for(1s);
    if (line.client->socket) line.client->close();
    if (line.server().socket) line.server().close();
    line.run_for(5s);
    ASSERT_TRUE(line.end.has_value());
    if (line.end->how == RelayEnd::How::dismissed && line.middle.operations() < before + nth) ++survived;
  }
  EXPECT_EQ(survived, 1) << "the scenario never ran through";
}

}  // namespace
}  // namespace rejoin::upstream
