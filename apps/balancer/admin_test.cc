// The admin port in front of a whole balancer on a simulated network: what it shows and ends.
#include "apps/balancer/admin.h"

#include <gtest/gtest.h>

#include "apps/balancer/admin_json.h"
#include "apps/balancer/test_scene.h"

namespace rejoin::balancer::test {
namespace {

using watch::Json;

const std::string kConfig =
    std::string(kSceneConfig) + "[admin]\nlisten = \"10.0.0.1:9090\"\ntoken = \"env:T\"\n";

struct AdminScene : Scene {
  AdminScene() : Scene(1, kConfig) {}

  Json told(const std::string& method, const std::string& target, int status = 200) {
    const std::string answer = ask(method, target);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 " + std::to_string(status) + " ")) << target << answer;
    const auto json = watch::parse_json(answer.substr(answer.find("\r\n\r\n") + 4));
    EXPECT_TRUE(json) << answer;
    return json.value_or(Json());
  }
  /// A connection at layer 4 that has reached its server.
  RawEnd& tunnel() {
    const std::size_t before = worker->tunnels();
    RawEnd& one = client(81);
    one.say("hello, this is no frame");
    EXPECT_TRUE(until([&] { return worker->tunnels() > before; }));
    return one;
  }
};

std::vector<std::string> ids(const Json& answer) {
  std::vector<std::string> out;
  for (const Json& one : answer["connections"].items()) out.push_back(*one["id"].text());
  return out;
}

TEST(Admin, pages_through_connections) {
  AdminScene scene;
  for (int i = 0; i < 5; ++i) scene.tunnel();
  EXPECT_EQ(scene.worker->tunnels(), 5u) << scene.log.lines;
  const Json all = scene.told("GET", "/connections");
  EXPECT_EQ(all["matching"].integer(), 5);
  EXPECT_TRUE(all["next"].is_null());
  ASSERT_EQ(all["connections"].items().size(), 5u);
  const Json& one = all["connections"].items()[0];
  EXPECT_EQ(one["kind"].text(), "connection");
  EXPECT_EQ(one["listener"].text(), "raw");
  EXPECT_EQ(one["pool"].text(), "raw");
  EXPECT_EQ(one["server"].text(), "a");
  EXPECT_TRUE(one["client"].text()->starts_with("10.1.0.2:"));

  std::vector<std::string> paged;
  std::string after;
  for (int pages = 0; pages < 4; ++pages) {
    const Json page = scene.told("GET", "/connections?limit=2" + after);
    EXPECT_EQ(page["matching"].integer(), 5);
    for (const std::string& id : ids(page)) paged.push_back(id);
    if (page["next"].is_null()) break;
    after = "&after=" + *page["next"].text();
  }
  EXPECT_EQ(paged, ids(all));
  EXPECT_TRUE(std::is_sorted(paged.begin(), paged.end()));

  EXPECT_EQ(scene.told("GET", "/connections?pool=play")["matching"].integer(), 0);
  EXPECT_EQ(scene.told("GET", "/connections?server=a&listener=raw&client=10.1.0.2")["matching"].integer(), 5);
  EXPECT_EQ(scene.told("GET", "/connections?client=10.1.0.3")["matching"].integer(), 0);
  EXPECT_TRUE(ids(scene.told("GET", "/connections?limit=0")).empty());
  for (const char* const wrong : {"limit=1001", "limit=x", "after=1", "client=1.2.3.4:5", "limt=1"})
    EXPECT_FALSE(scene.told("GET", std::string("/connections?") + wrong, 400)["error"].text()->empty())
        << wrong;
}

TEST(Admin, ends_a_connection) {
  AdminScene scene;
  RawEnd& first = scene.tunnel();
  RawEnd& second = scene.tunnel();
  const std::string id = ids(scene.told("GET", "/connections")).front();
  EXPECT_EQ(scene.told("GET", "/connections/" + id)["id"].text(), id);
  EXPECT_EQ(scene.told("DELETE", "/connections/" + id)["id"].text(), id);
  EXPECT_TRUE(scene.until([&] { return first.over() || second.over(); }));
  EXPECT_NE(first.over(), second.over());
  scene.told("DELETE", "/connections/" + id, 404);
  scene.told("GET", "/connections/ff00000000000000", 404);
  scene.told("GET", "/connections/xyz", 400);
  EXPECT_EQ(scene.worker->tunnels(), 1u);
  EXPECT_EQ(scene.records(1)[0]["end"].text(), "operator");
  EXPECT_EQ(scene.records(1)[0]["id"].text(), id);
}

TEST(Admin, shows_pools_servers_and_listeners) {
  AdminScene scene;
  scene.tunnel();
  const Json pools = scene.told("GET", "/pools");
  ASSERT_EQ(pools["pools"].items().size(), 2u);
  EXPECT_EQ(pools["pools"].items()[0]["affinity"].items().size(), 2u);
  const Json raw = scene.told("GET", "/pools/raw");
  EXPECT_EQ(raw["usable"].integer(), 1);
  EXPECT_EQ(raw["tunnels"].integer(), 1);
  EXPECT_EQ(raw["active"].integer(), 1);
  EXPECT_EQ(raw["decisions"]["scheduled"].integer(), 1);
  ASSERT_EQ(raw["server"].items().size(), 1u);
  EXPECT_EQ(raw["server"].items()[0]["address"].text(), "10.0.2.1:8000");
  scene.told("GET", "/pools/no", 404);
  EXPECT_EQ(scene.told("GET", "/servers")["servers"].items().size(), 2u);
  EXPECT_EQ(scene.told("GET", "/servers?pool=raw")["servers"].items().size(), 1u);
  const Json listeners = scene.told("GET", "/listeners");
  ASSERT_EQ(listeners["listeners"].items().size(), 2u);
  EXPECT_EQ(listeners["listeners"].items()[1]["tunnels"].integer(), 1);
  EXPECT_EQ(scene.told("GET", "/")["tunnels"].integer(), 1);
  EXPECT_EQ(scene.told("GET", "/version")["version"].text(), scene.told("GET", "/")["version"].text());
}

TEST(Admin, is_ready_while_every_listener_has_a_server_and_until_it_drains) {
  AdminScene scene;
  RawEnd& one = scene.tunnel();
  EXPECT_EQ(scene.told("GET", "/readyz")["ready"].boolean(), true);
  route::Pool& pool = scene.pool(0);
  pool.set_draining(0, true);
  const Json without = scene.told("GET", "/readyz", 503);
  EXPECT_EQ(without["draining"].boolean(), false);
  ASSERT_EQ(without["without_server"].items().size(), 1u);
  EXPECT_EQ(without["without_server"].items()[0].text(), "web");
  pool.set_draining(0, false);
  EXPECT_EQ(scene.told("GET", "/healthz")["status"].text(), "ok");

  scene.worker->drain();
  scene.sim.run_for(1s);
  EXPECT_EQ(scene.told("GET", "/readyz", 503)["draining"].boolean(), true);
  EXPECT_EQ(scene.told("GET", "/")["draining"].boolean(), true) << "a drain can be watched";
  EXPECT_FALSE(scene.worker->idle());
  one.say_fin();
  scene.served("hello").say_fin();
  EXPECT_TRUE(scene.until([&] { return scene.worker->idle(); }));
  scene.sim.run_for(1s);
  auto late = scene.phone.network().connect(scene.balancer.address(9090), {});
  scene.sim.run_for(1s);
  EXPECT_FALSE(late->connect_status()) << "the last client is gone, and so is the port";
}

TEST(Admin, says_what_is_not_there) {
  AdminScene scene;
  scene.told("GET", "/nothing", 404);
  scene.told("GET", "/pools/", 404);
  scene.told("GET", "/pools/raw/x", 404);
  const std::string answer = scene.ask("POST", "/connections/0000000000000000");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 405 ")) << answer;
  EXPECT_NE(answer.find("Allow: GET, DELETE\r\n"), std::string::npos) << answer;
  scene.told("GET", "/pools?x=1", 400);
}

TEST(Admin, ids_are_16_hex_digits) {
  for (const std::uint64_t id : {std::uint64_t{0}, std::uint64_t{1}, ~std::uint64_t{0}})
    EXPECT_EQ(parse_id(id_text(id)), id);
  for (const char* const wrong :
       {"", "0", "000000000000000", "00000000000000000", "000000000000000g", "+00000000000000a"})
    EXPECT_FALSE(parse_id(wrong)) << wrong;
}

}  // namespace
}  // namespace rejoin::balancer::test
