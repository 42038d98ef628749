// Our TLS against programs that are not ours: Python's ssl module, and OpenSSL's own s_server and s_client,
// on real sockets.
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>

#include "io/network_hosts.h"
#include "io/tls_network.h"
#include "io/tls_test_certificates.h"

extern char** environ;

namespace rejoin::io {
namespace {

constexpr int kDeadlineMs = 30'000;

/// A child with pipes. Ends with the test.
class Child {
 public:
  explicit Child(std::vector<std::string> arguments) {
    int in[2], out[2];
    EXPECT_EQ(pipe2(in, O_CLOEXEC) + pipe2(out, O_CLOEXEC), 0);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, in[0], 0);
    posix_spawn_file_actions_adddup2(&files, out[1], 1);
    posix_spawn_file_actions_adddup2(&files, out[1], 2);
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    EXPECT_EQ(posix_spawnp(&pid_, pointers[0], &files, nullptr, pointers.data(), environ), 0);
    posix_spawn_file_actions_destroy(&files);
    close(in[0]);
    close(out[1]);
    in_ = in[1];
    out_ = out[0];
  }
  ~Child() {
    kill(pid_, SIGKILL);
    close(in_);
    close(out_);
    waitpid(pid_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void say(Bytes text) { EXPECT_EQ(write(in_, text.data(), text.size()), static_cast<ssize_t>(text.size())); }
  int output() const { return out_; }
  /// Reads what it says now; false when it has ended.
  bool hear(int wait_ms) {
    pollfd one{.fd = out_, .events = POLLIN, .revents = 0};
    if (poll(&one, 1, wait_ms) <= 0) return true;
    char block[4096];
    const ssize_t got = read(out_, block, sizeof block);
    if (got > 0) said.append(block, static_cast<std::size_t>(got));
    return got > 0;
  }
  /// What stands behind `before` in its output, up to the end of the line.
  std::string after(const std::string& before) {
    const TimePoint deadline = SystemClock().now() + std::chrono::milliseconds(kDeadlineMs);
    while (SystemClock().now() < deadline) {
      const std::size_t at = said.find(before);
      const std::size_t end = at == std::string::npos ? at : said.find('\n', at + before.size());
      if (end != std::string::npos) return said.substr(at + before.size(), end - at - before.size());
      if (!hear(100)) break;
    }
    ADD_FAILURE() << "no \"" << before << "\" in: " << said;
    return "0";
  }

  std::string said;

 private:
  pid_t pid_ = 0;
  int in_ = -1, out_ = -1;
};

class TlsPeers : public testing::Test {
 protected:
  using End = contract::End;

  void SetUp() override {
    folder = std::filesystem::path(testing::TempDir()) / ("tls_peers_" + std::to_string(getpid()));
    std::filesystem::create_directories(folder);
    save("ca.pem", authority.pem());
    const TestIdentity good = authority.issue_below({.names = {"play.example"}, .ips = {"127.0.0.1"}});
    save("chain.pem", good.chain_pem);
    save("key.pem", good.key_pem);
    tls = std::make_unique<TlsNetwork>(
        loop_world,
        TlsContexts{
            .client = *TlsContext::make(TlsClientOptions{.ca_file = path("ca.pem"), .alpn = {"http/1.1"}}),
            .server =
                *TlsContext::make(TlsServerOptions{.chain_pem = good.chain_pem, .key_pem = good.key_pem})});
  }
  void TearDown() override {
    end.reset();
    std::filesystem::remove_all(folder);
  }
  std::string path(const std::string& name) const { return folder / name; }
  void save(const std::string& name, const std::string& text) const { std::ofstream(path(name)) << text; }

  std::unique_ptr<Child> python_server(const std::string& least, const std::string& most,
                                       const std::string& alpn = "") {
    auto child = std::make_unique<Child>(std::vector<std::string>{"python3", "-W", "ignore", REJOIN_TLS_PEER,
                                                                  "serve", path("chain.pem"), path("key.pem"),
                                                                  least, most, alpn});
    port = static_cast<std::uint16_t>(std::stoi(child->after("")));
    return child;
  }
  /// "open", or what is wrong.
  std::string dial(const std::string& name) {
    end = std::make_unique<End>(std::move(*tls->connect(loopback("127.0.0.1", port), {.server_name = name})));
    if (!run_until([&] { return end->writable > 0; })) return "nothing";
    const Status open = end->socket.connect_status();
    return open ? "open" : to_string(open.error());
  }
  /// What comes back for `line`, when it has `length` bytes.
  std::string ask(Bytes line, std::size_t length) {
    end->received.clear();
    EXPECT_EQ(end->write(line).taken, line.size());
    run_until([&] { return end->drain() == ReadResult::State::failed || end->received.size() >= length; });
    return end->received;
  }
  ReadResult::State last() {
    ReadResult::State state = ReadResult::State::would_block;
    run_until([&] {
      state = end->drain();
      return state == ReadResult::State::ended || state == ReadResult::State::failed;
    });
    return state;
  }
  bool run_until(const std::function<bool()>& done) {
    return loop.run_until(done, std::chrono::milliseconds(kDeadlineMs));
  }

  TestAuthority authority{SystemClock().unix_now(), "test authority", TestAuthority::Keys::p256};
  std::filesystem::path folder;
  Loop loop;
  SeededRandom random{1};
  World loop_world = loop.kernel->world(random, loop.log);
  std::unique_ptr<TlsNetwork> tls;
  std::unique_ptr<End> end;
  std::uint16_t port = 0;
};

TEST_F(TlsPeers, pythons_server_of_either_version) {
  for (const std::string version : {"1.2", "1.3"}) {
    const auto server = python_server(version, version, "h2,http/1.1");
    ASSERT_EQ(dial("play.example"), "open");
    EXPECT_EQ(tls->info(end->socket).version, "TLSv" + version);
    EXPECT_EQ(tls->info(end->socket).alpn, "http/1.1");
    EXPECT_EQ(ask("hello\n", 6), "HELLO\n");
    EXPECT_EQ(ask("big 3000000\n", 3'000'000), std::string(3'000'000, 'z'));
    end->write("end\n");
    EXPECT_EQ(last(), ReadResult::State::ended);
  }
}

TEST_F(TlsPeers, pythons_server_that_drops_the_link_and_is_resumed) {
  for (const std::string version : {"1.2", "1.3"}) {
    const auto server = python_server(version, version);
    for (int i = 0; i < 4; ++i) {
      ASSERT_EQ(dial("play.example"), "open");
      EXPECT_EQ(tls->info(end->socket).resumed, i > 0) << version << " " << i;
      EXPECT_EQ(ask("hello\n", 6), "HELLO\n");
      end->write("drop\n");
      EXPECT_EQ(last(), ReadResult::State::failed);
      EXPECT_NE(end->socket.connect_status().error().detail.find("without close_notify"), std::string::npos);
    }
  }
}

TEST_F(TlsPeers, a_python_server_that_must_not_be_trusted) {
  {
    const auto server = python_server("1.2", "1.3");
    EXPECT_EQ(dial("shop.example"),
              "bad input (server): TLS with shop.example:" + std::to_string(port) +
                  ": its certificate is refused: hostname mismatch (it is for play.example, 127.0.0.1)");
    EXPECT_EQ(dial(""), "open") << "the address is in the certificate";
  }
  {
    const auto server = python_server("1.1", "1.1");
    EXPECT_NE(dial("play.example").find("alert protocol version"), std::string::npos);
  }
  const TestIdentity old =
      authority.issue({.names = {"play.example"}, .from_s = -2 * 24 * 3600, .until_s = -3600});
  save("chain.pem", old.chain_pem);
  save("key.pem", old.key_pem);
  const auto server = python_server("1.2", "1.3");
  EXPECT_NE(dial("play.example").find("certificate has expired"), std::string::npos);
}

TEST_F(TlsPeers, openssl_s_server) {
  Child server({"openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", path("chain.pem"), "-cert_chain",
                path("chain.pem"), "-key", path("key.pem"), "-rev"});
  const std::string at = server.after("ACCEPT ");
  port = static_cast<std::uint16_t>(std::stoi(at.substr(at.rfind(':') + 1)));
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(dial("play.example"), "open");
    EXPECT_EQ(tls->info(end->socket).resumed, i > 0);
    EXPECT_EQ(ask("hello\n", 6), "olleh\n");
    end->close();
  }
}

/// Sends back what comes, and ends when the peer does.
class EchoAcceptor final : public AcceptEvents {
 public:
  void on_accept(Socket socket, const Address&) override {
    ends.push_back(std::make_unique<contract::End>(std::move(socket)));
    contract::End* one = ends.back().get();
    one->told = [one] {
      const ReadResult::State state = one->drain();
      if (!one->received.empty()) one->write(std::exchange(one->received, {}));
      if (state == ReadResult::State::ended || state == ReadResult::State::failed) one->close();
    };
    one->told();
  }
  std::vector<std::unique_ptr<contract::End>> ends;
};

TEST_F(TlsPeers, python_dials_us) {
  EchoAcceptor acceptor;
  auto listener = tls->listen(loopback("127.0.0.1"), {}, acceptor);
  ASSERT_TRUE(listener);
  const std::string at = std::to_string((*listener)->address().port);
  const struct {
    std::string name, least, most, wanted;
  } cases[] = {
      {"play.example", "1.3", "1.3", "TLSv1.3 hello\nended\n"},
      {"play.example", "1.2", "1.2", "TLSv1.2 hello\nended\n"},
      {"127.0.0.1", "1.2", "1.3", "TLSv1.3 hello\nended\n"},
      {"shop.example", "1.2", "1.3", "Hostname mismatch"},
      {"play.example", "1.1", "1.1", "TLSV1_ALERT_PROTOCOL_VERSION"},
  };
  for (const auto& one : cases) {
    Child client({"python3", "-W", "ignore", REJOIN_TLS_PEER, "dial", at, path("ca.pem"), one.name, one.least,
                  one.most});
    EXPECT_TRUE(run_until([&] { return !client.hear(0); }));
    EXPECT_NE(client.said.find(one.wanted), std::string::npos) << one.wanted << " in: " << client.said;
  }
  EXPECT_TRUE(run_until([&] { return tls->open_sockets() == 0; }));
}

TEST_F(TlsPeers, openssl_s_client_dials_us_and_resumes) {
  EchoAcceptor acceptor;
  auto listener = tls->listen(loopback("127.0.0.1"), {}, acceptor);
  ASSERT_TRUE(listener);
  const std::string at = (*listener)->address().text();
  for (const bool again : {false, true}) {
    std::vector<std::string> arguments = {"openssl",
                                          "s_client",
                                          "-connect",
                                          at,
                                          "-CAfile",
                                          path("ca.pem"),
                                          "-servername",
                                          "play.example",
                                          "-verify_hostname",
                                          "play.example",
                                          "-verify_return_error",
                                          again ? "-sess_in" : "-sess_out",
                                          path("session.pem")};
    Child client(arguments);
    client.say("hello\n");
    EXPECT_TRUE(
        run_until([&] { return !client.hear(0) || client.said.find("\nhello\n") != std::string::npos; }));
    EXPECT_NE(client.said.find("Verify return code: 0 (ok)"), std::string::npos) << client.said;
    EXPECT_EQ(client.said.find("\nReused, TLSv1.3") != std::string::npos, again) << client.said;
    client.say("Q\n");
    EXPECT_TRUE(run_until([&] { return !client.hear(0); }));
  }
}

}  // namespace
}  // namespace rejoin::io
