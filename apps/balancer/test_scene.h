// For tests: a balancer's worker, raw clients and raw servers on a simulated network. Both say bytes and keep
// bytes; what they mean is the test's business, so that they may be as bad as they like.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "apps/balancer/worker.h"
#include "apps/config/config.h"
#include "io/sim_network.h"
#include "watch/memory_sink.h"

namespace rejoin::balancer::test {

/// One raw connection, dialled or accepted. Reads all that comes unless told not to.
class RawEnd final : private io::SocketEvents {
 public:
  explicit RawEnd(io::Socket socket) : socket_(std::move(socket)) { socket_.set_events(this); }
  ~RawEnd() = default;

  void say(std::string_view bytes) {
    unsent_ += bytes;
    flush();
  }
  /// FIN, behind what was said so far.
  void say_fin() {
    fin_ = true;
    flush();
  }
  void reset() {
    socket_.reset();
    broken_ = true;
  }
  void stop_reading() { reading_ = false; }
  /// Of an accepted one: nobody is told of what came before there was an owner.
  void look() { read(); }

  const std::string& heard() const { return heard_; }
  bool hears(std::string_view text) const { return heard_.find(text) != std::string::npos; }
  bool over() const { return ended_ || broken_; }

 private:
  void on_ready(io::Ready ready) override {
    if (ready.writable) flush();
    if (ready.readable) read();
  }
  void flush() {
    while (!broken_ && !unsent_.empty() && socket_.may_write()) {
      const io::WriteResult written = socket_.write(unsent_);
      if (written.errnum != 0) {
        broken_ = true;
        return;
      }
      unsent_.erase(0, written.taken);
    }
    if (!broken_ && unsent_.empty() && socket_.may_write() && std::exchange(fin_, false))
      socket_.shutdown_write();
  }
  void read() {
    while (reading_ && !over() && socket_.may_read()) {
      const io::ReadResult read = socket_.read();
      switch (read.state) {
        case io::ReadResult::State::got: heard_ += read.view(); break;
        case io::ReadResult::State::would_block: return;
        case io::ReadResult::State::ended: ended_ = true; return;
        case io::ReadResult::State::failed: broken_ = true; return;
      }
    }
  }

  io::Socket socket_;
  std::string unsent_, heard_;
  bool reading_ = true, fin_ = false, ended_ = false, broken_ = false;
};

inline constexpr std::string_view kSceneConfig = R"(
[[listener]]
name = "web"
listen = "10.0.0.1:80"
pool = "play"
head_timeout = "2s"
idle_timeout = "5s"
tunnel_timeout = "20s"
health_path = "/lb-health"
[[listener]]
name = "raw"
listen = "10.0.0.1:81"
mode = "tcp"
pool = "raw"
tunnel_timeout = "20s"
[[pool]]
name = "play"
affinity = [ { kind = "ticket", owner_gone = "60s" }, { kind = "cookie-insert", name = "PIN" } ]
connect_timeout = "2s"
server = [ { name = "a", address = "10.0.2.1:8000" } ]
[[pool]]
name = "raw"
affinity = [ { kind = "ticket", owner_gone = "60s" } ]
connect_timeout = "2s"
server = [ { name = "a", address = "10.0.2.1:8000" } ]
)";

/// A balancer at 10.0.0.1 with a layer-7 listener "web" on port 80 and a layer-4 listener "raw" on port 81,
/// both before the server "a", which accepts what comes.
class Scene : private io::AcceptEvents {
 public:
  explicit Scene(std::uint64_t seed = 1, std::string_view text = kSceneConfig)
      : sim(seed),
        balancer(sim.add_host({.name = "balancer", .addresses = {"10.0.0.1"}})),
        server(sim.add_host({.name = "a", .addresses = {"10.0.2.1"}})),
        phone(sim.add_host({.name = "phone", .addresses = {"10.1.0.2"}})),
        key(route::generate_key(sim.random())),
        log(balancer.world().clock) {
    auto config = config::parse_config(std::string(text), "scene");
    EXPECT_TRUE(config) << (config ? "" : config.error().detail);
    SeededRandom random(seed);
    auto made = make_plan(*config, route::KeyRing(key), random);
    EXPECT_TRUE(made.ok());
    if (config->admin) door.listen = config->admin->listen;
    start_server();
    const Surroundings around{.access = &log, .admin = config->admin ? &door : nullptr};
    worker = std::make_unique<Worker>(balancer.world(), std::move(*made), 0, around);
    const Status open = worker->open({});
    EXPECT_TRUE(open.ok());
  }
  /// Ends all of it, and looks whether anything is left behind.
  virtual ~Scene() {
    worker->stop();
    EXPECT_TRUE(until([&] { return worker->idle(); }));
    worker.reset();
    listener_.reset();
    ends_.clear();
    served_.clear();
    sim.run_for(2s);
    EXPECT_EQ(sim.leftovers_text(), "");
  }

  void start_server() {
    auto listener = server.network().listen(server.address(8000), {}, *this);
    EXPECT_TRUE(listener.ok());
    listener_ = std::move(*listener);
  }
  /// Nobody listens there any more.
  void stop_server() { listener_.reset(); }

  RawEnd& client(std::uint16_t port = 80) {
    auto socket = phone.network().connect(balancer.address(port), {});
    EXPECT_TRUE(socket.ok());
    ends_.push_back(std::make_unique<RawEnd>(std::move(*socket)));
    return *ends_.back();
  }
  /// The latest connection that the server has accepted, once it has heard `text` on it.
  RawEnd& served(std::string_view text) {
    const bool heard = until([&] { return !served_.empty() && served_.back()->hears(text); });
    EXPECT_TRUE(heard) << "the server heard " << (served_.empty() ? "nobody" : served_.back()->heard());
    if (served_.empty()) std::abort();
    return *served_.back();
  }
  /// All that the server has accepted, in their order.
  const std::vector<std::unique_ptr<RawEnd>>& accepted() const { return served_; }
  route::Pool& pool(std::size_t i) { return worker->generation()->pools[i]->router.pool(); }
  bool until(const std::function<bool()>& done) { return sim.run_until(done); }

  /// What was logged so far, a line each.
  std::vector<watch::Json> records() {
    worker->access_log()->flush();
    return log.records();
  }
  /// Waits for so many records, which there are in the end.
  std::vector<watch::Json> records(std::size_t count) {
    EXPECT_TRUE(until([&] { return records().size() >= count; })) << log.lines;
    std::vector<watch::Json> out = records();
    EXPECT_EQ(out.size(), count) << log.lines;
    return out;
  }
  /// One request to the admin port: the whole answer.
  std::string ask(const std::string& method, const std::string& target, std::uint16_t port = 9090) {
    RawEnd& one = client(port);
    one.say(method + " " + target + " HTTP/1.1\r\nHost: 10.0.0.1\r\nConnection: close\r\n\r\n");
    EXPECT_TRUE(until([&] { return one.over(); }));
    return one.heard();
  }

  io::Simulation sim;
  io::SimHost& balancer;
  io::SimHost& server;
  io::SimHost& phone;
  route::Key key;
  watch::MemorySink log;
  watch::AdminDoor door;
  std::unique_ptr<Worker> worker;

 private:
  void on_accept(io::Socket socket, const Address&) override {
    served_.push_back(std::make_unique<RawEnd>(std::move(socket)));
    served_.back()->look();
  }

  std::unique_ptr<io::Listener> listener_;
  std::vector<std::unique_ptr<RawEnd>> ends_, served_;
};

}  // namespace rejoin::balancer::test
