// A million sessions in one gateway: bytes for each, attached and detached, and whether they are real ones.
//
//   bench_million [--sessions 1000000] [--resumes 1000]
//
// One worker of the gateway and its clients on the simulated network, in this process: 9,000 sockets of the
// kernel are all that a process may have on some machines, simulated ones cost memory alone. Bytes are
// malloc's (mallinfo2) and those that are mapped beside it: first of so many bare connections, which are the
// simulation's share, then so many sessions with their links, then the same sessions when every link is
// broken. At the end some of them, chosen evenly, are resumed: a figure of sessions that could not go on
// would be none.
#include <malloc.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apps/config/config.h"
#include "apps/gateway/plan.h"
#include "apps/gateway/worker.h"
#include "base/bytes.h"
#include "io/sim_network.h"
#include "proto/resume_frame.h"

namespace {

using namespace rejoin;

constexpr std::uint16_t kGatewayPort = 8001, kBarePort = 9001;
constexpr std::size_t kDialsAtOnce = 2000, kDialsPerAddress = 20'000;

[[noreturn]] void die(const std::string& why) {
  std::fprintf(stderr, "million: %s\n", why.c_str());
  std::exit(1);
}

/// What malloc() has given out, and memory beside it: RecordPool has its own from mmap().
std::size_t memory_bytes() {
  std::ifstream file("/proc/self/smaps_rollup");
  std::size_t anonymous = 0;
  for (std::string word; file >> word;) {
    if (word == "Anonymous:" && file >> anonymous) break;
  }
  anonymous *= 1024;
  const struct mallinfo2 all = mallinfo2();
  const std::size_t mallocs = all.arena + all.hblkhd;
  return all.uordblks + all.hblkhd + (anonymous > mallocs ? anonymous - mallocs : 0);
}

/// Says the same to each connection as the gateway has said to one, and keeps nothing of it: what such a
/// connection costs is the simulation's share.
class Bare final : public io::AcceptEvents {
 public:
  struct One final : io::SocketEvents {
    One(io::Socket from, const std::string& answer) : socket(std::move(from)), says(&answer) {
      socket.set_events(this);
      if (socket.may_read()) on_ready({.readable = true, .writable = false});
    }
    void on_ready(io::Ready ready) override {
      if (!ready.readable || !socket.read().got() || says == nullptr) return;
      if (socket.write(*says).taken != says->size()) die("an answer does not fit");
      says = nullptr;
    }
    io::Socket socket;
    const std::string* says;
  };
  void on_accept(io::Socket socket, const Address&) override { all.emplace_back(std::move(socket), answer); }

  std::string answer;
  std::deque<One> all;  // 32 bytes each, which are subtracted
};

/// What a client keeps to come back, of those that do.
struct Saved {
  std::string ticket;
  proto::SessionSecret secret{};
};

std::string behind_a_length(const std::string& frame) {
  std::string out(4, '\0');
  store_u32(out.data(), static_cast<std::uint32_t>(frame.size()));
  return out + frame;
}

/// One connection. Says its first frame, and reads one.
class Client final : private io::SocketEvents {
 public:
  void dial(io::SimHost& host, const Address& from, const Address& to, const std::string* says,
            Saved* saved = nullptr) {
    says_ = says;
    saved_ = saved;
    io::ConnectOptions options;
    options.bind = from;
    auto socket = host.network().connect(to, options);
    if (!socket) die(socket.error().detail);
    socket_ = std::move(*socket);
    socket_.set_events(this);
  }
  void break_off() { socket_.reset(); }
  /// All that it heard, from now on.
  void keep_to(std::string* heard) { heard_ = heard; }
  bool there() const { return there_; }
  bool resumed() const { return resumed_; }

 private:
  void on_ready(io::Ready ready) override {
    if (ready.writable && !said_) {
      if (!socket_.connect_status()) die("a client cannot connect");
      said_ = true;
      if (says_ == nullptr) {
        there_ = true;
      } else if (socket_.write(*says_).taken != says_->size()) {
        die("a first frame does not fit");
      }
    }
    if (!ready.readable) return;
    const io::ReadResult read = socket_.read();
    if (!read.got()) return;
    if (heard_ != nullptr) heard_->append(read.view());
    // The network of this run cuts nothing: whole frames.
    for (Bytes rest = read.view(); !rest.empty();) {
      const std::size_t bytes = rest.size() > 4 ? load_u32(rest.data()) : rest.size();
      const auto frame = proto::parse_frame(rest.substr(4, bytes));
      if (!frame || rest.size() < 4 + bytes) die("a frame cannot be read");
      rest.remove_prefix(4 + bytes);
      hear(*frame);
    }
  }

  void hear(const proto::FrameView& frame) {
    if (frame.head.is(proto::FrameType::data)) return acknowledge(frame.head.seq);  // the game's greeting
    there_ = frame.head.is(proto::FrameType::welcome) || frame.head.is(proto::FrameType::resumed);
    resumed_ = frame.head.is(proto::FrameType::resumed);
    if (!there_) {
      const auto detach = proto::parse_detach(frame.body);
      die("a client is refused: " +
          (detach ? std::string(detach->reason) : proto::frame_name(frame.head.type)));
    }
    if (resumed_) return;
    acknowledge(0);  // a session whose WELCOME is not answered is taken for one that nobody has
    if (saved_ == nullptr) return;
    const auto welcome = proto::parse_welcome(frame.body);
    if (!welcome) die("a WELCOME cannot be read");
    saved_->ticket = welcome->ticket;
    saved_->secret = welcome->secret;
  }

  void acknowledge(std::uint64_t seq) {
    std::string ack;
    proto::append_ack(ack, seq);
    ack = behind_a_length(ack);
    if (socket_.write(ack).taken != ack.size()) die("an ACK does not fit");
  }

  io::Socket socket_;
  const std::string* says_ = nullptr;
  Saved* saved_ = nullptr;
  std::string* heard_ = nullptr;
  bool said_ = false, there_ = false, resumed_ = false;
};

class Run {
 public:
  explicit Run(std::size_t sessions)
      : count_(sessions),
        sim_(1, {}),
        gateway_(
            sim_.add_host({.name = "g1", .addresses = {"10.0.0.1"}, .descriptors_max = sessions + 1000})),
        phones_(
            sim_.add_host({.name = "phones", .addresses = addresses(), .descriptors_max = sessions + 1000})) {
    config::Config config;
    config.gateway.emplace();
    config.gateway->name = "g1";
    config.gateway->session.grace = 100h;
    config.gateway->session.sessions_max = static_cast<int>(sessions + 1000);
    config.gateway->heartbeat = {1h, 3h};
    config::GatewayListener tcp;
    tcp.listen = gateway_.address(kGatewayPort);
    tcp.kind = config::GatewayListenerKind::tcp;
    tcp.protocol = config::LinkProtocol::rejoin;
    config.gateway->listeners = {tcp};
    SeededRandom random(1);
    auto made = gateway::make_plan(config, route::KeyRing(route::generate_key(random)), random);
    if (!made) die(made.error().detail);
    plan_ = std::make_unique<gateway::Plan>(std::move(*made));
    worker_ = std::make_unique<gateway::Worker>(gateway_.world(), *plan_);
    if (const Status open = worker_->open({}); !open) die(open.error().detail);
    auto listener = gateway_.network().listen(gateway_.address(kBarePort), {}, bare_);
    if (!listener) die(listener.error().detail);
    listener_ = std::move(*listener);
    proto::append_hello(hello_, {});
    hello_ = behind_a_length(hello_);
  }

  ~Run() {
    worker_->stop();
    sim_.run_until([this] { return worker_->idle(); });
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  /// Bytes of each connection that nobody serves: open, and what the simulation keeps of it when it is gone.
  std::pair<double, double> bare() {
    Client one;
    one.keep_to(&bare_.answer);
    one.dial(phones_, phone(0), gateway_.address(kGatewayPort), &hello_);
    settle();
    one.break_off();
    const double open = connect_all(kBarePort, &hello_, 0) - sizeof(Bare::One);
    break_all();
    bare_.all.clear();
    settle();
    return {open, each_of(memory_bytes())};
  }
  double attached(std::size_t to_save) {
    saved_.resize(to_save);
    const double each = connect_all(kGatewayPort, &hello_, to_save);
    if (worker_->sessions().size() != count_) die("not every session is there");
    return each;
  }
  double detached() {
    break_all();
    settle();
    if (worker_->sessions().size() != count_ || worker_->links() != 0) die("not every session is detached");
    return each_of(memory_bytes());
  }
  std::size_t resume() {
    std::vector<std::string> says(saved_.size());
    clients_.clear();
    clients_.resize(saved_.size());
    for (std::size_t i = 0; i < saved_.size(); ++i) {
      std::string frame;
      proto::Resume resume;
      resume.ticket = saved_[i].ticket;
      resume.received = 1;  // the greeting
      resume.epoch = 2;     // the login was the first
      proto::append_resume(frame, resume, saved_[i].secret);
      says[i] = behind_a_length(frame);
      clients_[i].dial(phones_, phone(i), gateway_.address(kGatewayPort), &says[i]);
    }
    std::size_t resumed = 0;
    settle();
    for (const Client& client : clients_) resumed += client.resumed();
    break_all();
    return resumed;
  }

 private:
  static std::vector<std::string> addresses() {
    std::vector<std::string> out;
    for (int i = 1; i <= 100; ++i) out.push_back("10.1.0." + std::to_string(i));
    return out;
  }
  Address phone(std::size_t i) const {
    return *Address::parse_ip("10.1.0." + std::to_string(1 + i / kDialsPerAddress % 100));
  }
  double each_of(std::size_t bytes) const {
    return (static_cast<double>(bytes) - static_cast<double>(before_)) / static_cast<double>(count_);
  }
  void settle() { sim_.run_for(5s); }

  double connect_all(std::uint16_t port, const std::string* says, std::size_t to_save) {
    clients_.clear();
    clients_.resize(count_);
    settle();
    before_ = memory_bytes();
    const std::size_t every = to_save == 0 ? count_ + 1 : count_ / to_save;
    for (std::size_t i = 0; i < count_; ++i) {
      const bool saves = to_save != 0 && i % every == 0 && i / every < to_save;
      clients_[i].dial(phones_, phone(i), gateway_.address(port), says, saves ? &saved_[i / every] : nullptr);
      if (i % kDialsAtOnce == kDialsAtOnce - 1) sim_.run_for(1s);
    }
    settle();
    for (const Client& client : clients_) {
      if (!client.there()) die("a client got no answer");
    }
    return each_of(memory_bytes());
  }
  void break_all() {
    std::size_t broken = 0;
    for (Client& client : clients_) {
      client.break_off();
      if (++broken % kDialsAtOnce == 0) sim_.run_for(1s);
    }
  }

  std::size_t count_;
  io::Simulation sim_;
  io::SimHost& gateway_;
  io::SimHost& phones_;
  std::unique_ptr<gateway::Plan> plan_;
  std::unique_ptr<gateway::Worker> worker_;
  Bare bare_;
  std::unique_ptr<io::Listener> listener_;
  std::string hello_;
  std::vector<Saved> saved_;
  std::vector<Client> clients_;
  std::size_t before_ = 0;
};

std::size_t option(int argc, char** argv, const char* name, std::size_t otherwise) {
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], name) == 0) return std::strtoul(argv[i + 1], nullptr, 10);
  }
  return otherwise;
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t sessions = option(argc, argv, "--sessions", 1'000'000);
  const std::size_t resumes = option(argc, argv, "--resumes", 1000);
  if (sessions == 0 || resumes > sessions) die("--sessions N --resumes M, M at most N");
  auto run = std::make_unique<Run>(sessions);
  const auto [bare_open, bare_gone] = run->bare();
  run = std::make_unique<Run>(sessions);
  const double attached = run->attached(resumes) - bare_open;
  const double detached = run->detached() - bare_gone;
  const std::size_t resumed = run->resume();
  std::printf(
      "{\"sessions\":%zu,\"simulation_bytes\":%.0f,\"attached_bytes\":%.0f,\"detached_bytes\":%.0f,"
      "\"resumed\":%zu,\"of\":%zu}\n",
      sessions, bare_open, attached, detached, resumed, resumes);
  std::fflush(stdout);
  std::_Exit(resumed == resumes ? 0 : 1);  // a million sessions need not be ended one by one
}
