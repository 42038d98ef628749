// Bytes on a unix socket, and descriptors beside them (SCM_RIGHTS, unix(7)).
//
// Place: under what passes connections to another process (kernel_passing.h) or to another thread's table
// (descriptor_carrier.h). Nothing here waits, and EINTR is tried again.
#pragma once

#include <sys/types.h>

#include <vector>

#include "base/bytes.h"

namespace rejoin::io {

/// As send(2); a copy of `descriptor`, unless it is -1, goes with the first byte.
ssize_t send_with_descriptor(int socket, Bytes bytes, int descriptor);

/// As recv(2). Those that came are the caller's (close-on-exec), behind what `descriptors` has; -1 stands for
/// one for which this table had no room.
ssize_t receive_with_descriptors(int socket, MutableBytes into, std::vector<int>& descriptors);

}  // namespace rejoin::io
