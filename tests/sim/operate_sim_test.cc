// What operators say at run time, and how it stands to what the file says: one balancer on a simulated
// network, asked as its admin port would ask.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "apps/balancer/operate.h"
#include "apps/balancer/plan.h"
#include "apps/balancer/worker.h"
#include "apps/config/config.h"
#include "io/sim_network.h"
#include "watch/json.h"

namespace rejoin::sim_test {
namespace {

using balancer::Operations;
using proto::Method;
using route::ServerOrder;
using watch::AdminReply;
using watch::AdminRequest;

constexpr std::string_view kFile = R"(
[[listener]]
name = "raw"
listen = "10.0.0.1:80"
mode = "tcp"
pool = "p"
[[pool]]
name = "p"
server = [ { name = "a", address = "10.0.1.1:80" }, { name = "b", address = "10.0.1.1:81" } ]
)";

Task<void> ask(Operations& operations, AdminRequest request, std::optional<AdminReply>& out) {
  std::optional<AdminReply> reply = co_await operations.operate(std::move(request));
  out = reply ? std::move(*reply) : AdminReply::error(404, "no such route");
}

/// Takes whoever comes, and keeps them.
struct Server final : io::AcceptEvents {
  Server(io::SimHost& host, std::uint16_t port)
      : listener(std::move(*host.world().network.listen(host.address(port), {}, *this))) {}
  void on_accept(io::Socket socket, const Address&) override { clients.push_back(std::move(socket)); }
  std::vector<io::Socket> clients;
  std::unique_ptr<io::Listener> listener;
};

struct Scene {
  Scene() : path(testing::TempDir() + "operate_" + std::to_string(getpid()) + ".toml") {
    write(std::string(kFile));
    const config::Config config = *config::load_config(path);
    const route::KeyRing keys{route::generate_key(random)};
    worker = std::make_unique<balancer::Worker>(host.world(), *balancer::make_plan(config, keys, random), 0);
    worker->be_operated_by(std::make_unique<Operations>(*worker, nullptr, Operations::Start{config, {}, {}}));
    EXPECT_TRUE(worker->open({}).ok());
  }
  ~Scene() {
    clients.clear();
    worker->stop();
    EXPECT_TRUE(sim.run_until([&] { return worker->idle(); }, 10s));
    std::remove(path.c_str());
  }

  void write(const std::string& text) { std::ofstream(path) << text; }
  AdminReply say(Method method, const std::string& target) {
    AdminRequest request = *watch::parse_admin_target(target);
    request.method = method;
    std::optional<AdminReply> reply;
    Scope scope(host.world().ready);
    scope.spawn(ask(*worker->operations(), std::move(request), reply));
    EXPECT_TRUE(sim.run_until([&] { return scope.running() == 0; }, 10s));
    return reply ? *reply : AdminReply::error(599, "no reply");
  }
  const route::Pool& pool() { return worker->generation()->find_pool("p")->router.pool(); }
  ServerOrder order(const std::string& server) { return pool().order(*pool().index_of(server)); }
  /// One client more, who stays. How many a and b have then.
  std::pair<std::size_t, std::size_t> client() {
    clients.push_back(std::move(*client_host.world().network.connect(host.address(80), {})));
    sim.run_for(1s);
    return {a.clients.size(), b.clients.size()};
  }

  io::Simulation sim{1};
  io::SimHost& host = sim.add_host({.name = "balancer", .addresses = {"10.0.0.1"}});
  io::SimHost& server_host = sim.add_host({.name = "servers", .addresses = {"10.0.1.1"}});
  io::SimHost& client_host = sim.add_host({.name = "clients", .addresses = {"10.0.2.1"}});
  Server a{server_host, 80}, b{server_host, 81}, c{server_host, 82};
  SeededRandom random{1};
  std::string path;
  std::unique_ptr<balancer::Worker> worker;
  std::vector<io::Socket> clients;
};

TEST(Operate, a_server_is_drained_and_ready_again) {
  Scene scene;
  EXPECT_EQ(scene.say(Method::post, "/pools/p/servers/a/drain").status, 200);
  EXPECT_EQ(scene.order("a"), ServerOrder::drain);
  scene.client();
  EXPECT_EQ(scene.client(), std::pair(std::size_t{0}, std::size_t{2}));
  EXPECT_EQ(scene.say(Method::post, "/pools/p/servers/a/ready").status, 200);
  scene.client();
  EXPECT_EQ(scene.client(), std::pair(std::size_t{1}, std::size_t{3}));
}

TEST(Operate, a_drain_with_a_deadline_becomes_maintenance_and_closes_what_is_left) {
  Scene scene;
  scene.client();
  scene.client();
  ASSERT_EQ(scene.worker->tunnels(), 2u);
  EXPECT_EQ(scene.say(Method::post, "/pools/p/servers/a/drain?deadline=10s&close=true").status, 200);
  scene.sim.run_for(9s);
  EXPECT_EQ(scene.order("a"), ServerOrder::drain);
  EXPECT_EQ(scene.worker->tunnels(), 2u);
  scene.sim.run_for(2s);
  EXPECT_EQ(scene.order("a"), ServerOrder::maintenance);
  EXPECT_EQ(scene.worker->tunnels(), 1u);
}

TEST(Operate, a_later_word_ends_a_deadline) {
  Scene scene;
  scene.say(Method::post, "/pools/p/servers/a/drain?deadline=10s");
  scene.say(Method::post, "/pools/p/servers/a/ready");
  scene.say(Method::post, "/pools/p/servers/a/drain?deadline=60s");
  scene.sim.run_for(20s);
  EXPECT_EQ(scene.order("a"), ServerOrder::drain);
}

TEST(Operate, maintenance_closes_only_where_it_is_told_to) {
  Scene scene;
  scene.client();
  scene.client();
  EXPECT_EQ(scene.say(Method::post, "/pools/p/servers/a/maintenance").status, 200);
  scene.sim.run_for(1s);
  EXPECT_EQ(scene.worker->tunnels(), 2u);
  EXPECT_EQ(scene.say(Method::post, "/pools/p/servers/a/maintenance?close=true").status, 200);
  scene.sim.run_for(1s);
  EXPECT_EQ(scene.worker->tunnels(), 1u);
}

TEST(Operate, servers_come_and_go_and_a_reload_takes_nothing_back) {
  Scene scene;
  EXPECT_EQ(scene.say(Method::put, "/pools/p/servers/c?address=10.0.1.1:82&weight=3").status, 201);
  EXPECT_EQ(scene.say(Method::delete_, "/pools/p/servers/a").status, 200);
  EXPECT_EQ(scene.say(Method::put, "/pools/p/servers/b?weight=5").status, 200);
  EXPECT_EQ(scene.say(Method::post, "/pools/p/servers/b/drain").status, 200);
  EXPECT_EQ(scene.say(Method::post, "/reload").status, 200);
  EXPECT_FALSE(scene.pool().index_of("a"));
  EXPECT_EQ(scene.pool().weight(*scene.pool().index_of("b")), 5u);
  EXPECT_EQ(scene.order("b"), ServerOrder::drain);
  ASSERT_TRUE(scene.pool().index_of("c"));
  scene.client();
  EXPECT_EQ(scene.c.clients.size(), 1u);
  // And now the file says something about b, and something about a.
  std::string text(kFile);
  text.replace(text.find("10.0.1.1:80\""), 12, "10.0.1.1:80\", weight = 2");
  text.replace(text.find("10.0.1.1:81\""), 12, "10.0.1.1:81\", weight = 7");
  scene.write(text);
  EXPECT_EQ(scene.say(Method::post, "/reload").status, 200);
  EXPECT_TRUE(scene.pool().index_of("a"));
  EXPECT_EQ(scene.pool().weight(*scene.pool().index_of("b")), 7u);
  EXPECT_EQ(scene.order("b"), ServerOrder::ready);
  EXPECT_TRUE(scene.pool().index_of("c"));
}

TEST(Operate, what_cannot_be_is_refused_and_changes_nothing) {
  Scene scene;
  const auto before = scene.worker->generation()->plan;
  const struct {
    Method method;
    std::string target;
    int status;
  } cases[] = {
      {Method::get, "/reload", 405},
      {Method::post, "/reload?now=1", 400},
      {Method::post, "/pools/q/servers/a/drain", 404},
      {Method::post, "/pools/p/servers/x/drain", 404},
      {Method::get, "/pools/p/servers/a/drain", 405},
      {Method::post, "/pools/p/servers/a/fall", 404},
      {Method::post, "/pools/p/servers/a/drain?deadline=soon", 400},
      {Method::post, "/pools/p/servers/a/drain?close=true", 400},
      {Method::post, "/pools/p/servers/a/maintenance?close=perhaps", 400},
      {Method::put, "/pools/p/servers/c", 400},
      {Method::put, "/pools/p/servers/c?address=10.0.1.1", 400},
      {Method::put, "/pools/p/servers/c?address=10.0.1.1:82&weight=65536", 400},
      {Method::put, "/pools/p/servers/c%20d?address=10.0.1.1:82", 400},
      {Method::delete_, "/pools/p/servers/x", 404},
  };
  for (const auto& it : cases) EXPECT_EQ(scene.say(it.method, it.target).status, it.status) << it.target;
  EXPECT_EQ(scene.worker->generation()->plan, before);

  scene.write("[[listener]]\nlisten = 7\n");
  const AdminReply refused = scene.say(Method::post, "/reload");
  EXPECT_EQ(refused.status, 400);
  EXPECT_NE(refused.body.find(":2:10: listener.listen"), std::string::npos) << refused.body;
  EXPECT_EQ(scene.worker->generation()->plan, before);

  EXPECT_EQ(scene.say(Method::delete_, "/pools/p/servers/a").status, 200);
  EXPECT_EQ(scene.say(Method::delete_, "/pools/p/servers/b").status, 400) << "the last one";
}

}  // namespace
}  // namespace rejoin::sim_test
