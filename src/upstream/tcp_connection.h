// A game server that speaks messages behind a length, on TCP: what most game servers do. It runs unchanged,
// and sees one connection per player.
//
// Place: the end of the path. Owner: a session, by a GamePtr; its memory is a Connector's. Its worker's
// thread.
#pragma once

#include "proto/length_framing.h"
#include "proto/ws_message.h"
#include "upstream/dialled_connection.h"

namespace rejoin::upstream {

/// Header and payload as GameRules::length says; text and binary are the same here. In front of all may stand
/// a PROXY header. A FIN between two messages is the game server's orderly end; our own end is a FIN behind
/// the last message.
///
/// A message of the player that the length cannot say ends the connection: invalid, too_large, Side::client.
/// The configuration sees to it that none comes.
class TcpConnection final : public DialledConnection {
 public:
  TcpConnection(Connector& connector, GameEvents& events);
  void say(const Message& message) override;

 private:
  void prepare(const Player& player) override;
  bool connected() override { return opened({}); }
  bool take(MutableBytes& arrived) override;
  GameEnd fin_means(std::string& detail) const override;
  void save_reader(std::string& out) const override;
  bool restore_reader(Bytes from) override;
  bool ends_first() const override { return true; }
  void give_back() override;

  // Bytes on a 64-bit machine; DialledConnection before them has 192.
  proto::LengthReader reader_;         // 24
  proto::MessageAssembler assembler_;  // 16
};
static_assert(sizeof(TcpConnection) <= 256, "an idle connection is a record: look at what was added to it");

}  // namespace rejoin::upstream
