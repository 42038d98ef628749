// A balancer that finds the owner of a resume ticket, before servers that only say who they are and keep what
// they were told: at layer 7 and at layer 4, with the owner there, away and gone.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "apps/balancer/plan.h"
#include "apps/balancer/worker.h"
#include "apps/gateway/test_scene.h"
#include "io/sim_network.h"
#include "proto/resume_frame.h"
#include "route/ticket.h"

namespace rejoin::sim_test {
namespace {

using namespace std::string_literals;
using gateway::frames_in;
using gateway::RawClient;

constexpr std::uint16_t kWebPort = 80, kTcpPort = 82;

constexpr std::string_view kConfig = R"(
[keys]
seal = ["env:KEY"]
[[listener]]
name = "play"
listen = "10.0.0.1:80"
pool = "web"
[[listener]]
name = "raw"
listen = "10.0.0.1:82"
mode = "tcp"
pool = "raw"
[[pool]]
name = "web"
affinity = [ { kind = "ticket", owner_gone = "20s", come_again = "1500ms" }, { kind = "cookie-insert" } ]
health = { kind = "tcp", every = "1s", rise = 1, fall = 1 }
server = [ { name = "g1", address = "10.0.1.1:8000" }, { name = "g2", address = "10.0.1.2:8000" } ]
[[pool]]
name = "raw"
affinity = [ { kind = "ticket", owner_gone = "20s", come_again = "1500ms" } ]
health = { kind = "tcp", every = "1s", rise = 1, fall = 1 }
server = [ { name = "g1", address = "10.0.1.1:8001" }, { name = "g2", address = "10.0.1.2:8001" } ]
)";

/// Answers the first bytes of each connection with `answer`, and keeps all that it hears. A connection that
/// says nothing is a probe.
class Recorder final : private io::AcceptEvents {
 public:
  Recorder(io::SimHost& host, std::uint16_t port, std::string answer) : answer_(std::move(answer)) {
    auto listener = host.network().listen(host.address(port), {}, *this);
    EXPECT_TRUE(listener.ok());
    listener_ = std::move(*listener);
  }

  /// What the connections said that said anything, in the order in which they came.
  std::vector<std::string> heard() const {
    std::vector<std::string> out;
    for (const auto& one : connections_) {
      if (!one->heard.empty()) out.push_back(one->heard);
    }
    return out;
  }

 private:
  struct Connection final : io::SocketEvents {
    Connection(const Recorder& of, io::Socket accepted) : recorder(of), socket(std::move(accepted)) {
      socket.set_events(this);
      read();
    }
    void on_ready(io::Ready ready) override {
      if (ready.readable) read();
    }
    void read() {
      while (socket && socket.may_read()) {
        const io::ReadResult read = socket.read();
        if (read.state == io::ReadResult::State::would_block) return;
        if (!read.got()) {
          socket.close();
          return;
        }
        const bool first = heard.empty();
        heard += read.view();
        // A request on a connection that was kept is answered as well.
        if (first || heard.ends_with("\r\n\r\n")) socket.write(recorder.answer_);
      }
    }
    const Recorder& recorder;
    io::Socket socket;
    std::string heard;
  };

  void on_accept(io::Socket socket, const Address&) override {
    connections_.push_back(std::make_unique<Connection>(*this, std::move(socket)));
  }

  std::string answer_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::unique_ptr<io::Listener> listener_;
};

std::string http_answer(const std::string& name) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(name.size()) + "\r\n\r\n" + name;
}

std::string with_length(std::string_view frame) {
  std::string out(4, '\0');
  store_u32(out.data(), static_cast<std::uint32_t>(frame.size()));
  return out.append(frame);
}

struct Scene {
  explicit Scene(std::uint64_t seed = 1) : random(seed), sim(seed) {
    if (std::getenv("REJOIN_TRACE") != nullptr) sim.trace_to(&std::cerr);
    const auto config = config::parse_config(kConfig, "balancer");
    EXPECT_TRUE(config.ok()) << (config ? "" : config.error().detail);
    plan = *balancer::make_plan(*config, keys, random);
    worker = std::make_unique<balancer::Worker>(host.world(), plan, 0);
    EXPECT_TRUE(worker->open({}).ok());
    for (int i = 0; i < 2; ++i) start_server(i);
    sim.run_for(3s);  // the probes have seen both
  }
  ~Scene() {
    worker->stop();
    EXPECT_TRUE(sim.run_until([&] { return worker->idle(); }));
    worker.reset();
    web.clear();
    raw.clear();
    clients.clear();
    sim.run_for(1s);
    EXPECT_EQ(sim.leftovers_text(), "");
  }

  void start_server(int i) {
    const std::string name = "g" + std::to_string(i + 1);
    web[i] = std::make_unique<Recorder>(*hosts[i], 8000, http_answer(name));
    raw[i] = std::make_unique<Recorder>(*hosts[i], 8001, name);
  }
  /// Its process ends: connects are refused.
  void kill_server(int i) {
    hosts[i]->crash(io::Crash::killed);
    web[i].reset();
    raw[i].reset();
    hosts[i]->restart();
  }

  std::string ticket(const std::string& owner) {
    std::string out;
    const route::Ticket what{route::SessionId::make(random, 0), route::TicketKind::proof,
                             host.world().clock.unix_now() + 60, owner};
    seal_ticket(seal, what, out);
    return out;
  }
  std::string resume(const std::string& owner) {
    std::string out;
    const std::string sealed = ticket(owner);
    proto::Resume frame;
    frame.ticket = sealed;
    frame.epoch = 2;
    proto::append_resume(out, frame, proto::SessionSecret{});
    return out;
  }
  std::string handshake(const std::string& owner) {
    return gateway::kUpgrade + "Sec-WebSocket-Protocol: rejoin.v1, " + *proto::resume_item(resume(owner)) +
           "\r\n\r\n";
  }

  RawClient& dial(std::uint16_t port) {
    clients.push_back(std::make_unique<RawClient>(phone, host.address(port)));
    return *clients.back();
  }
  /// What a client hears that says `bytes`: until it is silent for a while, or over.
  std::string ask(std::uint16_t port, const std::string& bytes) {
    RawClient& client = dial(port);
    client.say(bytes);
    sim.run_until([&] { return client.over(); }, 200ms);
    std::string heard = client.heard();
    if (client.broken()) heard += "(reset)";
    if (client.ended()) heard += "(fin)";
    if (!client.over()) client.say_fin();
    return heard;
  }
  /// The body of the answer to a handshake or a request: the server's name.
  static std::string body(const std::string& answer) {
    return answer.substr(std::min(answer.find("\r\n\r\n"), answer.size() - 4) + 4, 2);
  }

  void expect_come_again(Bytes frame) {
    const auto view = proto::parse_frame(frame);
    ASSERT_TRUE(view && view->head.is(proto::FrameType::detach));
    EXPECT_EQ(view->head.seq + view->head.ack, 0u);
    const auto detach = proto::parse_detach(view->body);
    ASSERT_TRUE(detach);
    EXPECT_EQ(detach->code, 4404);
    EXPECT_EQ(detach->action, proto::DetachAction::again);
    EXPECT_EQ(detach->wait_ms, 1500u);
    EXPECT_EQ(detach->epoch, 0u);
    EXPECT_EQ(detach->address, "");
    EXPECT_NE(detach->reason, "");
  }
  /// 101, DETACH, close.
  void expect_come_again_by_websocket(const std::string& answer) {
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 101 ")) << answer;
    EXPECT_NE(answer.find("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), answer.npos);
    EXPECT_NE(answer.find("\r\nSec-WebSocket-Protocol: rejoin.v1\r\n"), answer.npos);
    ASSERT_TRUE(answer.ends_with("(fin)")) << answer;
    const std::string behind = answer.substr(answer.find("\r\n\r\n") + 4);
    const auto frames = frames_in(behind.substr(0, behind.size() - 5));
    ASSERT_EQ(frames.size(), 2u);
    EXPECT_EQ(frames[0].opcode, proto::WsOpcode::binary);
    expect_come_again(frames[0].payload);
    EXPECT_EQ(frames[1].code, 4404);
  }
  void expect_503(const std::string& answer) {
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 503 ")) << answer;
    EXPECT_NE(answer.find("\r\nRetry-After: 2\r\n"), answer.npos) << answer;
    EXPECT_TRUE(answer.ends_with("(fin)")) << answer;
  }
  void expect_come_again_on_tcp(const std::string& answer) {
    ASSERT_TRUE(answer.ends_with("(fin)")) << answer;
    ASSERT_GT(answer.size(), 9u);
    EXPECT_EQ(load_u32(answer.data()), answer.size() - 9);
    expect_come_again(Bytes(answer).substr(4, answer.size() - 9));
  }

  SeededRandom random;
  route::KeyRing keys{route::generate_key(random)};
  route::Seal seal{keys, random};
  io::Simulation sim;
  io::SimHost& host{sim.add_host({.name = "balancer", .addresses = {"10.0.0.1"}})};
  io::SimHost& phone{sim.add_host({.name = "phone", .addresses = {"10.1.0.2"}})};
  std::vector<io::SimHost*> hosts{&sim.add_host({.name = "g1", .addresses = {"10.0.1.1"}}),
                                  &sim.add_host({.name = "g2", .addresses = {"10.0.1.2"}})};
  std::vector<std::unique_ptr<Recorder>> web{2}, raw{2};
  std::shared_ptr<const balancer::Plan> plan;
  std::unique_ptr<balancer::Worker> worker;
  std::vector<std::unique_ptr<RawClient>> clients;
};

struct TicketSim : testing::Test, Scene {};

TEST_F(TicketSim, layer_7_brings_every_client_to_its_owner_and_changes_nothing_of_the_ticket) {
  const std::string get = "GET / HTTP/1.1\r\nHost: x\r\n";
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(body(ask(kWebPort, handshake("g2"))), "g2");
    EXPECT_EQ(body(ask(kWebPort, get + "Rejoin-Ticket: " + ticket("g2") + "\r\n\r\n")), "g2");
    EXPECT_EQ(body(ask(kWebPort, get + "Cookie: REJOIN-TICKET=" + ticket("g2") + "\r\n\r\n")), "g2");
  }
  EXPECT_TRUE(web[0]->heard().empty());

  const std::string asked = handshake("g1");
  ask(kWebPort, asked);
  const std::string item = asked.substr(asked.find("rejoin.v1.resume."));
  ASSERT_EQ(web[0]->heard().size(), 1u);
  EXPECT_NE(web[0]->heard()[0].find(item.substr(0, item.find('\r'))), std::string::npos);
}

TEST_F(TicketSim, layer_7_tells_clients_to_come_again_while_their_owner_is_away_and_others_are_served) {
  kill_server(1);
  sim.run_for(3s);  // the probes know
  const std::string get = "GET / HTTP/1.1\r\nHost: x\r\n",
                    ticket_field = "Rejoin-Ticket: " + ticket("g2") + "\r\n";
  expect_come_again_by_websocket(ask(kWebPort, handshake("g2")));
  expect_come_again_by_websocket(ask(kWebPort, handshake("g2") + "\x82\x81"s));  // and who has more to say
  expect_503(ask(kWebPort, gateway::kUpgrade + ticket_field + "\r\n"));          // no word of rejoin.v1
  expect_503(ask(kWebPort, get + ticket_field + "\r\n"));
  expect_503(
      ask(kWebPort, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n" + ticket_field + "\r\nhalf"));
  EXPECT_EQ(worker->counts().come_again, 5u);
  EXPECT_EQ(worker->counts().no_server, 0u);
  EXPECT_TRUE(web[0]->heard().empty()) << "nobody was sent to another server";

  EXPECT_EQ(body(ask(kWebPort, handshake("g1"))), "g1");
  EXPECT_EQ(body(ask(kWebPort, get + "\r\n")), "g1");

  start_server(1);
  sim.run_for(3s);
  EXPECT_EQ(body(ask(kWebPort, handshake("g2"))), "g2");
}

TEST_F(TicketSim, an_owner_that_refuses_before_a_probe_has_seen_it_is_waited_for_too) {
  kill_server(1);
  expect_come_again_by_websocket(ask(kWebPort, handshake("g2")));
  expect_come_again_on_tcp(ask(kTcpPort, with_length(resume("g2"))));
  EXPECT_TRUE(web[0]->heard().empty());
  EXPECT_TRUE(raw[0]->heard().empty());
}

TEST_F(TicketSim, an_owner_that_is_gone_loses_its_clients_to_the_others) {
  kill_server(1);
  sim.run_for(3s);
  expect_come_again_by_websocket(ask(kWebPort, handshake("g2")));
  sim.run_for(20s);
  EXPECT_EQ(body(ask(kWebPort, handshake("g2"))), "g1");
  EXPECT_EQ(ask(kTcpPort, with_length(resume("g2"))), "g1");
}

TEST_F(TicketSim, layer_4_waits_for_a_resume_alone_and_passes_every_byte_on) {
  const std::string frame = with_length(resume("g2")), more = with_length("and more");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ask(kTcpPort, frame + more), "g2");
  ASSERT_EQ(raw[1]->heard().size(), 3u);
  EXPECT_EQ(raw[1]->heard()[2], frame + more);
  EXPECT_TRUE(raw[0]->heard().empty());

  // Byte by byte, and in two pieces at every place.
  for (std::size_t cut = 1; cut < frame.size(); ++cut) {
    RawClient& client = dial(kTcpPort);
    client.say(frame.substr(0, cut));
    sim.run_for(10ms);
    EXPECT_EQ(client.heard(), "") << cut;
    client.say(frame.substr(cut));
    EXPECT_TRUE(sim.run_until([&] { return client.heard() == "g2"; })) << cut;
    EXPECT_EQ(raw[1]->heard().back(), frame);
    client.say(more);
    EXPECT_TRUE(sim.run_until([&] { return raw[1]->heard().back() == frame + more; })) << cut;
    client.say_fin();
  }
  EXPECT_TRUE(raw[0]->heard().empty());
}

TEST_F(TicketSim, layer_4_sends_what_is_no_resume_on_at_the_fifth_byte) {
  RawClient& client = dial(kTcpPort);
  client.say("\0\0\x10\0"s);
  sim.run_for(100ms);
  EXPECT_EQ(client.heard(), "");
  client.say("\x01");  // a HELLO, of which nothing more has come
  EXPECT_TRUE(sim.run_until([&] { return client.heard().size() == 2; }, 100ms));
  const int server = client.heard() == "g1" ? 0 : 1;
  EXPECT_EQ(raw[server]->heard().at(0), "\0\0\x10\0\x01"s);
  // A RESUME that is larger than any is the gateway's to refuse, and one with a ticket of nobody's, too.
  EXPECT_EQ(ask(kTcpPort, "\0\0\x10\0\x03"s).substr(0, 1), "g");
  EXPECT_EQ(ask(kTcpPort, with_length(resume("nobody"))).substr(0, 1), "g");
}

TEST_F(TicketSim, layer_4_ends_who_does_not_come_to_the_point) {
  const std::string frame = with_length(resume("g2"));
  for (const std::string& half :
       {""s, frame.substr(0, 4), frame.substr(0, 5), frame.substr(0, frame.size() - 1)}) {
    const TimePoint begin = sim.now();
    RawClient& client = dial(kTcpPort);
    client.say(half);
    EXPECT_TRUE(sim.run_until([&] { return client.over(); }, 30s)) << half.size();
    EXPECT_GE(sim.now() - begin, 5s);
    EXPECT_LE(sim.now() - begin, 7s) << half.size();
    EXPECT_TRUE(client.ended());

    RawClient& leaver = dial(kTcpPort);
    leaver.say(half);
    leaver.say_fin();
    EXPECT_TRUE(sim.run_until([&] { return leaver.over(); }, 100ms)) << half.size();
  }
  EXPECT_EQ(worker->counts().timed_out, 4u);
  EXPECT_TRUE(raw[0]->heard().empty());
  EXPECT_TRUE(raw[1]->heard().empty());
  EXPECT_EQ(host.world().buffers.lent(), 0u);
}

TEST_F(TicketSim, layer_4_tells_clients_to_come_again_while_their_owner_is_away) {
  kill_server(1);
  sim.run_for(3s);
  const std::string frame = with_length(resume("g2"));
  expect_come_again_on_tcp(ask(kTcpPort, frame));
  expect_come_again_on_tcp(ask(kTcpPort, frame + frame));  // which was not heard: it must still hear us
  EXPECT_EQ(worker->counts().come_again, 2u);
  EXPECT_TRUE(raw[0]->heard().empty());
  EXPECT_EQ(ask(kTcpPort, with_length(resume("g1"))), "g1");
  start_server(1);
  sim.run_for(3s);
  EXPECT_EQ(ask(kTcpPort, frame), "g2");
}

TEST_F(TicketSim, a_drain_ends_the_wait_for_a_first_frame) {
  RawClient& silent = dial(kTcpPort);
  silent.say("\0\0\0"s);
  RawClient& mute = dial(kTcpPort);
  sim.run_for(2500ms);  // both are accepted: who says nothing is held back by the kernel for a while
  EXPECT_EQ(host.world().buffers.lent(), 1u) << "who says nothing holds none";
  worker->drain();
  EXPECT_TRUE(sim.run_until([&] { return mute.over(); }, 100ms));
  EXPECT_FALSE(silent.over()) << "in the middle of its frame";
  EXPECT_TRUE(sim.run_until([&] { return worker->idle(); }, 5s));
}

TEST_F(TicketSim, whatever_of_the_balancers_operations_fails_nothing_is_left_and_the_next_client_is_served) {
  const std::string frame = with_length(resume("g2"));
  std::uint64_t nth = 1;
  for (bool was_hit = true; was_hit; ++nth) {
    const std::uint64_t before = host.operations();
    host.fail_operation(nth);
    RawClient& client = dial(kTcpPort);
    client.say(frame.substr(0, 3));
    sim.run_for(1ms * static_cast<int>(random.below(3)));
    client.say(frame.substr(3));
    sim.run_until([&] { return client.over() || client.heard().size() == 2; }, 200ms);
    was_hit = host.operations() - before >= nth;
    host.fail_operation(0);
    client.say_fin();
    sim.run_for(3s);  // the lost connection may have been taken for a refusal
    EXPECT_EQ(ask(kTcpPort, frame), "g2") << nth;
    EXPECT_TRUE(raw[0]->heard().empty());
    ASSERT_LT(nth, 100u);
  }
  EXPECT_GT(nth, 4u);
}

TEST(TicketSimSeeds, whatever_breaks_no_ticket_is_ever_seen_by_another_than_its_owner) {
  std::uint64_t told = 0, served = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Scene scene(seed);
    SeededRandom chance(seed);
    scene.sim.set_faults(io::Faults::from_seed(chance));
    std::vector<std::string> opened[2];  // what a client of this owner said first, as far as the ticket
    bool is_up = true;
    for (int i = 0; i < 60; ++i) {
      const std::size_t owner = chance.below(2);
      const std::string name = owner == 0 ? "g1" : "g2";
      const bool is_tcp = chance.below(2) == 0;
      const std::string bytes = is_tcp ? with_length(scene.resume(name)) : scene.handshake(name);
      opened[owner].push_back(is_tcp ? bytes.substr(0, 100) : bytes.substr(bytes.find("resume."), 140));
      RawClient& client = scene.dial(is_tcp ? kTcpPort : kWebPort);
      const std::size_t cut = chance.below(bytes.size());
      client.say(bytes.substr(0, cut));
      scene.sim.run_for(1ms * static_cast<int>(chance.below(100)));
      client.say(bytes.substr(cut));
      if (chance.below(4) == 0) client.say_fin();
      scene.sim.run_for(1ms * static_cast<int>(chance.below(100)));
      if (chance.below(15) != 0) continue;
      // In all less than owner_gone, so that nobody may be sent elsewhere.
      if (is_up) scene.kill_server(1);
      if (!is_up) scene.start_server(1);
      is_up = !is_up;
    }
    scene.sim.run_for(6s);
    scene.sim.heal();
    told += scene.worker->counts().come_again;
    for (std::size_t server = 0; server < 2; ++server) {
      for (const auto* recorder : {scene.web[server].get(), scene.raw[server].get()}) {
        if (recorder == nullptr) continue;
        for (const std::string& heard : recorder->heard()) {
          ++served;
          for (const std::string& stranger : opened[1 - server])
            ASSERT_EQ(heard.find(stranger), heard.npos) << "g" << server + 1;
        }
      }
    }
  }
  EXPECT_GT(told, 100u);
  EXPECT_GT(served, 1000u);
}

}  // namespace
}  // namespace rejoin::sim_test
