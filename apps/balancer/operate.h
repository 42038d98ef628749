// What changes the balancer while it runs: the file read again (SIGHUP, POST /reload), servers drained,
// weighed, added and removed (the admin port's POST, PUT and DELETE).
//
// One change at a time, in the order in which they came; each becomes a Plan that all workers go over to
// (rollout.h), or is refused and changes nothing. Beside the path.
//
// Owner: worker 0; its thread. The file is read on a thread of its own, since a disk may take its time.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "apps/balancer/admin.h"
#include "apps/balancer/bequest.h"
#include "apps/balancer/discovery.h"
#include "apps/balancer/rollout.h"
#include "apps/balancer/runtime_servers.h"
#include "apps/balancer/what_changed.h"
#include "apps/config/config.h"
#include "apps/serve/workers.h"
#include "base/scope.h"
#include "base/task.h"
#include "upstream/names.h"
#include "watch/admin_server.h"

namespace rejoin::balancer {

class Worker;

/// For reading the configuration and its keys.
inline constexpr std::chrono::seconds kReadFileS{30};

class Operations final : public Operator {
 public:
  struct Start {
    config::Config file;  // as it was read from file.file; `worker` serves by it, and by `known`
    KnownNames known = {};
    std::function<std::unique_ptr<upstream::Names>(Stop&)> names = {};  // who answers names; empty: nobody
    // What was said to the process before us and holds on.
    RuntimeServers runtime = {};
    DrainEnds drain_ends = {};
  };
  /// `worker` is worker 0. Without `colleagues` it is alone (a simulation), and files are read in place. Both
  /// outlive it.
  Operations(Worker& worker, serve::Colleagues* colleagues, Start start);
  /// idle() by then, or never begun.
  ~Operations();
  Operations(const Operations&) = delete;
  Operations& operator=(const Operations&) = delete;

  /// The worker serves: names are asked for again from now on, and drains have their ends.
  void begin();
  /// Reads the file again, and goes by it. What was changed, or why nothing was, goes to the log; `done` is
  /// called then.
  void hang_up(std::function<void()> done);
  /// WorkerProgram::bequeath() and next_failed(): words about servers are refused in between, and one that
  /// was taken is in what is left. `then` is called on a later turn.
  void bequeath(std::function<void(serve::WorkerProgram::LegacyMaker)> then);
  void next_failed() { hands_over_ = false; }
  /// Ends what waits; idle() follows within some turns.
  void stop();
  bool idle() const { return tasks_.running() == 0 && discovery_.idle(); }

  /// "POST /reload", "PUT /pools/{pool}/servers/{server}", ...: what operate() knows.
  std::vector<std::string> routes() const override;
  /// Nothing: there is no such route, and nothing was done.
  Task<std::optional<watch::AdminReply>> operate(watch::AdminRequest request) override;

  struct Outcome {
    std::vector<std::string> wrong;  // why nothing has changed; empty: it worked
    WhatChanged changed;
  };
  /// The same as hang_up(), to be waited for.
  Task<Outcome> reload();

  /// For the colleagues' answers.
  Rollout& rollout() { return rollout_; }

 private:
  /// One change's turn: the next one begins when it goes.
  class Turn {
   public:
    explicit Turn(Operations& of) : of_(of) {}
    ~Turn() {
      of_.busy_ = false;
      if (!of_.queue_.empty()) of_.queue_.front()->wake();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    Operations& of_;
  };
  struct FileReading;
  struct Target;

  Task<Status> wait_for_turn();
  Task<void> reload_then(std::function<void()> done);
  Task<std::shared_ptr<FileReading>> read_file();
  /// Goes by what the file and the operators say now. Says what changed, in the log as well.
  /// Which certificates are read: all, or those of listeners and pools that are new.
  enum class Certificates : std::uint8_t { new_ones, all };
  Task<Outcome> go_by(config::Config file, RuntimeServers runtime, route::KeyRing keys,
                      Certificates certificates = Certificates::new_ones);
  void follow_names();
  Task<void> names_changed();
  void tell(const WhatChanged& changed, const Plan& before);

  Task<void> bequeath_then(std::function<void(serve::WorkerProgram::LegacyMaker)> then);
  std::optional<watch::AdminReply> refused_while_handing_over() const;
  std::optional<watch::AdminReply> find(const watch::AdminRequest& request, Target& out);
  Task<watch::AdminReply> order(watch::AdminRequest request, Target target, route::ServerOrder order);
  Task<watch::AdminReply> put_server(watch::AdminRequest request, Target target);
  Task<watch::AdminReply> remove_server(watch::AdminRequest request, Target target);
  bool is_found_by_name(const Target& target) const;
  Task<watch::AdminReply> change_servers(RuntimeServers runtime, Target target, int status);
  void end_drain_at(route::ServerRef server, const DrainEnd& end);
  Task<void> end_drain(route::ServerRef server, DrainEnd end, std::uint64_t number);
  void close_connections(const route::ServerRef& server);
  void look_for_room();
  watch::AdminReply state_of(const Target& target, int status);

  Worker& worker_;
  serve::Colleagues* colleagues_;
  config::Config started_with_;  // what a running process cannot change goes by it
  config::Config file_;          // as it was read last
  RuntimeServers runtime_;
  Stop stop_;
  std::unique_ptr<upstream::Names> names_;
  Discovery discovery_;
  bool names_wait_ = false;  // a change of theirs waits for its turn
  Rollout rollout_;
  std::deque<Waiter*> queue_;  // who waits for a turn
  bool busy_ = false;
  std::thread reader_;
  std::shared_ptr<FileReading> read_;
  Waiter reading_;
  struct DrainOrder {
    std::uint64_t number;
    DrainEnd end;
  };
  std::map<std::string, DrainOrder> orders_;  // per server whose drain has an end ahead
  std::uint64_t last_order_ = 0;
  bool hands_over_ = false;         // a next process is to serve, or does
  DrainEnds inherited_drain_ends_;  // until begin()
  Scope tasks_;
};

}  // namespace rejoin::balancer
