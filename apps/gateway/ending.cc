#include "apps/gateway/ending.h"

#include "proto/resume_frame.h"

namespace rejoin::gateway {

std::string_view to_string(LinkEnd end) {
  switch (end) {
    case LinkEnd::finished: return "finished";
    case LinkEnd::refused: return "refused";
    case LinkEnd::dismissed: return "dismissed";
    case LinkEnd::abandoned: return "abandoned";
    case LinkEnd::broken: return "broken";
    case LinkEnd::stalled: return "stalled";
    case LinkEnd::silent: return "silent";
    case LinkEnd::cancelled: return "cancelled";
    case LinkEnd::moved: return "moved";
  }
  return "?";
}

Side side_of(LinkEnd end) {
  const bool ours = end == LinkEnd::dismissed || end == LinkEnd::cancelled || end == LinkEnd::moved;
  return ours ? Side::ours : Side::client;
}

std::string_view to_string(EndCause cause) {
  switch (cause) {
    case EndCause::closed: return "closed";
    case EndCause::link_ended: return "link_ended";
    case EndCause::game_over: return "game_over";
    case EndCause::game_lost: return "game_lost";
    case EndCause::over_limit: return "over_limit";
    case EndCause::expired: return "expired";
    case EndCause::unanswered: return "unanswered";
    case EndCause::by_operator: return "operator";
    case EndCause::stopped: return "stopped";
  }
  return "?";
}

Side side_of(EndCause cause) {
  switch (cause) {
    case EndCause::closed:
    case EndCause::link_ended:
    case EndCause::expired:
    case EndCause::unanswered: return Side::client;
    case EndCause::game_over:
    case EndCause::game_lost: return Side::server;
    case EndCause::over_limit:
    case EndCause::by_operator:
    case EndCause::stopped: break;
  }
  return Side::ours;
}

std::string_view code_word(std::uint16_t code) {
  using proto::LinkCode;
  switch (static_cast<LinkCode>(code)) {
    case LinkCode::normal: return "normal";
    case LinkCode::going_away: return "going_away";
    case LinkCode::restart: return "restart";
    case LinkCode::bad_frame: return "bad_frame";
    case LinkCode::login_needed: return "login_needed";
    case LinkCode::owner_unreachable: return "owner_unreachable";
    case LinkCode::version: return "version";
    case LinkCode::silent: return "silent";
    case LinkCode::replaced: return "replaced";
    case LinkCode::session_ended: return "session_ended";
    case LinkCode::game_server_gone: return "game_server_gone";
    case LinkCode::epoch_used: return "epoch_used";
    case LinkCode::over_limit: return "over_limit";
    case LinkCode::too_fast: return "too_fast";
  }
  return code == 0 ? "" : "transport";
}

}  // namespace rejoin::gateway
