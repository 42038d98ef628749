// The sessions of the process before this one arrive: the new process's side of an upgrade. departure.h is
// the old one's, move_frame.h what they say.
//
// A session store: it answers for sessions that are still over there by fetching them. They arrive by
// themselves, too, as the other process lets go of them.
//
// Owner: a worker; its thread. It outlives the worker's tasks.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "apps/gateway/move_frame.h"
#include "base/scope.h"
#include "io/passing.h"
#include "session/store.h"

namespace rejoin::gateway {

class Worker;

/// For the other process's answer; then the client is told to come again.
inline constexpr std::chrono::seconds kMoveAskS{10};

class Arrivals final : public session::SessionStore, private io::PassEvents {
 public:
  /// `worker` outlives it.
  Arrivals(Worker& worker, std::unique_ptr<io::PassChannel> channel);
  ~Arrivals() override;

  /// This worker has its listeners: sessions may come.
  void ready();
  /// Is there more to come?
  bool coming() const { return coming_; }

  // --- session::SessionStore ---
  bool shared() const override { return false; }
  Task<Status> begin(route::SessionId id) override;
  /// `unknown` also when the session came while it was asked for: look again.
  Task<Result<session::Known>> find(route::SessionId id, session::Claim claim) override;
  Task<Status> save(route::SessionId id, std::string saved) override;
  void end(const route::SessionId& id, const session::SessionEnd& how, Duration keep) override;

 private:
  struct Offer {
    route::SessionId id;
    std::string parcel;
    io::LooseSocket socket;
  };
  /// Somebody who waits for a session.
  struct Asking {
    Asking(Worker& worker, const route::SessionId& of);
    route::SessionId id;
    Waiter waiter;
    std::optional<Result<session::Known>> answer;
  };
  void on_passed(Bytes message, io::LooseSocket with) override;
  void on_channel_end() override;

  void on_offer(const MoveFrame& frame, io::LooseSocket with);
  std::string what_is_against(const MoveFrame& frame);
  void go_on(Offer& offer);
  void on_not_here(const MoveFrame& frame);
  void answer(const route::SessionId& id, const Result<session::Known>& known);
  void nothing_more_comes();
  void say(const MoveFrame& frame);

  Worker& worker_;
  std::unique_ptr<io::PassChannel> channel_;
  std::map<std::uint32_t, Offer> offers_;  // by serial
  std::list<Asking*> asking_;
  bool coming_ = true;
};

}  // namespace rejoin::gateway
