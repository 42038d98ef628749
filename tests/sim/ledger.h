// The account of what players and game servers said to each other and what of it came. Both ends number their
// messages from 1 in each session and write down here what they hear; what does not fit is `wrong`.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace rejoin::sim_test {

/// One session as a player knows it: from "open" to "lost" or "ended".
struct Account {
  std::string name;  // "3.1": the first session of player 3
  TimePoint opened{}, ended{};
  std::uint64_t player_said = 0, game_heard = 0;
  std::uint64_t game_said = 0, player_heard = 0;
  std::uint64_t connection = 0;       // the game server's, as it knows it; 0: it has not heard of this player
  std::uint64_t seen_connection = 0;  // the same, as the player was told
  // Why numbers may leap: the player's program was started again and does not remember.
  int leaps_up = 0;  // so often
  bool down_may_leap = false;
  // Why it may end.
  bool closed = false;      // the player's wish
  bool game_gone = false;   // the game server broke the connection
  bool flooded = false;     // the game server said more than is bearable
  bool owner_gone = false;  // its gateway was killed
  bool over = false;
  std::uint16_t end_code = 0;

  bool settled() const { return player_said == game_heard && game_said == player_heard; }
};

struct Ledger {
  std::map<std::string, Account> accounts;  // never move
  std::vector<std::string> wrong;           // the first few

  void complain(const std::string& what) {
    if (wrong.size() < 8) wrong.push_back(what);
  }
  std::string text() const {
    std::string out;
    for (const std::string& line : wrong) out += line + "\n";
    return out;
  }
  /// Message `number` came; `heard` is what came before it.
  void take(std::string_view where, std::uint64_t number, std::uint64_t& heard) {
    if (number != heard + 1) {
      complain(std::string(where) + ": message " + std::to_string(number) + " came behind " +
               std::to_string(heard));
    }
    heard = number;
  }
};

/// "NAME NUMBER xxxx": at least `bytes` of them, when that is more.
inline std::string numbered(std::string_view name, std::uint64_t number, std::size_t bytes) {
  std::string out = std::string(name) + ' ' + std::to_string(number) + ' ';
  if (out.size() < bytes) out.append(bytes - out.size(), 'x');
  return out;
}
struct Numbered {
  std::string name;
  std::uint64_t number = 0;  // 0: not of this form
};
inline Numbered read_numbered(std::string_view message) {
  const std::size_t first = message.find(' ');
  if (first == message.npos) return {};
  Numbered out{std::string(message.substr(0, first)), 0};
  for (const char digit : message.substr(first + 1)) {
    if (digit < '0' || digit > '9') return digit == ' ' ? out : Numbered{};
    out.number = out.number * 10 + static_cast<std::uint64_t>(digit - '0');
  }
  return {};
}

}  // namespace rejoin::sim_test
