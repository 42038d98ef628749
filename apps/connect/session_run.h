// `rejoin connect --resume FILE`: the same program, on a session that outlives its links and the program.
#pragma once

#include "apps/connect/connect.h"

namespace rejoin::connect {

/// As run_connect(); options.resume_file is given.
int run_session(const ConnectOptions& options);

}  // namespace rejoin::connect
