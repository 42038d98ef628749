// Answers of the admin port for people: tables and sentences. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "watch/json.h"

namespace rejoin::ctl {

/// "12s", "3m12s", "2h5m", "4d3h": two units at the most. Below a second: "350ms".
std::string short_time(std::int64_t milliseconds);
/// "512 B", "1.5 KiB", "3.0 MiB".
std::string short_size(std::int64_t bytes);

/// Of GET /sessions: what there is, one line a session, and what has ended lately.
std::string sessions_text(const watch::Json& answer);
/// Of GET or DELETE /sessions/ID: one line a value.
std::string session_text(const watch::Json& answer);
/// Of POST /drain and /undrain: what happens now.
std::string drain_text(const watch::Json& answer);
/// Of POST /upgrade.
std::string upgrade_text(const watch::Json& answer);

}  // namespace rejoin::ctl
