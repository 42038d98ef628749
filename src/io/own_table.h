// A thread's own table of descriptors.
//
// The kernel holds the limit of open files (RLIMIT_NOFILE) against the numbers in a table, and threads share
// one unless they ask for their own: with one each, N threads may have N times as many sockets.
//
// A copy of the table keeps every socket in it open. So whoever stays in the old table closes there what the
// new one's thread has taken, and the new one holds nothing but what its thread works with: a listening
// socket in the table of a thread that does not accept from it would outlive its Listener, and the kernel
// would go on giving it connections.
#pragma once

#include <vector>

#include "base/result.h"

namespace rejoin::io {

/// From now on the calling thread has a table of its own: a copy of its present one, under the same numbers,
/// of 0 to 2 and those in `kept` (in any order, -1 is nothing). What another thread opens or closes meanwhile
/// may be in it or not. Threads that it starts later share the new table. Error: unsupported (Linux 5.9 is
/// needed), exhausted.
Status own_descriptor_table(std::vector<int> kept);

}  // namespace rejoin::io
