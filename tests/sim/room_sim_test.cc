// What a pool does over time, with the whole balancer on a simulated network: clients that wait for room, a
// server that starts slowly, a page's first burst, a server that vanishes.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "apps/balancer/plan.h"
#include "apps/balancer/worker.h"
#include "apps/config/config.h"
#include "base/scope.h"
#include "io/sim_network.h"
#include "io/stream.h"
#include "proto/http_head.h"

namespace rejoin::sim_test {
namespace {

constexpr std::uint16_t kPort = 8000;

/// Answers each request after `hold`, with its name. Probes ("/healthz") at once.
class Holding final : private io::AcceptEvents {
 public:
  Holding(io::World& world, Address at, std::string name, Duration hold)
      : hold_(hold), world_(world), name_(std::move(name)), connections_(world.ready) {
    listener_ = std::move(*world.network.listen(at, {}, *this));
  }
  void stop() {
    listener_.reset();
    stop_.request();
  }
  Duration hold_;
  int status = 200;
  int at_once = 0, most_at_once = 0;
  std::vector<std::string> heard;  // targets, in the order of their coming

 private:
  void on_accept(io::Socket socket, const Address&) override { connections_.spawn(serve(std::move(socket))); }

  Task<void> serve(io::Socket accepted) {
    io::Stream client(world_, std::move(accepted), Side::client, stop_);
    Buffer arrived = world_.buffers.borrow();
    for (;;) {
      proto::RequestHead request;
      proto::HeadVerdict verdict;
      while (verdict.state == proto::HeadState::need_more) {
        Status more = co_await client.read_into(arrived, world_.clock.now() + 600s);
        if (!more) co_return;
        verdict = request.feed(arrived.view());
      }
      const std::string target(request.target());
      arrived.consume(verdict.consumed);
      if (target != "/healthz") {
        heard.push_back(target);
        most_at_once = std::max(most_at_once, ++at_once);
        co_await io::sleep_until(world_, world_.clock.now() + hold_, stop_);
        --at_once;
      }
      const std::string out =
          "HTTP/1.1 " + std::to_string(status) + " X\r\nX-Server: " + name_ + "\r\nContent-Length: 0\r\n\r\n";
      Status sent = co_await client.write_all(out, world_.clock.now() + 10s);
      if (!sent) co_return;
    }
  }

  io::World& world_;
  std::string name_;
  Stop stop_;
  Scope connections_;
  std::unique_ptr<io::Listener> listener_;
};

/// What one client asked and heard.
struct Asked {
  std::string target, cookie, agent;
  int status = 0;  // 0: no answer (yet)
  std::string server, set_cookie;
  TimePoint begun, ended;
  bool done = false;
  std::unique_ptr<Stop> leave = std::make_unique<Stop>();
};

Task<void> ask(io::World& world, Address to, Asked& asked) {
  io::Stream stream(world, Side::server, *asked.leave);
  const TimePoint patience = world.clock.now() + 600s;
  asked.begun = world.clock.now();
  const io::ConnectOptions options;
  Status open = co_await stream.connect(to, options, patience);
  std::string out = "GET " + asked.target + " HTTP/1.1\r\nHost: x\r\n";
  if (!asked.cookie.empty()) out += "Cookie: " + asked.cookie + "\r\n";
  if (!asked.agent.empty()) out += "User-Agent: " + asked.agent + "\r\n";
  out += "\r\n";
  if (open) open = co_await stream.write_all(out, patience);
  Buffer arrived = world.buffers.borrow();
  proto::ResponseHead head;
  proto::HeadVerdict verdict;
  while (open && verdict.state == proto::HeadState::need_more) {
    open = co_await stream.read_into(arrived, patience);
    if (open) verdict = head.feed(arrived.view());
  }
  asked.ended = world.clock.now();
  asked.done = true;
  if (!open) co_return;
  asked.status = head.status();
  if (const proto::Field* field = head.find("X-Server")) asked.server = head.value(*field);
  const Bytes cookie = head.value_of(proto::KnownField::set_cookie);
  asked.set_cookie = cookie.substr(0, cookie.find(';'));
}

struct Stage {
  /// `keys`: those of the pool but its servers, which are a, b, ... with `server` behind their addresses.
  Stage(int count, const std::string& keys, const std::string& server, Duration hold = 100ms,
        const std::string& mode = "http") {
    std::string list;
    for (int i = 0; i < count; ++i) {
      const std::string ip = "10.0.2." + std::to_string(i + 1), name(1, static_cast<char>('a' + i));
      hosts.push_back(&sim.add_host({.name = name, .addresses = {ip}}));
      servers.push_back(
          std::make_unique<Holding>(hosts.back()->world(), hosts.back()->address(kPort), name, hold));
      list += std::string(list.empty() ? "" : ", ") + "{ name = \"" + name + "\", address = \"" + ip +
              ":8000\"" + server + " }";
    }
    const std::string text = "[[listener]]\nlisten = \"10.0.0.1:80\"\nmode = \"" + mode +
                             "\"\n[[pool]]\nname = \"p\"\n" + keys + "\nserver = [ " + list + " ]\n";
    auto config = config::parse_config(text, "test");
    EXPECT_TRUE(config.ok()) << (config ? "" : config.error().detail) << text;
    Random& random = front.world().random;
    plan = std::move(*balancer::make_plan(*config, route::KeyRing(route::generate_key(random)), random));
    worker = std::make_unique<balancer::Worker>(front.world(), plan, 0);
    EXPECT_TRUE(worker->open({}).ok());
    sim.run_for(50ms);
  }
  ~Stage() {
    for (auto& one : asked) one->leave->request();
    sim.run_for(100ms);
    worker->drain();
    worker->stop();
    EXPECT_TRUE(sim.run_until([&] { return worker->idle(); }, 5s));
    for (auto& server : servers) server->stop();
    sim.run_for(5s);
    EXPECT_EQ(clients.running(), 0u);
    worker.reset();
    servers.clear();
    sim.run_for(1s);
    EXPECT_EQ(sim.leftovers_text(), "");
  }
  Asked& begin(std::string target, std::string cookie = {}, std::string agent = {}) {
    asked.push_back(std::make_unique<Asked>());
    asked.back()->target = std::move(target);
    asked.back()->cookie = std::move(cookie);
    asked.back()->agent = std::move(agent);
    clients.spawn(ask(phone.world(), front.address(80), *asked.back()));
    return *asked.back();
  }
  Asked& done(std::string target, std::string cookie = {}, std::string agent = {}) {
    Asked& one = begin(std::move(target), std::move(cookie), std::move(agent));
    EXPECT_TRUE(sim.run_until([&] { return one.done; }, 60s));
    return one;
  }
  bool all_done(Duration within = 60s) {
    return sim.run_until(
        [&] { return std::all_of(asked.begin(), asked.end(), [](const auto& one) { return one->done; }); },
        within);
  }
  /// A cookie of `server`.
  std::string cookie_of(const std::string& server) {
    for (int i = 0; i < 20; ++i) {
      const Asked& one = done("/cookie");
      if (one.server == server) return one.set_cookie;
    }
    ADD_FAILURE() << server << " never answered";
    return {};
  }
  route::Pool& pool() { return *plan->pools[0]->route->pool; }
  std::size_t waiting() { return pool().room_watch().waiting(); }

  io::Simulation sim{1};
  io::SimHost& front = sim.add_host({.name = "front", .addresses = {"10.0.0.1"}});
  io::SimHost& phone = sim.add_host({.name = "phone", .addresses = {"10.1.0.1"}});
  std::vector<io::SimHost*> hosts;
  std::vector<std::unique_ptr<Holding>> servers;
  std::shared_ptr<const balancer::Plan> plan;
  std::unique_ptr<balancer::Worker> worker;
  std::vector<std::unique_ptr<Asked>> asked;
  Scope clients{phone.world().ready};
};

TEST(RoomSim, servers_have_no_more_than_their_limit_and_no_room_is_left_unused) {
  Stage stage(2, "queue = { size = 100, timeout = \"10s\" }", ", max_connections = 2");
  for (int i = 0; i < 40; ++i) {
    stage.begin("/" + std::to_string(i));
    stage.sim.run_for(1ms);  // or the network may bring them in another order
  }
  ASSERT_TRUE(stage.all_done());
  TimePoint last{};
  for (const auto& one : stage.asked) {
    EXPECT_EQ(one->status, 200);
    last = std::max(last, one->ended);
  }
  for (const auto& server : stage.servers) {
    EXPECT_EQ(server->most_at_once, 2);
    EXPECT_EQ(server->heard.size(), 20u);
    EXPECT_TRUE(std::is_sorted(server->heard.begin(), server->heard.end(), [](const auto& a, const auto& b) {
      return std::stoi(a.substr(1)) < std::stoi(b.substr(1));
    })) << "who came first is served first";
  }
  // 40 requests of 100 ms, four at a time; what is above is round trips of 4 ms.
  EXPECT_LT(last - stage.asked[0]->begun, 1100ms);
  EXPECT_EQ(stage.waiting(), 0u);
}

TEST(RoomSim, those_who_belong_to_a_server_come_first_and_others_wait_no_longer_than_the_timeout) {
  Stage stage(1, "affinity = [ { kind = \"cookie-insert\" } ]\nqueue = { size = 3, timeout = \"2s\" }",
              ", max_connections = 1");
  const std::string cookie = stage.cookie_of("a");
  stage.servers[0]->hold_ = 700ms;
  stage.begin("/running");
  stage.sim.run_for(20ms);
  Asked& first = stage.begin("/first");
  stage.sim.run_for(20ms);
  Asked& last = stage.begin("/last");
  stage.sim.run_for(20ms);
  Asked& pinned = stage.begin("/pinned", cookie);
  stage.sim.run_for(20ms);
  EXPECT_EQ(stage.waiting(), 3u);
  Asked& too_many = stage.begin("/too-many");
  stage.sim.run_for(20ms);
  EXPECT_EQ(too_many.status, 503) << "the queue is full";
  Asked& also_pinned = stage.begin("/also-pinned", cookie);
  stage.sim.run_for(20ms);
  EXPECT_EQ(last.status, 503) << "its place was taken by one who belongs there";
  EXPECT_FALSE(first.done);
  ASSERT_TRUE(stage.all_done());
  EXPECT_EQ(stage.servers[0]->heard,
            (std::vector<std::string>{"/cookie", "/running", "/pinned", "/also-pinned"}));
  EXPECT_EQ(pinned.status, 200);
  EXPECT_EQ(also_pinned.status, 200);
  EXPECT_EQ(first.status, 503);
  EXPECT_GE(first.ended - first.begun, 2s);
  EXPECT_LT(first.ended - first.begun, 2100ms);
  EXPECT_EQ(stage.waiting(), 0u);
}

TEST(RoomSim, who_belongs_to_a_full_server_goes_elsewhere_after_the_timeout_unless_strict) {
  for (const bool strict : {false, true}) {
    Stage stage(2,
                std::string("affinity = [ { kind = \"cookie-insert\", strict = ") +
                    (strict ? "true" : "false") + " } ]\nqueue = { size = 3, timeout = \"500ms\" }",
                ", max_connections = 1");
    const std::string cookie = stage.cookie_of("a");
    stage.servers[0]->hold_ = 5s;
    stage.begin("/running", cookie);
    stage.sim.run_for(20ms);
    const Asked& moved = stage.done("/moved", cookie);
    EXPECT_EQ(moved.status, strict ? 503 : 200);
    EXPECT_EQ(moved.server, strict ? "" : "b");
    EXPECT_GE(moved.ended - moved.begun, 500ms);
    EXPECT_EQ(moved.set_cookie.empty(), strict) << "bound to b from now on";
  }
}

TEST(RoomSim, a_client_that_leaves_while_it_waits_leaves_the_queue) {
  Stage stage(1, "queue = { size = 3, timeout = \"10s\" }", ", max_connections = 1", 1s);
  stage.begin("/running");
  stage.sim.run_for(20ms);
  Asked& gone = stage.begin("/gone");
  stage.begin("/stays");
  stage.sim.run_for(20ms);
  EXPECT_EQ(stage.waiting(), 2u);
  gone.leave->request();
  stage.sim.run_for(20ms);
  EXPECT_EQ(stage.waiting(), 1u);
  ASSERT_TRUE(stage.all_done());
  EXPECT_EQ(stage.servers[0]->heard, (std::vector<std::string>{"/running", "/stays"}));
}

TEST(RoomSim, a_server_that_comes_back_starts_slowly) {
  Stage stage(2, "slow_start = \"100s\"\nhealth = { kind = \"tcp\", every = \"500ms\", rise = 1, fall = 1 }",
              "", 1ms);
  const auto share_of_b = [&](int requests) {
    int b = 0;
    for (int i = 0; i < requests; ++i) b += stage.done("/").server == "b";
    return static_cast<double>(b) / requests;
  };
  EXPECT_NEAR(share_of_b(100), 0.5, 0.05);
  stage.servers[1]->stop();
  ASSERT_TRUE(stage.sim.run_until([&] { return !stage.pool().up(1); }, 5s));
  stage.sim.run_for(5s);
  stage.servers[1] =
      std::make_unique<Holding>(stage.hosts[1]->world(), stage.hosts[1]->address(kPort), "b", 1ms);
  ASSERT_TRUE(stage.sim.run_until([&] { return stage.pool().up(1); }, 5s));
  const TimePoint up = stage.sim.now();
  EXPECT_LE(share_of_b(100), 0.04) << "0 to 1 s: a hundredth";
  stage.sim.run_for(up + 50s - stage.sim.now());
  EXPECT_NEAR(share_of_b(100), 1.0 / 3, 0.04) << "half of its weight against a whole one";
  stage.sim.run_for(up + 100s - stage.sim.now());
  EXPECT_NEAR(share_of_b(100), 0.5, 0.04);
}

TEST(RoomSim, a_pages_first_burst_stays_together) {
  Stage stage(4, "affinity = [ { kind = \"cookie-insert\" } ]\nburst = \"3s\"", "");
  std::vector<Asked*> page;
  for (int i = 0; i < 8; ++i) page.push_back(&stage.begin("/" + std::to_string(i), {}, "Firefox"));
  Asked& other = stage.begin("/other", {}, "Chromium");
  ASSERT_TRUE(stage.all_done());
  for (const Asked* one : page) {
    EXPECT_EQ(one->server, page[0]->server);
    EXPECT_FALSE(one->set_cookie.empty()) << "each is bound, since none knew of the others";
  }
  EXPECT_NE(other.server, page[0]->server);
  stage.sim.run_for(3s);
  std::map<std::string, int> later;
  for (int i = 0; i < 4; ++i) {
    ++later[stage.done("/later", {}, "Firefox").server];
    stage.sim.run_for(4s);
  }
  EXPECT_EQ(later.size(), 4u) << "four bursts of one";
}

TEST(RoomSim, a_server_that_vanishes_takes_its_connections_with_it_where_that_is_asked) {
  for (const bool close : {true, false}) {
    Stage stage(
        1,
        std::string(
            "connect_timeout = \"1s\"\nhealth = { kind = \"tcp\", every = \"500ms\", timeout = \"500ms\", "
            "fall = 2") +
            (close ? ", on_down = \"close\" }" : " }"),
        "", 30s, "tcp");
    Asked& tunnel = stage.begin("/");
    stage.sim.run_for(1s);
    EXPECT_EQ(stage.worker->tunnels(), 1u);
    stage.sim.black_hole(*stage.hosts[0], stage.front);
    ASSERT_TRUE(stage.sim.run_until([&] { return !stage.pool().up(0); }, 10s));
    stage.sim.run_for(10ms);
    EXPECT_EQ(tunnel.done, close) << "with keep it would wait for the tunnel's time-out";
    EXPECT_EQ(stage.worker->tunnels(), close ? 0u : 1u);
    stage.sim.reopen(*stage.hosts[0], stage.front);
  }
}

TEST(RoomSim, a_request_in_progress_at_a_server_that_vanishes_is_answered_at_once) {
  Stage stage(
      2, "health = { kind = \"tcp\", every = \"500ms\", timeout = \"500ms\", fall = 1, on_down = \"close\" }",
      "", 30s);
  Asked& one = stage.begin("/");
  stage.sim.run_for(100ms);
  const std::size_t at = stage.servers[0]->heard.empty() ? 1 : 0;
  stage.sim.black_hole(*stage.hosts[at], stage.front);
  ASSERT_TRUE(
      stage.sim.run_until([&] { return !stage.pool().up(static_cast<route::ServerIndex>(at)); }, 10s));
  stage.sim.run_for(10ms);
  EXPECT_EQ(one.status, 502);
  stage.sim.reopen(*stage.hosts[at], stage.front);
}

TEST(RoomSim, a_server_that_answers_badly_is_out_for_a_while) {
  Stage stage(2, "health = { passive = { failures = 3, within = \"10s\", out = \"30s\" } }", "", 1ms);
  stage.servers[1]->status = 503;
  std::map<int, int> statuses;
  for (int i = 0; i < 20; ++i) ++statuses[stage.done("/").status];
  EXPECT_EQ(statuses[503], 3) << "and then it was out";
  EXPECT_EQ(statuses[200], 17);
  stage.servers[1]->status = 200;
  stage.sim.run_for(31s);
  std::map<std::string, int> servers;
  for (int i = 0; i < 20; ++i) ++servers[stage.done("/").server];
  EXPECT_EQ(servers["b"], 10);
}

}  // namespace
}  // namespace rejoin::sim_test
