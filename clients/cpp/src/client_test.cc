// rejoin::Client on real sockets, against the toy gateway on a loop of the test's own thread.
#include "rejoin/client.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "clients/cpp/src/fake_gateway.h"
#include "io/epoll_loop.h"
#include "io/tls_network.h"
#include "io/tls_test_certificates.h"

namespace rejoin {
namespace {

using Kind = Client::State::Kind;

session::SessionRules rules() {
  session::SessionRules rules;
  rules.spread = 20ms;
  rules.window = {.bytes = 4096, .messages = 16};
  return rules;
}

/// The gateway's side, driven by until().
struct Gateway {
  Gateway() {
    loop = std::move(*io::EpollLoop::make(log));
    world.emplace(loop->world(random, log));
    gateway = std::make_unique<client::FakeGateway>(*world, rules());
    websocket = gateway->listen_websocket(*Address::parse("127.0.0.1:0"));
    tcp = gateway->listen_tcp(*Address::parse("127.0.0.1:0"));
  }
  ~Gateway() { gateway.reset(); }
  template <typename Done>
  bool until(Done done, std::chrono::seconds at_most = std::chrono::seconds(60)) {
    const auto deadline = std::chrono::steady_clock::now() + at_most;
    while (!done()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      loop->turn(2ms);
    }
    return true;
  }
  session::ToyGateway::Player& player() { return *gateway->toy.players.begin()->second; }
  std::string url(bool ws) const { return ws ? "ws://" + websocket.text() + "/play" : "tcp://" + tcp.text(); }

  NullLog log;
  SystemRandom random;
  std::unique_ptr<io::EpollLoop> loop;
  std::optional<io::World> world;
  std::unique_ptr<client::FakeGateway> gateway;
  Address websocket, tcp;
};

/// An application: what it was told, safe to look at from the test's thread.
struct Player {
  explicit Player(Client::Options options) : own_thread(options.own_thread) {
    Client::Handlers on;
    on.message = [this](std::string_view message, Client::Kind) {
      const std::lock_guard lock(mutex);
      got.emplace_back(message);
    };
    on.state = [this](const Client::State& state) {
      const std::lock_guard lock(mutex);
      states.push_back(state);
    };
    on.save = [this](std::string_view what) {
      const std::lock_guard lock(mutex);
      saved.emplace_back(what);
    };
    on.writable = [this] { ++writable; };
    Client::Made made = Client::make(options, on);
    EXPECT_TRUE(made) << made.error;
    client = std::move(made.client);
  }
  /// One look, after a turn of its loop if that is ours.
  void turn() {
    if (own_thread) return;
    pollfd wait{client->descriptor(), POLLIN, 0};
    const int timeout = client->timeout_ms();
    const int ready = poll(&wait, 1, 0);
    if (ready > 0 || timeout == 0) client->process();
  }
  Kind last() {
    turn();
    const std::lock_guard lock(mutex);
    return states.empty() ? Kind::connecting : states.back().kind;
  }
  Client::State state() {
    const std::lock_guard lock(mutex);
    return states.back();
  }
  std::size_t got_count() {
    turn();
    const std::lock_guard lock(mutex);
    return got.size();
  }

  bool own_thread;
  std::mutex mutex;
  std::vector<std::string> got, saved;
  std::vector<Client::State> states;
  std::atomic<int> writable = 0;
  std::unique_ptr<Client> client;
};

Client::Options options(const std::string& url, bool own_thread = true) {
  Client::Options options;
  options.url = url;
  options.identity = "who";
  options.own_thread = own_thread;
  return options;
}

TEST(Client, plays_through_a_broken_link_on_either_loop_and_transport) {
  for (const bool own_thread : {true, false}) {
    for (const bool ws : {true, false}) {
      Gateway gateway;
      Player player(options(gateway.url(ws), own_thread));
      player.client->start();
      ASSERT_TRUE(gateway.until([&] { return player.last() == Kind::open; }));
      EXPECT_EQ(player.state().url, gateway.url(ws));
      EXPECT_EQ(player.state().round_trips, ws ? 2 : 1);
      EXPECT_EQ(player.client->send("one", Client::Kind::text), Client::Sent::sent);
      ASSERT_TRUE(
          gateway.until([&] { return player.last() == Kind::open && gateway.player().got.size() == 1; }));
      gateway.gateway->reset_all();
      EXPECT_TRUE(gateway.gateway->toy.produce(gateway.player(), "meanwhile"));
      EXPECT_TRUE(Client::taken(player.client->send("two")));
      ASSERT_TRUE(gateway.until([&] { return player.last() == Kind::resumed; }));
      EXPECT_EQ(player.state().round_trips, 1);
      EXPECT_TRUE(player.state().whole);
      ASSERT_TRUE(gateway.until([&] { return player.got_count() == 1 && gateway.player().got.size() == 2; }));
      EXPECT_EQ(gateway.player().got[1], "two");
      player.client->close(1000, "bye");
      EXPECT_EQ(player.client->send("late"), Client::Sent::ended);
      ASSERT_TRUE(gateway.until([&] { return player.last() == Kind::ended; }));
      EXPECT_EQ(gateway.player().ended, 1000);
      EXPECT_EQ(player.client->statistics().resumes, 1u);
      EXPECT_EQ(player.client->statistics().sent, 2u);
    }
  }
}

TEST(Client, speaks_tls_to_a_name) {
  Gateway gateway;
  const UnixSeconds now = gateway.loop->unix_now();
  io::TestAuthority authority(now), other_authority(now);
  const io::TestIdentity who = authority.issue({.names = {"localhost"}});
  auto context =
      io::TlsContext::make(io::TlsServerOptions{.chain_pem = who.chain_pem, .key_pem = who.key_pem});
  ASSERT_TRUE(context);
  io::TlsNetwork tls(*gateway.world, {.server = *context});
  const Address wss = gateway.gateway->listen_websocket(*Address::parse("127.0.0.1:0"), &tls);
  const Address secure = gateway.gateway->listen_tcp(*Address::parse("127.0.0.1:0"), &tls);
  for (const std::string& url : {"wss://localhost:" + std::to_string(wss.port) + "/",
                                 "tls://localhost:" + std::to_string(secure.port)}) {
    Client::Options with = options(url);
    with.ca_pem = authority.pem();
    Player player(with);
    player.client->start();
    ASSERT_TRUE(gateway.until([&] { return player.last() == Kind::open; })) << url;
    player.client->send("over TLS");
    ASSERT_TRUE(gateway.until([&] {
      for (const auto& [ticket, each] : gateway.gateway->toy.players) {
        if (each->link != 0 && each->got.size() == 1) return true;
      }
      return false;
    }));
  }
  Client::Options wrong = options("wss://localhost:" + std::to_string(wss.port) + "/");
  wrong.ca_pem = other_authority.pem();
  wrong.give_up_ms = 500;
  Player stranger(wrong);
  stranger.client->start();
  ASSERT_TRUE(gateway.until([&] { return stranger.last() == Kind::ended; }));
  EXPECT_NE(stranger.state().reason.find("certificate"), std::string::npos) << stranger.state().reason;
  gateway.gateway->stop();
}

TEST(Client, many_threads_send_and_wait_for_room) {
  constexpr int kThreads = 4, kMessages = 300;
  Gateway gateway;
  Player player(options(gateway.url(true)));
  player.client->start();
  ASSERT_TRUE(gateway.until([&] { return player.last() == Kind::open; }));
  std::atomic<int> done = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kMessages;) {
        const Client::Sent sent = player.client->send(std::to_string(t) + ":" + std::to_string(i));
        if (Client::taken(sent)) {
          ++i;
        } else if (sent != Client::Sent::window_full) {
          break;
        } else {
          std::this_thread::yield();
        }
      }
      ++done;
    });
  }
  int resets = 0;
  const bool all = gateway.until([&] {
    if (!gateway.gateway->toy.players.empty() &&
        gateway.player().got.size() / 200 > static_cast<std::size_t>(resets)) {
      ++resets;
      gateway.gateway->reset_all();
    }
    return done == kThreads && gateway.player().got.size() == kThreads * kMessages;
  });
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(all) << gateway.player().got.size();
  EXPECT_GT(resets, 2);
  EXPECT_GT(player.writable, 0);
  std::map<std::string, int> next;
  for (const std::string& message : gateway.player().got) {
    const std::string who = message.substr(0, message.find(':'));
    EXPECT_EQ(message, who + ":" + std::to_string(next[who]++));
  }
}

// An application that sends in both handlers would otherwise find its own queue changed under it, and say a
// message twice.
TEST(Client, room_is_never_told_inside_a_send) {
  Gateway gateway;
  Client::Options options;
  options.url = gateway.url(true);
  options.own_thread = false;
  bool sending = false, told_inside = false;
  int told = 0;
  std::unique_ptr<Client> client;
  Client::Handlers on;
  on.state = [&](const Client::State& state) {
    if (state.kind != Kind::open) return;
    sending = true;
    EXPECT_TRUE(Client::taken(client->send("first", Client::Kind::text)));
    sending = false;
  };
  on.writable = [&] {
    ++told;
    told_inside |= sending;
  };
  Client::Made made = Client::make(options, on);
  ASSERT_TRUE(made) << made.error;
  client = std::move(made.client);
  client->start();
  bool open = false;
  ASSERT_TRUE(gateway.until([&] {
    // Somebody waits for room when the session opens, in whichever turn that is.
    open = open || client->send("too early", Client::Kind::text) != Client::Sent::window_full;
    client->process();
    return told > 0 && !gateway.gateway->toy.players.empty() && !gateway.player().got.empty();
  })) << "it is told all the same";
  EXPECT_FALSE(told_inside);
  EXPECT_EQ(gateway.player().got.front(), "first");
  EXPECT_EQ(std::count(gateway.player().got.begin(), gateway.player().got.end(), "first"), 1);
}

TEST(Client, a_restarted_program_goes_on_from_another_address) {
  Gateway gateway;
  std::string saved;
  {
    Player player(options(gateway.url(true)));
    player.client->start();
    ASSERT_TRUE(gateway.until([&] { return player.last() == Kind::open; }));
    ASSERT_TRUE(gateway.until([&] { return gateway.player().session.phase() == session::Phase::attached; }));
    saved = player.saved.back();
  }
  EXPECT_TRUE(gateway.gateway->toy.produce(gateway.player(), "are you there?"));
  Client::Options with = options(gateway.url(false));
  with.saved = saved;
  with.bind = "127.0.0.9";
  Player player(with);
  player.client->start();
  ASSERT_TRUE(gateway.until([&] { return player.got_count() == 1; }));
  EXPECT_EQ(player.state().kind, Kind::resumed);
  EXPECT_FALSE(player.state().whole);
  EXPECT_EQ(gateway.gateway->openings.back().first.ip_text(), "127.0.0.9");
  EXPECT_TRUE(player.state().local.starts_with("127.0.0.9:")) << player.state().local;
}

TEST(Client, cookies_are_kept_for_the_next_run) {
  Gateway gateway;
  gateway.gateway->more_lines = "Set-Cookie: seat=7; Path=/\r\n";
  std::string cookies;
  {
    Player player(options(gateway.url(true)));
    player.client->start();
    ASSERT_TRUE(gateway.until([&] { return player.last() == Kind::open; }));
    cookies = player.client->cookies();
  }
  EXPECT_NE(cookies.find("seat\t7"), std::string::npos) << cookies;
  Client::Options with = options(gateway.url(true));
  with.cookies = cookies;
  Player player(with);
  player.client->start();
  ASSERT_TRUE(gateway.until([&] { return player.last() == Kind::open; }));
  EXPECT_EQ(gateway.gateway->asked.back().cookie, "seat=7");
}

TEST(Client, what_cannot_be_used_is_said_at_once) {
  const auto error_of = [](auto change) {
    Client::Options with = options("ws://127.0.0.1:1/");
    change(with);
    return Client::make(with, {}).error;
  };
  EXPECT_EQ(error_of([](Client::Options&) {}), "");
  EXPECT_NE(error_of([](Client::Options& o) { o.url = "play.example"; }), "");
  EXPECT_NE(error_of([](Client::Options& o) { o.url = "https://play.example/"; }), "");
  EXPECT_NE(error_of([](Client::Options& o) { o.bind = "here"; }), "");
  EXPECT_NE(error_of([](Client::Options& o) { o.saved = "x"; }), "");
  EXPECT_NE(error_of([](Client::Options& o) { o.cookies = "x"; }), "");
  EXPECT_NE(error_of([](Client::Options& o) { o.identity.assign(17'000, 'x'); }), "");
  EXPECT_NE(error_of([](Client::Options& o) {
              o.url = "wss://play.example/";
              o.ca_file = "/nowhere";
            }),
            "");
}

TEST(Client, destroyed_in_the_middle_it_is_gone) {
  Gateway gateway;
  for (int turns = 0; turns < 12; ++turns) {
    Player player(options(turns % 2 == 0 ? gateway.url(true)
                                         : "ws://localhost:" + std::to_string(gateway.websocket.port)));
    player.client->start();
    player.client->network_changed(Client::Network::gone);
    for (int i = 0; i < turns; ++i) gateway.loop->turn(1ms);
  }
}

}  // namespace
}  // namespace rejoin
