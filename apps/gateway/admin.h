// The gateway's answers on its admin port: sessions seen and ended, drains, metrics. docs/admin.md has the
// list.
//
// Place: beside the path. Lives in worker 0, which has the listener; the others are asked by a serve::Survey,
// so nothing is shared. A worker that does not answer in time (it is stopping) makes the reply a 503.
#pragma once

#include <optional>
#include <string>

#include "apps/gateway/admin_question.h"
#include "apps/serve/survey.h"
#include "apps/serve/workers.h"
#include "base/scope.h"
#include "watch/admin_server.h"

namespace rejoin::gateway {

class Worker;

/// Sessions in one list: when the question does not say, and at the most. A list is written in one turn of
/// the loop, so a long one is felt by players.
inline constexpr std::size_t kListedSessions = 100, kListedSessionsMax = 1000;

class Admin final : private watch::AdminHandler {
 public:
  /// Of worker 0. Both outlive it; without `colleagues` the worker is alone.
  Admin(Worker& worker, serve::Colleagues* colleagues);
  ~Admin();
  Admin(const Admin&) = delete;
  Admin& operator=(const Admin&) = delete;

  Status open(const watch::AdminDoor& door) { return server_.open(door); }
  Address address() const { return server_.address(); }
  /// Ends every connection; idle() follows.
  void close();
  bool idle() const { return server_.idle(); }

 private:
  using AllWorkers = serve::Survey<Worker, Question, Answer>;
  Task<watch::AdminReply> answer(watch::AdminRequest request) override;
  static std::optional<watch::AdminReply> unwanted(const watch::AdminRequest& request);
  Task<watch::AdminReply> overview();
  watch::AdminReply health() const;
  watch::AdminReply readiness() const;
  watch::AdminReply version() const;
  Task<watch::AdminReply> list(watch::AdminRequest request);
  Task<watch::AdminReply> one_session(watch::AdminRequest request);
  Task<watch::AdminReply> drain(watch::AdminRequest request);
  Task<watch::AdminReply> undrain();
  Task<watch::AdminReply> upgrade(watch::AdminRequest request);
  Task<watch::AdminReply> metrics();

  Worker& worker_;
  serve::Colleagues* const colleagues_;
  TimePoint opened_;
  Stop stop_;
  AllWorkers survey_;
  watch::AdminServer server_;
};

}  // namespace rejoin::gateway
