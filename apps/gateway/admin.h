// The gateway's answers on its admin port: sessions seen and ended, drains, metrics. docs/admin.md has the
// list.
//
// Place: beside the path. Lives in worker 0, which has the listener; the other workers are asked through
// serve::Colleagues and answer the same way, so nothing is shared. A worker that does not answer within
// kAdminAskS (it is stopping) makes the reply a 503.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "apps/gateway/admin_question.h"
#include "apps/serve/workers.h"
#include "base/scope.h"
#include "watch/admin_server.h"

namespace rejoin::gateway {

class Worker;

/// For the answers of all workers.
inline constexpr std::chrono::seconds kAdminAskS{5};
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

  Status open(const Address& at) { return server_.open(at); }
  Address address() const { return server_.address(); }
  /// Ends every connection; idle() follows.
  void close();
  bool idle() const { return server_.idle(); }

  /// A colleague's answer to question `number`.
  void answered(std::uint64_t number, Answer answer);

 private:
  struct Asking;
  Task<watch::AdminReply> answer(watch::AdminRequest request) override;
  Task<watch::AdminReply> list(watch::AdminRequest request);
  Task<watch::AdminReply> one_session(watch::AdminRequest request);
  Task<watch::AdminReply> drain(watch::AdminRequest request);
  Task<watch::AdminReply> undrain();
  Task<watch::AdminReply> upgrade(watch::AdminRequest request);
  Task<watch::AdminReply> metrics();
  /// Asks every worker, or (`only`) one. Nothing: one of them did not answer in time.
  Task<std::optional<Answer>> ask(Question question, std::optional<unsigned> only);
  void ask_colleague(unsigned number, std::uint64_t question_number, const Question& question);
  unsigned workers() const;

  Worker& worker_;
  serve::Colleagues* colleagues_;
  Stop stop_;
  std::map<std::uint64_t, Asking*> asking_;
  std::uint64_t asked_ = 0;
  watch::AdminServer server_;
};

}  // namespace rejoin::gateway
