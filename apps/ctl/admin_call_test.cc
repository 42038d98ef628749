// Questions to a real AdminServer, and to what is none, on a simulated network.
#include "apps/ctl/admin_call.h"

#include <gtest/gtest.h>

#include <optional>

#include "io/network_contract.h"
#include "io/sim_network.h"
#include "watch/admin_server.h"

namespace rejoin::ctl {
namespace {

struct Handler final : watch::AdminHandler {
  Task<watch::AdminReply> answer(watch::AdminRequest request) override {
    watch::AdminReply reply;
    reply.body = request.path == "/large" ? std::string(2'000'000, 'x') : request.path;
    if (request.path == "/no") reply.status = 404;
    co_return reply;
  }
};

struct Calling : testing::Test {
  static Task<void> note(io::World& world, AdminCall call, Stop& stop,
                         std::optional<Result<AdminAnswer>>& out) {
    Result<AdminAnswer> answer = co_await call_admin(world, std::move(call), stop);
    out.emplace(std::move(answer));
  }
  Result<AdminAnswer> call(const std::string& target, std::uint16_t port = 9090) {
    Stop stop;
    Scope scope(phone.world().ready);
    std::optional<Result<AdminAnswer>> out;
    AdminCall asked{server.address(port), "GET", target};
    scope.spawn(note(phone.world(), std::move(asked), stop, out));
    EXPECT_TRUE(sim.run_until([&] { return scope.running() == 0; }));
    return std::move(*out);
  }

  io::Simulation sim{1};
  io::SimHost& server = sim.add_host({.name = "server", .addresses = {"10.0.0.1"}});
  io::SimHost& phone = sim.add_host({.name = "phone", .addresses = {"10.0.0.2"}});
};

TEST_F(Calling, an_answer_of_any_status_and_size_is_one) {
  Handler handler;
  watch::AdminServer admin(server.world(), handler);
  ASSERT_TRUE(admin.open({server.address(9090)}));
  const Result<AdminAnswer> small = call("/a");
  ASSERT_TRUE(small);
  EXPECT_EQ(small->status, 200);
  EXPECT_EQ(small->body, "/a");
  const Result<AdminAnswer> no = call("/no");
  ASSERT_TRUE(no);
  EXPECT_EQ(no->status, 404);
  const Result<AdminAnswer> large = call("/large");
  ASSERT_TRUE(large);
  EXPECT_EQ(large->body.size(), 2'000'000u);
  admin.close();
  EXPECT_TRUE(sim.run_until([&] { return admin.idle(); }));
}

TEST_F(Calling, what_is_no_admin_port_is_an_error) {
  const Result<AdminAnswer> nobody = call("/", 1);
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().kind, ErrorKind::refused);

  const struct {
    const char* said;
    ErrorKind kind;
  } cases[] = {
      {"SSH-2.0-OpenSSH\r\n\r\n", ErrorKind::bad_input},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", ErrorKind::closed},
      {"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n", ErrorKind::too_large},
      {"HTTP/1.1 200", ErrorKind::closed},
  };
  for (const auto& one : cases) {
    struct Says final : io::AcceptEvents {
      void on_accept(io::Socket socket, const Address&) override {
        (void)socket.write(text);
        socket.shutdown_write();
        ends.push_back(std::make_unique<io::contract::End>(std::move(socket)));
        ends.back()->told = [end = ends.back().get()] { end->drain(); };
      }
      std::string text;
      std::vector<std::unique_ptr<io::contract::End>> ends;
    } says;
    says.text = one.said;
    auto listener = server.network().listen(server.address(9091), {}, says);
    ASSERT_TRUE(listener);
    const Result<AdminAnswer> answer = call("/", 9091);
    ASSERT_FALSE(answer) << one.said;
    EXPECT_EQ(answer.error().kind, one.kind) << one.said << to_string(answer.error());
    says.ends.clear();
  }
}

}  // namespace
}  // namespace rejoin::ctl
