// The two hosts of the contract tests (network_contract.h): simulated ones, and the kernel's loopback. Shared
// by the tests of the networks and of what lies over them.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "io/epoll_loop.h"
#include "io/network_contract.h"
#include "io/sim_network.h"

namespace rejoin::io {

/// On a simulation of their own.
class SimHosts final : public TwoHosts {
 public:
  explicit SimHosts(std::uint64_t seed = 1, const Faults& faults = {}, HostOptions buffers = {})
      : sim_(seed) {
    HostOptions server = buffers, client = buffers;
    server.name = "server";
    server.addresses = {"10.0.0.1"};
    client.name = "client";
    client.addresses = {"10.0.0.2", "10.0.0.3"};
    server_ = &sim_.add_host(server);
    client_ = &sim_.add_host(client);
    sim_.set_faults(faults);
  }
  ~SimHosts() override { EXPECT_EQ(sim_.leftovers_text(), "") << "seed " << sim_.seed(); }

  Network& server() override { return server_->network(); }
  Network& client() override { return client_->network(); }
  World& server_world() { return server_->world(); }
  World& client_world() { return client_->world(); }
  Address listen_address() override { return server_->address(); }
  Address client_address(int n) override { return *Address::parse_ip(n == 0 ? "10.0.0.2" : "10.0.0.3"); }
  Address nobody() override { return server_->address(9); }
  bool run_until(const std::function<bool()>& done) override { return sim_.run_until(done); }
  void settle() override { sim_.run_for(300ms); }
  void let_kernels_work() override {
    server_->pause();
    client_->pause();
    sim_.run_for(100ms);
    server_->resume();
    client_->resume();
  }
  bool leave_descriptors(std::size_t count) override {
    server_->set_descriptors_max(server_->open_sockets() + 1 + count);  // 1: the listener
    return true;
  }
  void give_back_descriptors() override { server_->set_descriptors_max(1000); }

 private:
  Simulation sim_;
  SimHost* server_;
  SimHost* client_;
};

/// Tiny buffers, slow loops, and every fault that a correct program does not notice.
inline HostOptions rough_buffers(std::uint64_t seed) {
  return {.send_buffer_bytes = 700 + 50 * seed, .receive_buffer_bytes = 900, .turn_delay_max = 3ms};
}

using LoopMaker = std::unique_ptr<KernelLoop> (*)(Log&);
inline std::unique_ptr<KernelLoop> make_epoll(Log& log) { return std::move(*EpollLoop::make(log)); }

/// A loop without threads: tests turn it.
struct Loop {
  explicit Loop(LoopMaker make = make_epoll) : kernel(make(log)) {}
  NullLog log;
  std::unique_ptr<KernelLoop> kernel;

  bool run_until(const std::function<bool()>& done, Duration at_most = 5s) {
    const TimePoint deadline = SystemClock().now() + at_most;
    while (!done()) {
      if (SystemClock().now() > deadline) return false;
      kernel->turn(2ms);
    }
    return true;
  }
};

inline Address loopback(std::string_view ip, std::uint16_t port = 0) { return *Address::parse_ip(ip, port); }

/// Both on one loop of the kernel.
class LoopbackHosts final : public TwoHosts {
 public:
  explicit LoopbackHosts(LoopMaker make = make_epoll) : loop_(make) {}
  Network& server() override { return *loop_.kernel; }
  Network& client() override { return *loop_.kernel; }
  World& server_world() { return world_; }
  World& client_world() { return world_; }
  Address listen_address() override { return loopback("127.0.0.1"); }
  Address client_address(int n) override { return loopback(n == 0 ? "127.0.0.5" : "127.0.0.6"); }
  Address nobody() override { return loopback("127.9.9.9", 9); }
  bool run_until(const std::function<bool()>& done) override { return loop_.run_until(done); }
  void turn(Duration wait_max) { loop_.kernel->turn(wait_max); }
  void settle() override {
    for (int quiet = 0; quiet < 30; ++quiet) loop_.kernel->turn(1ms);
  }
  // What is written to a loopback socket is in the other's queue when the call returns; closing may need a
  // soft interrupt.
  void let_kernels_work() override {
    for (int i = 0; i < 1000; ++i) sched_yield();
  }
  // The limit is on a descriptor's number, and the lowest free one is given next.
  bool leave_descriptors(std::size_t count) override {
    std::vector<int> next;
    for (std::size_t i = 0; i <= count; ++i) next.push_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
    for (const int descriptor : next) close(descriptor);
    if (next.back() < 0 || getrlimit(RLIMIT_NOFILE, &before_) != 0) return false;
    rlimit tight = before_;
    tight.rlim_cur = static_cast<rlim_t>(next.back());
    return setrlimit(RLIMIT_NOFILE, &tight) == 0;
  }
  void give_back_descriptors() override { setrlimit(RLIMIT_NOFILE, &before_); }
  ~LoopbackHosts() override {
    if (before_.rlim_cur != 0) give_back_descriptors();
  }

 private:
  Loop loop_;
  SeededRandom random_{1};
  World world_ = loop_.kernel->world(random_, loop_.log);
  rlimit before_{};
};

}  // namespace rejoin::io
