// PROXY headers at the beginning of a connection, over the simulated network; and a listener's gate.
#include "apps/serve/hear_proxy.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "apps/serve/gate.h"
#include "base/scope.h"
#include "io/sim_network.h"

namespace rejoin::serve {
namespace {

const std::string kHeader = "PROXY TCP4 203.0.113.7 198.51.100.1 41000 443\r\n";

/// One connection, whose beginning is heard.
struct Hearing final : io::AcceptEvents {
  explicit Hearing(config::ProxyIn how = config::ProxyIn::require) : rule(how) {
    listener = std::move(*server.network().listen(server.address(80), {}, *this));
    dialled = std::move(*proxy.network().connect(server.address(80), {}));
    sim.run_for(100ms);
  }
  ~Hearing() {
    stop.request();
    sim.run_for(100ms);
    EXPECT_EQ(scope.running(), 0u);
    stream.reset();
    arrived.release();
    dialled.close();
    listener.reset();
    sim.run_for(1s);
    EXPECT_EQ(sim.leftovers_text(), "");
  }
  void on_accept(io::Socket socket, const Address& peer) override {
    client = peer;
    stream = std::make_unique<io::Stream>(server.world(), std::move(socket), Side::client, stop);
    scope.spawn(hear(*this, sim.now() + 5s));
  }
  static Task<void> hear(Hearing& it, TimePoint deadline) {
    Status heard = co_await hear_proxy(it.server.world(), *it.stream, it.arrived, it.rule, deadline,
                                       it.client, it.facts);
    it.outcome = heard ? "ok" : std::string(to_string(heard.error().kind));
  }
  void say(const std::string& bytes) {
    EXPECT_EQ(dialled.write(bytes).taken, bytes.size());
    sim.run_for(50ms);
  }

  config::ProxyIn rule;
  io::Simulation sim{1};
  io::SimHost& server = sim.add_host({.name = "server", .addresses = {"10.0.0.1"}});
  io::SimHost& proxy = sim.add_host({.name = "proxy", .addresses = {"10.0.0.2"}});
  Stop stop;
  Scope scope{server.world().ready};
  std::unique_ptr<io::Listener> listener;
  io::Socket dialled;
  std::unique_ptr<io::Stream> stream;
  Buffer arrived;
  Address client;
  ClientFacts facts;
  std::string outcome;
};

TEST(HearProxy, hears_a_header_cut_at_every_byte_and_keeps_what_follows) {
  for (std::size_t cut = 1; cut < kHeader.size(); ++cut) {
    SCOPED_TRACE(cut);
    Hearing it;
    EXPECT_EQ(it.server.world().buffers.lent(), 0u) << "nothing came, and nothing is held";
    it.say(kHeader.substr(0, cut));
    EXPECT_EQ(it.outcome, "");
    it.say(kHeader.substr(cut) + "GET /");
    EXPECT_EQ(it.outcome, "ok");
    EXPECT_EQ(it.client.text(), "203.0.113.7:41000");
    EXPECT_EQ(it.facts.dialled.text(), "198.51.100.1:443");
    EXPECT_EQ(it.arrived.view(), "GET /");
  }
  Hearing alone;
  alone.say(kHeader);
  EXPECT_EQ(alone.outcome, "ok");
  EXPECT_EQ(alone.server.world().buffers.lent(), 0u) << "nothing follows, and nothing is held";
}

TEST(HearProxy, leaves_the_peer_where_nobody_is_named) {
  for (const std::string header : {"PROXY UNKNOWN\r\n", "PROXY UNKNOWN ::1 ::1 1 1\r\n"}) {
    Hearing it;
    it.say(header);
    EXPECT_EQ(it.outcome, "ok");
    EXPECT_EQ(it.client.ip_text(), "10.0.0.2");
  }
}

TEST(HearProxy, ends_well_or_with_the_reason) {
  const struct {
    config::ProxyIn rule;
    std::string said, outcome;
  } cases[] = {
      {config::ProxyIn::require, "GET / HTTP/1.1\r\n", "bad input"},
      {config::ProxyIn::accept, "GET / HTTP/1.1\r\n", "ok"},
      {config::ProxyIn::require, "PROXY TCP4 1.2.3.4\r\n", "bad input"},
      {config::ProxyIn::accept, "PROXY TCP4 1.2.3.4\r\n", "bad input"},
  };
  for (const auto& one : cases) {
    Hearing it(one.rule);
    it.say(one.said);
    EXPECT_EQ(it.outcome, one.outcome) << one.said;
  }
  Hearing silent;
  silent.say("PROXY ");
  silent.sim.run_for(4s);
  EXPECT_EQ(silent.outcome, "");
  silent.sim.run_for(2s);
  EXPECT_EQ(silent.outcome, "timed out");
  Hearing gone;
  gone.say("PROXY TCP4");
  gone.dialled.shutdown_write();
  gone.sim.run_for(100ms);
  EXPECT_EQ(gone.outcome, "closed");
  Hearing stopped;
  stopped.stop.request();
  stopped.sim.run_for(100ms);
  EXPECT_EQ(stopped.outcome, "cancelled");
}

TEST(ProxyHeaderFor, leaves_out_what_does_not_fit) {
  ClientFacts facts;
  facts.unique_id = "id";
  facts.authority = "play.example";
  facts.tls = std::make_unique<ClientFacts::Tls>();
  facts.tls->version = "TLSv1.3";
  const Address client = *Address::parse("203.0.113.7:1"), local = *Address::parse("10.0.0.1:2");
  const std::size_t whole = proxy_header_for(config::ProxyProtocol::v2, client, local, facts).view().size();
  facts.tls->common_name = std::string(600, 'n');
  const std::size_t cut = proxy_header_for(config::ProxyProtocol::v2, client, local, facts).view().size();
  EXPECT_EQ(cut, 16u + 12 + 3 + 2 + 3 + 12) << "the unique id and the authority";
  EXPECT_GT(whole, cut);
  facts.dialled = *Address::parse("198.51.100.1:443");
  EXPECT_EQ(proxy_header_for(config::ProxyProtocol::v1, client, local, facts).view(),
            "PROXY TCP4 203.0.113.7 198.51.100.1 1 443\r\n");
}

TEST(Gate, counts_each_refusal_by_its_reason) {
  config::Edge edge;
  edge.proxy_protocol = config::ProxyIn::require;
  edge.deny = {"192.0.2.0/24"};
  edge.limits.connections = 3;
  edge.limits.connections_per_client = 1;
  SeededRandom random(1);
  auto gate = Gate::make(edge, {"10.0.0.0/8"}, random);
  ASSERT_TRUE(gate && *gate);
  EdgeCounts counts;
  const TimePoint now(1h);
  const auto at = [](const char* ip) { return *Address::parse_ip(ip); };
  Entry stranger;
  EXPECT_TRUE((*gate)->enter(at("11.0.0.1"), now, counts, stranger));
  EXPECT_EQ(counts.proxy_untrusted, 1u);
  Entry first, second, third, fourth;
  EXPECT_FALSE((*gate)->enter(at("10.0.0.1"), now, counts, first));
  EXPECT_TRUE(first.through_proxy);
  EXPECT_FALSE((*gate)->name(first.pass, at("203.0.113.7"), now, counts));
  EXPECT_FALSE((*gate)->enter(at("10.0.0.1"), now, counts, second));
  EXPECT_EQ((*gate)->name(second.pass, at("203.0.113.7"), now, counts).word, "client_full");
  EXPECT_EQ(counts.client_full, 1u);
  EXPECT_FALSE((*gate)->enter(at("10.0.0.1"), now, counts, third));
  EXPECT_EQ((*gate)->name(third.pass, at("192.0.2.1"), now, counts).word, "denied");
  EXPECT_EQ(counts.denied, 1u);
  EXPECT_TRUE((*gate)->enter(at("10.0.0.1"), now, counts, fourth)) << "those refused are still here";
  EXPECT_EQ(counts.full, 1u);
  const auto none = Gate::make(config::Edge(), {}, random);
  ASSERT_TRUE(none.ok());
  EXPECT_EQ(*none, nullptr) << "who asks nothing has no gate";
}

TEST(Gate, passes_outlive_it) {
  config::Edge edge;
  edge.limits.connections_per_client = 1;
  SeededRandom random(1);
  auto gate = Gate::make(edge, {}, random);
  EdgeCounts counts;
  Entry entry;
  EXPECT_FALSE((*gate)->enter(*Address::parse_ip("10.0.0.1"), TimePoint(1h), counts, entry));
  gate->reset();
  EXPECT_TRUE(static_cast<bool>(entry.pass)) << "a connection that outlives a reload";
}

}  // namespace
}  // namespace rejoin::serve
