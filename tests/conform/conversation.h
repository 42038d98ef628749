// Plays spec/vectors/conversations.json against an implementation, and says where it does otherwise. The
// words of steps and deeds are spec/README.md's.
//
// Place: a test makes a Subject of its client or gateway (calculators, or the whole on a simulated network)
// and hands it to play(). What is compared and what is free is decided here, once for all of them.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "tests/conform/vectors.h"

namespace rejoin::conform {

/// What a Subject did in one step, in its order.
class Deeds {
 public:
  /// A frame that it sent, whole.
  void frame(unsigned link, Bytes bytes);
  void close(unsigned link, unsigned code);
  /// What its application hears (of a gateway: its operator): "opened", "resumed" with {"whole":, "to_come":}
  /// ...
  void told(const std::string& what, Json more = Json::object());
  void told_message(bool text, Bytes bytes);
  /// Of a gateway, towards the game server: "open", "close".
  void game(const std::string& what);
  void game_message(bool text, Bytes bytes);

  const std::vector<Json>& all() const { return all_; }

 private:
  std::vector<Json> all_;
};

/// A client or a gateway, made for one conversation from its `given`.
class Subject {
 public:
  virtual ~Subject() = default;
  /// Does what `step` says (its `do`), lets every timer fire that is due, and tells what came of it. `frame`
  /// is the frame's bytes where the step receives one. A Subject without timers of its own may take `dial` as
  /// the order to dial and pass over `hint`'s 2 s; one without a word for a step aborts.
  virtual void step(const Json& step, Bytes frame, Deeds& deeds) = 0;
};

/// "" when all went as the conversation says; else the step, what was expected and what was found.
std::string play(const Json& conversation, const proto::SessionSecret& secret, Subject& subject);

}  // namespace rejoin::conform
