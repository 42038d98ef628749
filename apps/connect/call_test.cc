// Calls to a server that plays a script, on a simulated network.
#include "apps/connect/call.h"

#include <gtest/gtest.h>

#include "base/limits.h"
#include "io/sim_network.h"
#include "proto/ws_frame.h"
#include "proto/ws_handshake.h"

namespace rejoin::connect {
namespace {

using proto::WsOpcode;

const char* const kGreeting = R"({"server":"g1","client":"x"})";

/// Answers one connection: `opening` once a head has come ("" at once, for tcp), and then what `answer` makes
/// of all that came behind it, each time that more comes.
struct Script {
  std::function<std::string(const std::string& head)> opening;
  std::function<std::string(std::string_view arrived)> answer;  // may be null
  bool hang_up = false;                                         // FIN after it
};

class ScriptedServer final : private io::AcceptEvents, private io::SocketEvents {
 public:
  ScriptedServer(io::SimHost& host, std::uint16_t port, Script script, bool waits_for_head)
      : script_(std::move(script)), head_seen_(!waits_for_head) {
    listener_ = std::move(*host.network().listen(host.address(port), {}, *this));
  }

  const std::string& head() const { return head_; }
  const std::string& arrived() const { return arrived_; }
  void close() {
    socket_.close();
    listener_.reset();
  }
  void reset() { socket_.reset(); }
  bool client_ended() const { return client_ended_; }

 private:
  void on_accept(io::Socket socket, const Address&) override {
    socket_ = std::move(socket);
    socket_.set_events(this);
    head_.clear();
    arrived_.clear();
    if (head_seen_) say(script_.opening(""));
    read();
  }
  void on_ready(io::Ready ready) override {
    if (ready.readable && socket_) read();
  }
  void read() {
    while (socket_.may_read()) {
      const io::ReadResult read = socket_.read();
      if (!read.got()) {
        client_ended_ = client_ended_ || read.state == io::ReadResult::State::ended;
        return;
      }
      (head_seen_ ? arrived_ : head_) += read.view();
      if (!head_seen_ && head_.ends_with("\r\n\r\n")) {
        head_seen_ = true;
        say(script_.opening(head_));
      } else if (head_seen_ && script_.answer) {
        say(script_.answer(arrived_));
      }
    }
  }
  void say(const std::string& bytes) {
    if (!bytes.empty()) socket_.write(bytes);  // scripts are short
    if (script_.hang_up) socket_.shutdown_write();
  }

  Script script_;
  std::unique_ptr<io::Listener> listener_;
  io::Socket socket_;
  std::string head_, arrived_;
  bool head_seen_, client_ended_ = false;
};

struct SilentReporter final : Reporter {
  void connected(const Account&) override { ++steps; }
  void answered(const Account&) override { ++steps; }
  void received(const Account&) override { ++steps; }
  void ended(const Account&) override { ++ends; }
  int steps = 0, ends = 0;
};

/// One call against one script.
struct CallScene {
  CallScene(const std::string& scheme, Script script)
      : server_host(sim.add_host({.name = "server", .addresses = {"10.0.0.1"}})),
        client_host(sim.add_host({.name = "client", .addresses = {"10.1.0.2"}})),
        server(server_host, 8000, std::move(script), scheme == "ws") {
    url = *proto::Url::parse(scheme + "://10.0.0.1:8000");
  }

  Account call() {
    Run run{client_host.world(), options, url, {server_host.address(8000)}, jar, reporter, nullptr, stop};
    Account account;
    {
      Scope scope(client_host.world().ready);
      scope.spawn(make_call(run, Address(), account));
      EXPECT_TRUE(sim.run_until([&] { return scope.running() == 0; }));
    }
    EXPECT_EQ(reporter.ends, 1);
    EXPECT_TRUE(client_host.leftovers().none()) << client_host.leftovers().text();
    server.close();
    return account;
  }

  io::Simulation sim{1};
  io::SimHost& server_host;
  io::SimHost& client_host;
  ScriptedServer server;
  ConnectOptions options;
  proto::Url url;
  proto::CookieJar jar;
  SilentReporter reporter;
  Stop stop;
};

std::string upgrade_for(const std::string& head, const std::string& fields = "") {
  const std::string name = "Sec-WebSocket-Key: ";
  const std::string key = head.substr(head.find(name) + name.size(), 24);
  proto::AcceptHasher hasher;
  return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
         "Upgrade\r\nSec-WebSocket-Accept: " +
         std::string(proto::text_of(hasher.accept(key))) + "\r\n" + fields + "\r\n";
}

std::string frame(WsOpcode opcode, std::string_view payload) {
  std::string out;
  proto::append_frame(out, opcode, payload, std::nullopt);
  return out;
}
std::string close_with(std::uint16_t code) {
  char bytes[2];
  store_u16(bytes, code);
  return frame(WsOpcode::close, Bytes(bytes, 2));
}

Script upgrades_and_says(std::string bytes, std::string fields = "") {
  return {[=](const std::string& head) { return upgrade_for(head, fields) + bytes; }, nullptr};
}

/// What the client said, unmasked: opcodes and payloads.
std::vector<std::pair<WsOpcode, std::string>> client_frames(std::string bytes) {
  std::vector<std::pair<WsOpcode, std::string>> out;
  proto::FrameReader reader(proto::WsRole::server, 1 << 20);
  MutableBytes input(bytes.data(), bytes.size());
  for (;;) {
    const proto::WsEvent event = reader.feed(input);
    if (event.kind == proto::WsEvent::Kind::more) return out;
    EXPECT_NE(event.kind, proto::WsEvent::Kind::refused) << event.reason;
    if (event.kind == proto::WsEvent::Kind::refused) return out;
    if (event.kind == proto::WsEvent::Kind::close) {
      out.push_back({WsOpcode::close, std::to_string(number(event.code))});
      return out;
    }
    const WsOpcode opcode = event.kind == proto::WsEvent::Kind::pong ? WsOpcode::pong : event.opcode;
    out.push_back({opcode, std::string(event.view())});
  }
}

// Answers the client's close frame once it has come.
std::function<std::string(std::string_view)> closes_with(std::uint16_t code) {
  return [=](std::string_view arrived) {
    const auto frames = client_frames(std::string(arrived));
    return !frames.empty() && frames.back().first == WsOpcode::close ? close_with(code) : std::string();
  };
}

TEST(Call, says_and_hears_what_was_asked_and_closes_with_1000) {
  Script script = upgrades_and_says(
      frame(WsOpcode::text, kGreeting) + frame(WsOpcode::ping, "there?") + frame(WsOpcode::text, "hello"),
      "Set-Cookie: REJOIN=abc; Path=/; HttpOnly\r\n");
  script.answer = closes_with(1000);
  CallScene scene("ws", std::move(script));
  scene.options.messages = {"hello"};
  const Account account = scene.call();
  EXPECT_EQ(account.error, std::nullopt);
  EXPECT_EQ(account.status, 101);
  EXPECT_EQ(account.server, "g1");
  EXPECT_EQ(account.close_code, 1000);
  EXPECT_EQ(account.messages, (std::vector<std::string>{kGreeting, "hello"}));
  EXPECT_EQ(account.local.ip_text(), "10.1.0.2");
  ASSERT_EQ(account.cookies_received.size(), 1u);
  EXPECT_EQ(account.cookies_received[0].attributes, (std::vector<std::string>{"Path=/", "HttpOnly"}));
  EXPECT_EQ(scene.jar.header_for(scene.url, 0), "REJOIN=abc");
  using Frames = std::vector<std::pair<WsOpcode, std::string>>;
  EXPECT_EQ(client_frames(scene.server.arrived()),
            (Frames{{WsOpcode::pong, "there?"}, {WsOpcode::text, "hello"}, {WsOpcode::close, "1000"}}));
}

TEST(Call, sends_the_jars_cookies) {
  Script script = upgrades_and_says(frame(WsOpcode::text, kGreeting));
  script.answer = closes_with(1000);
  CallScene scene("ws", std::move(script));
  scene.jar.store(scene.url, "REJOIN=abc; Path=/", 0);
  const Account account = scene.call();
  EXPECT_EQ(account.error, std::nullopt);
  ASSERT_EQ(account.cookies_sent.size(), 1u);
  EXPECT_EQ(account.cookies_sent[0].value, "abc");
  EXPECT_NE(scene.server.head().find("\r\nCookie: REJOIN=abc\r\n"), std::string::npos) << scene.server.head();
}

TEST(Call, tells_what_went_wrong) {
  const auto says = [](std::string text) {
    return Script{[=](const std::string&) { return text; }, nullptr};
  };
  const struct {
    const char* name;
    Script script;
    const char* error;
    std::optional<int> status, close_code;
  } cases[] = {
      {"refused with a status",
       says("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"),
       "503",
       503,
       {}},
      {"no upgrade", says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), "200", 200, {}},
      {"wrong accept",
       says("HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
            "AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n"),
       "bad input",
       101,
       {}},
      {"no HTTP", says("220 smtp.example ESMTP\r\n\r\n"), "no HTTP", {}, {}},
      {"silence", says(""), "timed out", {}, {}},
      {"half a head", says("HTTP/1.1 101 Sw"), "timed out", {}, {}},
      {"hang-up in the handshake",
       {[](const std::string&) { return std::string("HTTP/1.1 1"); }, nullptr, true},
       "closed",
       {},
       {}},
      {"no greeting", upgrades_and_says(""), "timed out when 0 of 1", 101, {}},
      {"goes away before all came", upgrades_and_says(close_with(1001)), "1001", 101, 1001},
      {"a masked frame",
       upgrades_and_says("\x81\x81"
                         "abcd"
                         "x"),
       "broke a rule", 101, 1002},
      {"hang-up without a close frame",
       {[](const std::string& head) { return upgrade_for(head); }, nullptr, true},
       "hung up",
       101,
       1006},
      {"hang-up after the greeting",
       {[](const std::string& head) { return upgrade_for(head) + frame(WsOpcode::text, kGreeting); }, nullptr,
        true},
       "hung up",
       101,
       1006},
      {"no answer to our goodbye", upgrades_and_says(frame(WsOpcode::text, kGreeting)), "goodbye", 101, {}},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    CallScene scene("ws", c.script);
    const TimePoint began = scene.sim.now();
    const Account account = scene.call();
    ASSERT_TRUE(account.error);
    EXPECT_NE(account.error->find(c.error), std::string::npos) << *account.error;
    EXPECT_EQ(account.status, c.status);
    EXPECT_EQ(account.close_code, c.close_code);
    EXPECT_LT(scene.sim.now() - began, 2 * scene.options.timeout + 1s);
  }
}

TEST(Call, is_refused_where_nobody_listens) {
  CallScene scene("ws", upgrades_and_says(""));
  scene.server.close();
  const Account account = scene.call();
  ASSERT_TRUE(account.error);
  EXPECT_NE(account.error->find("refused"), std::string::npos) << *account.error;
  EXPECT_FALSE(account.local);
}

TEST(Call, passes_over_interim_answers) {
  Script script{[](const std::string& head) {
                  return "HTTP/1.1 103 Early Hints\r\n\r\n" + upgrade_for(head) +
                         frame(WsOpcode::text, kGreeting);
                },
                closes_with(1000)};
  CallScene scene("ws", std::move(script));
  EXPECT_EQ(scene.call().error, std::nullopt);
}

TEST(Call, waits_for_as_many_messages_as_were_asked_for) {
  for (const int wanted : {0, 1, 3}) {
    SCOPED_TRACE(wanted);
    Script script = upgrades_and_says(frame(WsOpcode::text, kGreeting) + frame(WsOpcode::text, "2") +
                                      frame(WsOpcode::binary, "3"));
    script.answer = closes_with(1000);
    CallScene scene("ws", std::move(script));
    scene.options.receive = wanted;
    const Account account = scene.call();
    EXPECT_EQ(account.error, std::nullopt);
    EXPECT_GE(account.messages.size(), static_cast<std::size_t>(wanted));
  }
}

// --- tcp:// ---

std::string framed(std::string_view message) {
  char length[4];
  store_u32(length, static_cast<std::uint32_t>(message.size()));
  return std::string(length, 4) + std::string(message);
}

TEST(Call, speaks_length_framed_tcp) {
  Script script{[](const std::string&) { return framed(kGreeting) + framed("hello"); }, nullptr, true};
  CallScene scene("tcp", std::move(script));
  scene.options.messages = {"hello"};
  const Account account = scene.call();
  EXPECT_EQ(account.error, std::nullopt);
  EXPECT_EQ(account.status, std::nullopt);
  EXPECT_EQ(account.close_code, std::nullopt);
  EXPECT_EQ(account.server, "g1");
  EXPECT_EQ(account.messages.size(), 2u);
}

TEST(Call, over_tcp_tells_what_went_wrong) {
  const struct {
    const char* name;
    std::string says;
    bool hangs_up;
    const char* error;
  } cases[] = {
      {"silence", "", false, "timed out when 0 of 1"},
      {"hang-up", "", true, "hung up when 0 of 1"},
      {"a message of 4 GiB", "\xff\xff\xff\xff", false, "broke a rule"},
      {"half a message", framed("hello").substr(0, 6), true, "hung up"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    CallScene scene("tcp", Script{[&](const std::string&) { return c.says; }, nullptr, c.hangs_up});
    const Account account = scene.call();
    ASSERT_TRUE(account.error);
    EXPECT_NE(account.error->find(c.error), std::string::npos) << *account.error;
  }
}

}  // namespace
}  // namespace rejoin::connect
