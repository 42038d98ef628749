// Each case is a process of its own, since run_workers() is for one call in a process: it is forked, its log
// is read until it says `ready`, signals are sent, and its exit status is looked at.
#include "apps/serve/workers.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "io/network.h"
#include "io/own_table_test_support.h"

namespace rejoin::serve {
namespace {

constexpr int kPatienceMs = 20'000;

/// When a program of the test ends.
enum class Ends : std::uint8_t { at_drain, at_stop, first_at_stop };

/// A listener, and clients whom it keeps until it ends; one that says something becomes the next worker's.
class Program final : public WorkerProgram, private io::AcceptEvents {
 public:
  Program(io::World& world, unsigned number, Colleagues& colleagues, Ends ends, unsigned fails)
      : world_(world), colleagues_(colleagues), number_(number), ends_(ends), fails_(number == fails) {}

  Status open(const std::vector<Address>& at) override {
    if (fails_) return Error{ErrorKind::os, Side::ours, Retry::no, "this one fails"};
    auto listener = world_.network.listen(at.empty() ? *Address::parse("127.0.0.1:0") : at.at(0), {}, *this);
    if (!listener) return std::move(listener.error());
    listener_ = std::move(*listener);
    world_.log.info("worker " + std::to_string(number_) + " at " + listener_->address().text());
    return {};
  }
  std::vector<Address> addresses() const override { return {listener_->address()}; }
  void drain() override {
    say("drains");
    listener_.reset();
    idle_ = idle_ || ends_ == Ends::at_drain || (ends_ == Ends::first_at_stop && number_ != 0);
  }
  void stop() override {
    say("stops");
    idle_ = true;
  }
  bool idle() const override { return idle_; }

 private:
  struct Guest final : io::SocketEvents {
    Guest(Program& at, io::Socket client) : program(at), socket(std::move(client)) {
      socket.set_events(this);
    }
    void on_ready(io::Ready) override {
      if (!socket.read().got()) return;
      socket.set_events(nullptr);
      const unsigned next = (program.number_ + 1) % program.colleagues_.count();
      program.say("hands over to " + std::to_string(next));
      program.colleagues_.hand_over(next, std::move(socket), [](WorkerProgram& other, io::Socket come) {
        static_cast<Program&>(other).welcome(std::move(come));
      });
    }
    Program& program;
    io::Socket socket;
  };

  void on_accept(io::Socket client, const Address& from) override {
    (void)client.read();
    guests_.push_back(std::make_unique<Guest>(*this, std::move(client)));
    say("has client " + std::to_string(from.port));
  }
  void welcome(io::Socket client) {
    (void)client.read();  // nothing yet: it waits for what we say
    (void)client.write("welcome");
    guests_.push_back(std::make_unique<Guest>(*this, std::move(client)));
  }
  void say(const std::string& what) { world_.log.info("worker " + std::to_string(number_) + " " + what); }

  io::World& world_;
  Colleagues& colleagues_;
  std::unique_ptr<io::Listener> listener_;
  std::vector<std::unique_ptr<Guest>> guests_;
  unsigned number_;
  Ends ends_;
  bool fails_;
  bool idle_ = false;
};

/// Lines to a pipe.
class PipeLog final : public Log {
 public:
  explicit PipeLog(int descriptor) : descriptor_(descriptor) {}
  void write(LogLevel, std::string_view line) override {
    const std::string text = std::string(line) + "\n";  // one write: lines of two workers do not mix
    (void)!::write(descriptor_, text.data(), text.size());
  }

 private:
  int descriptor_;
};

constexpr unsigned kNobody = 1000;

/// run_workers() in a process of its own.
class Process {
 public:
  Process(unsigned workers, Ends ends, Duration drain_time, unsigned fails = kNobody) {
    int pipe[2];
    EXPECT_EQ(::pipe(pipe), 0);
    pid_ = fork();
    if (pid_ == 0) {
      ::close(pipe[0]);
      dup2(pipe[1], STDERR_FILENO);  // which each worker has, whatever else it has not
      PipeLog log(STDERR_FILENO);
      const WorkersOptions options{.count = workers, .listener_names = {"play"}, .drain_time = drain_time};
      _exit(run_workers(options, log, [=](io::World& world, unsigned number, Colleagues& all) {
        return std::make_unique<Program>(world, number, all, ends, fails);
      }));
    }
    ::close(pipe[1]);
    pipe_ = pipe[0];
  }
  ~Process() {
    if (!waited_) {
      kill(pid_, SIGKILL);
      (void)exit_status();
    }
    ::close(pipe_);
  }

  /// Reads on until `text` was said, or the process has ended: false.
  bool hears(const std::string& text) {
    while (said_.find(text) == std::string::npos) {
      pollfd asked{pipe_, POLLIN, 0};
      if (poll(&asked, 1, kPatienceMs) <= 0) return false;
      char block[1024];
      const ssize_t got = ::read(pipe_, block, sizeof block);
      if (got <= 0) return false;
      said_.append(block, static_cast<std::size_t>(got));
    }
    return true;
  }
  void signal(int number) { kill(pid_, number); }
  /// Reads all that it says until its end.
  int exit_status() {
    (void)hears("\nnever said\n");
    int status = 0;
    waitpid(pid_, &status, 0);
    waited_ = true;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  const std::string& said() const { return said_; }
  int times(const std::string& text) const {
    int count = 0;
    for (std::size_t at = 0; (at = said_.find(text, at)) != std::string::npos; ++at) ++count;
    return count;
  }

 private:
  pid_t pid_ = -1;
  int pipe_ = -1;
  bool waited_ = false;
  std::string said_;
};

/// With one table of descriptors, and with one for each worker.
class RunWorkers : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == "per_worker" && io::own_tables_would_be_misread()) GTEST_SKIP();
    setenv(kDescriptorsVariable, GetParam().c_str(), 1);
  }
  void TearDown() override { unsetenv(kDescriptorsVariable); }
};
INSTANTIATE_TEST_SUITE_P(Descriptors, RunWorkers, testing::Values("per_process", "per_worker"),
                         [](const auto& test) { return test.param; });

TEST_P(RunWorkers, says_where_it_listens_and_that_it_is_ready) {
  Process process(1, Ends::at_drain, 10s);
  ASSERT_TRUE(process.hears("ready\n"));
  EXPECT_EQ(process.times("listener play: listening on 127.0.0.1:"), 1) << process.said();
  process.signal(SIGTERM);
  EXPECT_EQ(process.exit_status(), 0);
}

TEST_P(RunWorkers, gives_all_workers_the_port_of_the_first) {
  Process process(3, Ends::at_drain, 10s);
  ASSERT_TRUE(process.hears("ready\n"));
  const std::size_t at = process.said().find("listening on ") + 13;
  const std::string address = process.said().substr(at, process.said().find('\n', at) - at);
  EXPECT_EQ(process.times(" at " + address + "\n"), 3) << process.said();
  process.signal(SIGTERM);
  EXPECT_EQ(process.exit_status(), 0);
  EXPECT_EQ(process.times(" drains\n"), 3);
  EXPECT_EQ(process.times(" stops\n"), 0);
}

TEST_P(RunWorkers, stops_when_the_time_to_drain_is_over) {
  Process process(2, Ends::at_stop, 50ms);
  ASSERT_TRUE(process.hears("ready\n"));
  process.signal(SIGTERM);
  EXPECT_EQ(process.exit_status(), 0);
  EXPECT_EQ(process.times(" drains\n"), 2) << process.said();
  EXPECT_EQ(process.times(" stops\n"), 2) << process.said();
}

TEST_P(RunWorkers, stops_at_once_at_a_second_signal) {
  Process process(2, Ends::at_stop, 1h);
  ASSERT_TRUE(process.hears("ready\n"));
  process.signal(SIGINT);
  ASSERT_TRUE(process.hears("worker 0 drains\n") && process.hears("worker 1 drains\n"));
  process.signal(SIGTERM);
  EXPECT_EQ(process.exit_status(), 0);
  EXPECT_EQ(process.times(" stops\n"), 2) << process.said();
}

/// Where a program listens.
Address address_of(const Process& process) {
  const std::size_t at = process.said().find("listening on ") + 13;
  return *Address::parse(process.said().substr(at, process.said().find('\n', at) - at));
}

/// A client: its own port, and whether the other side has closed.
class Client {
 public:
  explicit Client(const Address& to) : descriptor_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons(to.port);
    EXPECT_EQ(connect(descriptor_, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    socklen_t length = sizeof at;
    EXPECT_EQ(getsockname(descriptor_, reinterpret_cast<sockaddr*>(&at), &length), 0);
    port_ = ntohs(at.sin_port);
  }
  ~Client() { ::close(descriptor_); }
  std::string port() const { return std::to_string(port_); }
  void say(char byte) { EXPECT_EQ(send(descriptor_, &byte, 1, MSG_NOSIGNAL), 1); }
  bool hears(const std::string& text) {
    std::string found(text.size(), ' ');
    pollfd asked{descriptor_, POLLIN, 0};
    return poll(&asked, 1, kPatienceMs) == 1 &&
           recv(descriptor_, found.data(), found.size(), MSG_WAITALL) == static_cast<ssize_t>(text.size()) &&
           found == text;
  }
  bool sees_the_end() {
    pollfd asked{descriptor_, POLLIN, 0};
    char byte;
    return poll(&asked, 1, kPatienceMs) == 1 && recv(descriptor_, &byte, 1, 0) == 0;
  }

 private:
  int descriptor_;
  std::uint16_t port_ = 0;
};

TEST_P(RunWorkers, clients_of_a_worker_that_has_ended_see_their_end_while_others_work_on) {
  for (const char* io : {"epoll", "auto"}) {
    setenv(kIoVariable, io, 1);
    Process process(2, Ends::first_at_stop, 1h);
    unsetenv(kIoVariable);
    ASSERT_TRUE(process.hears("ready\n"));
    const Address address = address_of(process);
    std::vector<std::unique_ptr<Client>> clients;
    do {
      clients.push_back(std::make_unique<Client>(address));
      ASSERT_TRUE(process.hears(" has client " + clients.back()->port() + "\n"));
    } while (process.times("worker 1 has client ") == 0);
    process.signal(SIGTERM);
    EXPECT_TRUE(clients.back()->sees_the_end()) << io;
    EXPECT_EQ(process.times(" stops\n"), 0) << process.said();
    process.signal(SIGTERM);
    EXPECT_EQ(process.exit_status(), 0);
  }
}

TEST_P(RunWorkers, a_client_is_handed_over_from_worker_to_worker) {
  for (const char* io : {"epoll", "auto"}) {
    setenv(kIoVariable, io, 1);
    Process process(3, Ends::at_drain, 1h);
    unsetenv(kIoVariable);
    ASSERT_TRUE(process.hears("ready\n"));
    Client client(address_of(process));
    ASSERT_TRUE(process.hears(" has client " + client.port() + "\n"));
    for (int i = 0; i < 6; ++i) {  // to all, and back home, twice
      client.say('n');
      EXPECT_TRUE(client.hears("welcome")) << i << " on " << io;
    }
    process.signal(SIGTERM);
    EXPECT_TRUE(client.sees_the_end());
    EXPECT_EQ(process.exit_status(), 0);
    EXPECT_EQ(process.times(" hands over to "), 6);
  }
}

TEST_P(RunWorkers, who_is_handed_over_to_a_worker_that_has_ended_sees_the_end) {
  Process process(2, Ends::first_at_stop, 1h);
  ASSERT_TRUE(process.hears("ready\n"));
  const Address address = address_of(process);
  std::vector<std::unique_ptr<Client>> clients;
  std::size_t of_first = 0, of_second = 0;
  while (of_first < 3 || of_second < 1) {
    clients.push_back(std::make_unique<Client>(address));
    ASSERT_TRUE(process.hears(" has client " + clients.back()->port() + "\n"));
    of_first = static_cast<std::size_t>(process.times("worker 0 has client "));
    of_second = static_cast<std::size_t>(process.times("worker 1 has client "));
  }
  process.signal(SIGTERM);
  for (auto& client : clients) {
    if (process.times("worker 1 has client " + client->port() + "\n") != 0) {
      EXPECT_TRUE(client->sees_the_end());
    }
  }
  for (auto& client : clients) {
    if (process.times("worker 0 has client " + client->port() + "\n") == 0) continue;
    client->say('n');
    EXPECT_TRUE(client->sees_the_end());
  }
  EXPECT_EQ(process.times(" stops\n"), 0) << process.said();
  process.signal(SIGTERM);
  EXPECT_EQ(process.exit_status(), 0);
}

TEST_P(RunWorkers, ends_with_1_when_a_worker_cannot_open) {
  for (const unsigned fails : {0u, 1u, 2u}) {
    Process process(3, Ends::at_drain, 10s, fails);
    EXPECT_EQ(process.exit_status(), 1);
    EXPECT_EQ(process.times("this one fails"), 1) << process.said();
    EXPECT_EQ(process.times("ready\n"), 0);
  }
}

}  // namespace
}  // namespace rejoin::serve
