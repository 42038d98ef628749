// A process that was started as root, to listen on a low port or to read a key, gives that up.
//
// Place: in run_workers(), once every listener is open and before the first client is served.
#pragma once

#include "apps/config/config.h"
#include "base/result.h"

namespace rejoin::serve {

/// Becomes `process.user`, with `process.group` (or that user's groups) and no way back, in all threads of
/// the process. Nothing happens when no user is named, or when we are it already. Error: there is no such
/// user or group, or we may not.
Status drop_privileges(const config::Process& process);

}  // namespace rejoin::serve
