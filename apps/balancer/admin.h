// The balancer's answers on its admin port: pools, servers, listeners, connections, metrics, health.
// docs/admin.md has the list, docs/openapi.json says it to programs, and a test holds the three together.
//
// Place: beside the path. Lives in worker 0, which has the listener; the others are asked by a serve::Survey,
// so nothing is shared. A worker that does not answer in time (it is stopping) makes the reply a 503.
//
// Here is what looks. What changes something at run time (drain, weight, reload, ...) is an Operator's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/balancer/admin_question.h"
#include "apps/serve/survey.h"
#include "apps/serve/workers.h"
#include "base/scope.h"
#include "watch/admin_server.h"

namespace rejoin::balancer {

class Worker;

/// Tunnels in one list: when the question does not say, and at the most. A list is written in one turn of the
/// loop, so a long one is felt by players.
inline constexpr std::size_t kListedTunnels = 100, kListedTunnelsMax = 1000;

/// Changes the running program, as operators ask: the admin port's POST, PUT, PATCH, and DELETE of what is no
/// connection.
class Operator {
 public:
  /// "POST /reload", "PUT /pools/{pool}/servers/{server}", ...: GET / tells them.
  virtual std::vector<std::string> routes() const = 0;
  /// Nothing: there is no such route, and nothing was done.
  virtual Task<std::optional<watch::AdminReply>> operate(watch::AdminRequest request) = 0;

 protected:
  ~Operator() = default;
};

class Admin final : private watch::AdminHandler {
 public:
  /// Of worker 0. All outlive it; without `colleagues` the worker is alone, without an `oper` nothing can be
  /// changed.
  Admin(Worker& worker, serve::Colleagues* colleagues, Operator* oper = nullptr);
  ~Admin();
  Admin(const Admin&) = delete;
  Admin& operator=(const Admin&) = delete;

  Status open(const watch::AdminDoor& door) { return server_.open(door); }
  Address address() const { return server_.address(); }
  /// Ends every connection; idle() follows.
  void close();
  bool closed() const { return stop_.requested(); }
  bool idle() const { return server_.idle(); }

 private:
  struct Route;
  static const std::vector<Route>& routes();
  using AllWorkers = serve::Survey<Worker, Question, Answer>;
  using Asked = const watch::AdminRequest&;  // lives as long as the task that it is handed to

  Task<watch::AdminReply> answer(watch::AdminRequest request) override;
  Task<watch::AdminReply> overview(Asked request);
  Task<watch::AdminReply> pools(Asked request);
  Task<watch::AdminReply> one_pool(Asked request);
  Task<watch::AdminReply> servers(Asked request);
  Task<watch::AdminReply> listeners(Asked request);
  Task<watch::AdminReply> connections(Asked request);
  Task<watch::AdminReply> one_connection(Asked request);
  Task<watch::AdminReply> metrics(Asked request);
  Task<watch::AdminReply> health(Asked request);
  Task<watch::AdminReply> readiness(Asked request);
  Task<watch::AdminReply> version(Asked request);
  /// Nothing: one of the workers did not answer.
  Task<std::optional<Answer>> numbers();

  Worker& worker_;
  Operator* operator_;
  TimePoint opened_;
  Stop stop_;
  AllWorkers survey_;
  watch::AdminServer server_;
};

/// May clients come for this pool: we do not drain, and it has a server for new ones.
bool is_ready(Worker& worker, const route::Pool& pool);

}  // namespace rejoin::balancer
