// Requests against a handler that says what it was asked, on a simulated network.
#include "watch/admin_server.h"

#include <gtest/gtest.h>

#include <set>

#include "io/network_contract.h"
#include "io/sim_network.h"

namespace rejoin::watch {
namespace {

struct Parrot final : AdminHandler {
  Task<AdminReply> answer(AdminRequest request) override {
    ++asked;
    AdminReply reply;
    reply.body = request.path;
    for (const auto& [name, value] : request.query) reply.body += " " + name + "=" + value;
    if (request.path == "/large") reply.body = std::string(large_bytes, 'x');
    if (request.path == "/later") {
      const Woken woken = co_await io_wait(1s);
      reply.body = woken == Woken::ready ? "?" : "later";
    }
    co_return reply;
  }
  Waiter::Awaiter io_wait(Duration time) { return waiter->until(world->clock.now() + time); }

  io::World* world = nullptr;
  Waiter* waiter = nullptr;
  std::size_t large_bytes = 3'000'000;
  int asked = 0;
};

struct Admin : testing::Test {
  void SetUp() override {
    parrot.world = &server.world();
    waiter = std::make_unique<Waiter>(server.world().ready, server.world().timers, never);
    parrot.waiter = waiter.get();
    admin = std::make_unique<AdminServer>(server.world(), parrot);
    ASSERT_TRUE(admin->open({server.address(9090)}));
  }
  void TearDown() override {
    clients.clear();
    admin->close();
    EXPECT_TRUE(sim.run_until([&] { return admin->idle(); }));
    admin.reset();
    sim.run_for(2s);
    EXPECT_EQ(sim.leftovers_text(), "");
  }
  io::contract::End& client() {
    auto socket = phone.network().connect(server.address(9090), {});
    clients.push_back(std::make_unique<io::contract::End>(std::move(*socket)));
    io::contract::End& end = *clients.back();
    end.told = [this, &end] {
      if (end.socket.may_read() && end.drain() == io::ReadResult::State::ended) over.insert(&end);
    };
    EXPECT_TRUE(sim.run_until([&] { return end.writable != 0; }));
    return end;
  }
  /// All that is answered to these bytes within two seconds.
  std::string said_to(const std::string& bytes) {
    io::contract::End& end = client();
    end.write(bytes);
    sim.run_for(3s);
    return end.received;
  }

  io::Simulation sim{1};
  io::SimHost& server = sim.add_host({.name = "server", .addresses = {"10.0.0.1"}});
  io::SimHost& phone = sim.add_host({.name = "phone", .addresses = {"10.0.0.2"}});
  Parrot parrot;
  Stop never;
  std::unique_ptr<Waiter> waiter;
  std::unique_ptr<AdminServer> admin;
  std::vector<std::unique_ptr<io::contract::End>> clients;
  std::set<const io::contract::End*> over;  // they heard FIN
};

TEST_F(Admin, answers) {
  const struct {
    const char* request;
    const char* begins;
    const char* ends;
  } cases[] = {
      {"GET /a?b=c%20d+e&f HTTP/1.1\r\nHost: 127.0.0.1:9090\r\n\r\n", "HTTP/1.1 200 OK\r\n",
       "\r\n\r\n/a b=c d e f="},
      {"GET /%41 HTTP/1.1\r\nHost: [::1]:9090\r\n\r\n", "HTTP/1.1 200 OK\r\n", "\r\n\r\n/A"},
      {"POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\n", "/a"},
      {"DELETE /a HTTP/1.1\r\nHost: LOCALHOST:1\r\n\r\n", "HTTP/1.1 200 OK\r\n", "/a"},
      {"HEAD /abc HTTP/1.1\r\nHost: localhost\r\n\r\n",
       "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4\r\n", "\r\n\r\n"},
      {"GET /a HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n", "Connection: close\r\n\r\n/a"},
      {"GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 200 OK\r\n", "\r\n\r\nlater"},
      // a page in the operator's browser
      {"GET /a HTTP/1.1\r\nHost: 127.0.0.1:9090\r\nOrigin: http://evil.example\r\n\r\n",
       "HTTP/1.1 403 Forbidden\r\n", "has an Origin\"}\n"},
      {"POST /a HTTP/1.1\r\nHost: 127.0.0.1:9090\r\nOrigin: null\r\n\r\n", "HTTP/1.1 403 Forbidden\r\n",
       "\n"},
      {"GET /a HTTP/1.1\r\nHost: rebound.example:9090\r\n\r\n", "HTTP/1.1 403 Forbidden\r\n",
       "another name\"}\n"},
      {"GET /a HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n", "HTTP/1.1 403 Forbidden\r\n", "\n"},
      {"GET http://evil.example/a HTTP/1.1\r\nHost: evil.example\r\n\r\n", "HTTP/1.1 403 Forbidden\r\n",
       "\n"},
      // what cannot be understood
      {"POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nab", "HTTP/1.1 400 ", "\n"},
      {"GET /%4 HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 400 ", "\n"},
      {"GET /a HTTP/1.1\r\n\r\n", "HTTP/1.1 400 ", "\n"},
      {"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 400 ", "\n"},
      {"\x16\x03\x01\r\n\r\n", "HTTP/1.1 400 ", "\n"},
  };
  for (const auto& one : cases) {
    const std::string said = said_to(one.request);
    EXPECT_TRUE(said.starts_with(one.begins)) << one.request << said;
    EXPECT_TRUE(said.ends_with(one.ends)) << one.request << said;
  }
  EXPECT_EQ(parrot.asked, 7) << "who is refused never reaches the handler";
}

TEST_F(Admin, hears_one_request_after_the_other_however_they_are_cut) {
  const std::string two =
      "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\nGET /b HTTP/1.1\r\nHost: localhost\r\nConnection: "
      "close\r\n\r\n";
  for (std::size_t cut = 0; cut < two.size(); ++cut) {
    io::contract::End& end = client();
    end.write(two.substr(0, cut));
    sim.run_for(100ms);
    end.write(two.substr(cut));
    sim.run_for(500ms);
    const std::size_t first = end.received.find("\r\n\r\n/aHTTP/1.1 200 OK");
    EXPECT_NE(first, std::string::npos) << cut << end.received;
    EXPECT_TRUE(end.received.ends_with("\r\n\r\n/b")) << cut;
    EXPECT_EQ(over.count(&end), 1u) << cut;
    clients.clear();
    over.clear();
  }
}

TEST_F(Admin, an_answer_may_be_larger_than_a_buffer) {
  const std::string said = said_to("GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_NE(said.find("Content-Length: 3000000\r\n"), std::string::npos);
  EXPECT_GT(said.size(), parrot.large_bytes);
}

TEST_F(Admin, who_does_not_come_to_the_point_is_ended) {
  io::contract::End& silent = client();
  io::contract::End& slow = client();
  slow.write("GET /a HT");
  sim.run_for(Duration(kAdminHeadS) + 2s);
  EXPECT_EQ(over.count(&silent), 1u);
  EXPECT_EQ(silent.received, "");
  EXPECT_EQ(over.count(&slow), 1u);
  EXPECT_TRUE(slow.received.starts_with("HTTP/1.1 408 ")) << slow.received;
}

TEST_F(Admin, has_room_for_so_many_and_no_more) {
  for (std::size_t i = 0; i < kAdminConnectionsMax; ++i) (void)client();
  io::contract::End& one_more = client();
  one_more.write("GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n");
  sim.run_for(1s);
  EXPECT_EQ(one_more.received, "");
  sim.run_for(Duration(kAdminHeadS) + 1s);
  EXPECT_NE(said_to("GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n"), "") << "the silent ones have gone";
}

TEST_F(Admin, closes_in_the_middle_of_an_answer) {
  io::contract::End& waiting = client();
  waiting.write("GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n");
  (void)client();
  sim.run_for(100ms);
  admin->close();
  sim.run_for(5s);
  EXPECT_TRUE(admin->idle());
}

TEST(AdminTarget, parameters_are_written_so_that_they_are_read_again) {
  std::string every;
  for (int c = 0; c < 256; ++c) every += static_cast<char>(c);
  const auto read = parse_admin_target("/x?reason=" + encode_parameter(every) + "&n=1");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->parameter("reason"), every);
  EXPECT_EQ(read->parameter("n"), "1");
  EXPECT_EQ(read->parameter("m"), std::nullopt);
  EXPECT_FALSE(parse_admin_target("/x?a=%g0"));
  EXPECT_FALSE(parse_admin_target("/x%"));
}

TEST_F(Admin, with_a_token_answers_who_has_it) {
  AdminServer guarded(server.world(), parrot);
  ASSERT_TRUE(guarded.open({server.address(9091), "0123456789abcdef"}));
  const struct {
    const char* fields;
    const char* path;
    int status;
  } cases[] = {
      {"Host: 10.0.0.1\r\n", "/a", 401},
      {"Host: 10.0.0.1\r\nAuthorization: Bearer 0123456789abcdef\r\n", "/a", 200},
      {"Host: 10.0.0.1\r\nauthorization: bearer   0123456789abcdef\r\n", "/a", 200},
      {"Host: admin.example\r\nAuthorization: Bearer 0123456789abcdef\r\n", "/a", 200},
      {"Host: 10.0.0.1\r\nAuthorization: Bearer 0123456789abcde\r\n", "/a", 401},
      {"Host: 10.0.0.1\r\nAuthorization: Bearer 0123456789abcdefg\r\n", "/a", 401},
      {"Host: 10.0.0.1\r\nAuthorization: Bearer\r\n", "/a", 401},
      {"Host: 10.0.0.1\r\nAuthorization: Basic 0123456789abcdef\r\n", "/a", 401},
      {"Host: 10.0.0.1\r\nAuthorization: 0123456789abcdef\r\n", "/a", 401},
      {"Host: 10.0.0.1\r\nAuthorization: Bearer 0123456789abcdef\r\nOrigin: http://x\r\n", "/a", 403},
      {"Host: 10.0.0.1\r\n", "/healthz", 200},
      {"Host: 10.0.0.1\r\n", "/readyz?verbose", 200},
      {"Host: 10.0.0.1\r\n", "/healthz/x", 401},
      {"Host: 10.0.0.1\r\n", "/%68ealthz", 401},
  };
  for (const auto& one : cases) {
    auto socket = phone.network().connect(server.address(9091), {});
    clients.push_back(std::make_unique<io::contract::End>(std::move(*socket)));
    io::contract::End& end = *clients.back();
    end.told = [&end] { end.drain(); };
    EXPECT_TRUE(sim.run_until([&] { return end.writable != 0; }));
    end.write(std::string("GET ") + one.path + " HTTP/1.1\r\n" + one.fields + "\r\n");
    sim.run_for(3s);
    EXPECT_TRUE(end.received.starts_with("HTTP/1.1 " + std::to_string(one.status)))
        << one.fields << end.received;
    EXPECT_EQ(end.received.find("WWW-Authenticate: Bearer\r\n") != std::string::npos, one.status == 401);
  }
  guarded.close();
  clients.clear();
  EXPECT_TRUE(sim.run_until([&] { return guarded.idle(); }));
}

}  // namespace
}  // namespace rejoin::watch
