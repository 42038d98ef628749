#include "upstream/game_connection.h"

namespace rejoin::upstream {

std::string_view to_string(GameEnd end) {
  switch (end) {
    case GameEnd::finished: return "finished";
    case GameEnd::refused: return "refused";
    case GameEnd::broken: return "broken";
    case GameEnd::invalid: return "invalid";
    case GameEnd::stopped: return "stopped";
  }
  return "?";
}

}  // namespace rejoin::upstream
