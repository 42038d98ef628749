// All workers of a process: a seat for each, with its loop, its chance and its program; and what they say to
// each other.
//
// With descriptors = "per_worker" each worker but the first has a table of descriptors of its own
// (io/own_table.h): the first one is the main thread, whose table the process's other threads share (the
// access log's, those that read files). A descriptor then means nothing to another worker; what goes from one
// to another goes by io::DescriptorCarrier. All loops are made before the threads, so that the descriptors by
// which they are woken have the same numbers everywhere.
//
// Owner: run_workers, on the main thread and its loop, which is worker 0's.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "apps/serve/inheritance.h"
#include "apps/serve/upgrade.h"
#include "apps/serve/workers.h"
#include "base/random.h"
#include "base/timers.h"
#include "io/descriptor_carrier.h"
#include "io/make_loop.h"

namespace rejoin::serve {

/// How far the end of a worker has come. Only grows.
enum class Phase : std::uint8_t { serving, retiring, draining, stopping };

/// One worker: its loop, its chance, its program. Made and destroyed by the main thread; open(), turn() and
/// advance() are called on the worker's own thread alone.
class Seat {
 public:
  Seat(unsigned number, Log& log, Duration drain_time)
      : log_(log), drain_time_(drain_time), number_(number) {}

  /// On the main thread, for all before any serves: colleagues post to each other's loops.
  Status make_loop(const io::LoopKind& kind);
  /// `channel` to the worker of the same number in the process before us; -1: there is none.
  Status open(const WorkerFactory& factory, const std::vector<Address>& at, int channel,
              Colleagues& colleagues, Bytes legacy = {});
  /// One turn of the loop, which goes on turning when the program has ended (for worker 0, who has the
  /// signals).
  void turn();
  bool ended() const { return program_ == nullptr; }
  /// `time` is for retiring and draining.
  void advance(Phase to, Duration time);
  /// Its sessions go to the next process, by this channel, which is its own.
  void hand_on(int channel);

  /// Any thread, once open() has come back: the loop lives as long as the seat, also after its thread has
  /// ended.
  void order(Phase to, Duration time = {}) {
    loop_->post([this, to, time] { advance(to, time); });
  }
  io::KernelLoop& loop() { return *loop_; }
  unsigned number() const { return number_; }
  // On its own thread.
  std::vector<Address> addresses() const { return program_->addresses(); }
  WorkerProgram* program() { return program_.get(); }

 private:
  void on_deadline();
  void close();

  Log& log_;
  SystemRandom random_;
  std::unique_ptr<io::KernelLoop> loop_;
  std::optional<io::World> world_;
  std::optional<Timer> deadline_;  // of the phase
  std::unique_ptr<WorkerProgram> program_;
  Duration drain_time_;
  unsigned number_;
  Phase phase_ = Phase::serving;
};

class Crew final : public Colleagues {
 public:
  Crew(const WorkersOptions& options, Log& log);
  ~Crew() override;
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  Status make_loops(const io::LoopKind& kind);
  std::vector<io::KernelLoop*> loops();
  /// From open() on, each has a table of its own. After make_loops(). Error: exhausted.
  Status separate_tables();
  Status open(const WorkerFactory& factory, Inheritance& inheritance);
  /// Inherited listening sockets that no worker wanted; the caller's, in its table. Once, after open().
  std::vector<int> not_taken();

  void end(Phase how, Duration time = {});
  /// Until every worker that was opened has ended, which end() begins.
  void run();
  Seat& main() { return *seats_.front(); }

  using Sockets = std::vector<Upgrade::Given>;
  /// Asks all workers for their listening sockets, and whether a next process may begin; calls `then` with
  /// the answers on the main thread.
  void gather_listening(std::function<void(const Sockets&, const Status& may)> then);
  /// The new process has them, but for `left`.
  void leave(const Sockets& sockets, const std::vector<int>& left);
  /// One channel for each worker, which are theirs now.
  void hand_on(const std::vector<int>& channels);
  void on_upgrade(std::function<void()> begin) { begin_upgrade_ = std::move(begin); }
  void on_reload(std::function<void()> pass_on) { pass_reload_on_ = std::move(pass_on); }

  // --- Colleagues ---
  unsigned count() const override { return static_cast<unsigned>(seats_.size()); }
  void ask(unsigned worker, std::function<void(WorkerProgram&)> work) override;
  void hand_over(unsigned worker, io::Socket socket,
                 std::function<void(WorkerProgram&, io::Socket)> work) override;
  io::KernelLoop* loop_of(unsigned worker) override { return &seats_[worker]->loop(); }
  std::vector<pid_t> own_tables() const override { return own_tables_; }
  void upgrade() override;
  void has_reloaded() override {
    if (pass_reload_on_) pass_reload_on_();
  }

 private:
  /// What a worker's thread says once it has opened.
  struct Opened {
    Status status;
    std::vector<int> not_taken;  // numbers in the main thread's table
    pid_t thread = 0;
  };
  struct Gathering;

  Opened open_on_thread(Seat& seat, const WorkerFactory& factory, const std::vector<Address>& at,
                        int channel);
  void forget(const std::vector<int>& of_others);
  void work(Seat& seat);
  void answer(Seat& seat, const std::shared_ptr<Gathering>& all);
  unsigned worker_of(const io::KernelLoop* loop) const;

  Log& log_;
  std::function<void()> begin_upgrade_, pass_reload_on_;
  std::vector<std::unique_ptr<Seat>> seats_;
  std::unique_ptr<io::DescriptorCarrier> carrier_;  // nullptr: one table
  std::vector<Seat*> opened_;
  std::vector<std::thread> threads_;
  // Touched by the main thread only.
  std::vector<int> not_taken_;
  std::vector<pid_t> own_tables_;  // threads that have one
  std::size_t others_ = 0;         // workers on other threads that have not ended
};

}  // namespace rejoin::serve
