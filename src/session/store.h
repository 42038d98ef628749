// Where sessions are known beyond the worker that has them: an interface that answers later, so that a store
// on the network can stand behind it.
//
// A session lives in the memory of one worker of its owner (apps/gateway/session_table.h), whatever the store
// is. The store is told of beginnings and ends, and is asked for sessions that the worker does not have. A
// store that a fleet shares also keeps what save() gives it, so that another gateway can go on.
//
// Used by: apps/gateway. Each worker has one of its own, on its thread; it outlives its tasks.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "proto/resume_frame.h"
#include "route/ticket.h"

namespace rejoin::session {

/// How a session ended, and the secret of who may be told so. 40 bytes.
struct SessionEnd {
  proto::SessionSecret secret{};
  std::uint16_t code = 0;
};

/// With what somebody comes for a session that is not here.
struct Claim {
  std::uint32_t epoch = 0;  // of the RESUME; 0: a plain client, with its cookie
  /// The RESUME's whole frame. A store that would have to take the session from a link that lives asks the
  /// one who has it to look at the proof first: nothing that is not proved touches a live link.
  std::string resume;
};

/// What a store knows of a session that its asker does not have.
struct Known {
  enum class State : std::uint8_t {
    unknown,    // never heard of, or long forgotten. Or the asker has it by now: look again
    ended,      // `end` says how
    elsewhere,  // `owner`, another gateway, has it now
    ours,  // it was saved, and nobody has it: `saved` is what Session::restore() takes. It is the asker's
           // from now on, and nobody else's
    not_proved,  // somebody has it, and the claim does not hold
    epoch_used,  // somebody has it, and `epoch` is not below the claim's
  };
  State state = State::unknown;
  SessionEnd end;
  std::string owner;
  std::string saved;
  std::uint32_t epoch = 0;
};

class SessionStore {
 public:
  virtual ~SessionStore() = default;

  /// Can another gateway go on with a session that was saved here? Decides whether a drain says `move`.
  virtual bool shared() const = 0;

  /// Before WELCOME: the session is ours. Error: the store cannot be reached; the client is told to come
  /// again.
  virtual Task<Status> begin(route::SessionId id) = 0;
  /// Asks, and claims a session that was saved and that nobody has. Of two claims the one of the higher epoch
  /// wins, whichever comes first.
  virtual Task<Result<Known>> find(route::SessionId id, Claim claim) = 0;
  /// The session is given up by us: another gateway may have it (Session::save()).
  virtual Task<Status> save(route::SessionId id, std::string saved) = 0;
  /// It has ended; `keep` is for how long find() shall say so. Nobody waits for it.
  virtual void end(const route::SessionId& id, const SessionEnd& how, Duration keep) = 0;
};

}  // namespace rejoin::session
