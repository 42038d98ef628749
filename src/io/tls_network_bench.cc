// What TLS costs: memory of an idle connection at a server (the clients are another process), a round trip of
// 64 bytes beside a plain one, and handshakes; the latter two with both ends in one process, on loopback.
#include <benchmark/benchmark.h>
#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "io/epoll_loop.h"
#include "io/tls_network.h"
#include "io/tls_test_certificates.h"

namespace rejoin::io {
namespace {

constexpr std::size_t kMessageBytes = 64;

TestAuthority& authority() {
  static TestAuthority one(SystemClock().unix_now(), "bench authority", TestAuthority::Keys::p256);
  return one;
}
TlsContexts contexts() {
  static const TestIdentity identity = authority().issue({.ips = {"127.0.0.1"}});
  return {.client = *TlsContext::make(TlsClientOptions{.ca_pem = authority().pem()}),
          .server = *TlsContext::make(
              TlsServerOptions{.chain_pem = identity.chain_pem, .key_pem = identity.key_pem})};
}

struct Program {
  NullLog log;
  SeededRandom random{1};
  std::unique_ptr<EpollLoop> loop = std::move(*EpollLoop::make(log));
  World world = loop->world(random, log);
  TlsNetwork tls{world, contexts()};

  template <typename Done>
  void run_until(Done done) {
    while (!done()) loop->turn(100ms);
  }
};

/// Sends back what comes.
class Echo final : public SocketEvents {
 public:
  explicit Echo(Socket given) : socket(std::move(given)) {
    socket.set_events(this);
    on_ready({});
  }
  void on_ready(Ready) override {
    while (socket.may_read()) {
      const ReadResult got = socket.read();
      if (!got.got()) break;
      socket.write(got.view());
      echoed += got.bytes.size();
    }
  }
  Socket socket;
  std::size_t echoed = 0;
};

class Acceptor final : public AcceptEvents {
 public:
  void on_accept(Socket socket, const Address&) override {
    ends.push_back(std::make_unique<Echo>(std::move(socket)));
  }
  std::vector<std::unique_ptr<Echo>> ends;
};

/// Counts what comes.
class Client final : public SocketEvents {
 public:
  explicit Client(Socket given) : socket(std::move(given)) { socket.set_events(this); }
  void on_ready(Ready ready) override {
    open |= ready.writable;
    while (socket.may_read()) {
      const ReadResult got = socket.read();
      if (!got.got()) break;
      received += got.bytes.size();
    }
  }
  Socket socket;
  std::size_t received = 0;
  bool open = false;
};

Socket dial(Network& network, const Address& at) { return std::move(*network.connect(at, {})); }

void BM_echo(benchmark::State& state, bool with_tls) {
  Program program;
  Network& network = with_tls ? static_cast<Network&>(program.tls) : *program.loop;
  Acceptor acceptor;
  const auto listener = *network.listen(*Address::parse_ip("127.0.0.1"), {}, acceptor);
  Client client(dial(network, listener->address()));
  program.run_until([&] { return client.open; });
  const std::string message(kMessageBytes, 'm');
  std::size_t wanted = 0;
  for (auto _ : state) {
    client.socket.write(message);
    wanted += message.size();
    program.run_until([&] { return client.received == wanted; });
  }
}
BENCHMARK_CAPTURE(BM_echo, plain, false);
BENCHMARK_CAPTURE(BM_echo, tls, true);

void BM_handshake(benchmark::State& state, bool resumed) {
  Program program;
  Acceptor acceptor;
  const auto listener = *program.tls.listen(*Address::parse_ip("127.0.0.1"), {}, acceptor);
  // Another context of the client's has no sessions.
  const TlsContexts fresh[] = {contexts(), contexts()};
  std::size_t turn = 0;
  for (auto _ : state) {
    if (!resumed) program.tls.use(fresh[turn++ % 2]);
    Client client(dial(program.tls, listener->address()));
    program.run_until([&] { return client.open; });
    client.socket.write("m");
    program.run_until([&] { return client.received == 1; });
    if (resumed && acceptor.ends.size() > 1 && !program.tls.info(client.socket).resumed) {
      state.SkipWithError("not resumed");
    }
    if (acceptor.ends.size() > 100) acceptor.ends.clear();
  }
}
BENCHMARK_CAPTURE(BM_handshake, full, false);
BENCHMARK_CAPTURE(BM_handshake, resumed, true);

// --- memory ---

std::size_t resident_bytes() {
  std::size_t all = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

[[noreturn]] void be_clients(int from, std::size_t count) {
  Address at = *Address::parse_ip("127.0.0.1");
  if (read(from, &at.port, sizeof at.port) != sizeof at.port) _exit(1);
  {
    Program program;
    std::vector<std::unique_ptr<Client>> clients;
    const std::string message(kMessageBytes, 'm');
    for (std::size_t i = 0; i < count; ++i) {
      clients.push_back(std::make_unique<Client>(dial(program.tls, at)));
      Client& one = *clients.back();
      program.run_until([&] { return one.open; });
      one.socket.write(message);
      program.run_until([&] { return one.received == message.size(); });
    }
    char end;
    (void)!read(from, &end, 1);  // until the other side closes
  }
  _exit(0);
}

void BM_idle_bytes(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  (void)contexts();  // the same certificates on both sides
  int pipe_ends[2];
  if (pipe(pipe_ends) != 0) return state.SkipWithError("pipe");
  const pid_t clients = fork();
  if (clients == 0) {
    close(pipe_ends[1]);
    be_clients(pipe_ends[0], count);
  }
  close(pipe_ends[0]);
  for (auto _ : state) {
    Program program;
    Acceptor acceptor;
    acceptor.ends.reserve(count);
    const auto listener = *program.tls.listen(*Address::parse_ip("127.0.0.1"), {}, acceptor);
    const std::uint16_t port = listener->address().port;
    (void)!write(pipe_ends[1], &port, sizeof port);
    const auto echoed = [&](std::size_t wanted) {
      return acceptor.ends.size() == wanted && acceptor.ends.back()->echoed == kMessageBytes;
    };
    const std::size_t warm = count / 10;  // what is made once is made by then
    program.run_until([&] { return echoed(warm); });
    const std::size_t before = mallinfo2().uordblks, resident = resident_bytes();
    program.run_until([&] { return echoed(count); });
    const auto per_connection = [&](std::size_t bytes) {
      return static_cast<double>(bytes) / static_cast<double>(count - warm);
    };
    state.counters["malloc"] = per_connection(mallinfo2().uordblks - before);
    state.counters["resident"] = per_connection(resident_bytes() - resident);
    state.counters["record"] = sizeof(TlsConnection);
    acceptor.ends.clear();
  }
  close(pipe_ends[1]);
  waitpid(clients, nullptr, 0);
}
BENCHMARK(BM_idle_bytes)->Arg(2000)->Iterations(1);

}  // namespace
}  // namespace rejoin::io
