// What is known of the running program as a whole: which one it is, and what it uses of the machine.
//
// Any thread. Reads /proc, where a figure stands ready: nothing here takes longer with more connections.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "watch/metrics_text.h"

namespace rejoin::watch {

/// "0.1.0"
std::string_view version();
/// "gcc 12.2.0"
std::string_view compiler();

/// rejoin_build_info, and the process_* families under the names that all of Prometheus' clients use.
/// `own_tables`: threads that have a table of descriptors of their own, beside the caller's; those that have
/// ended do not count.
void write_process(MetricsText& out, const std::vector<pid_t>& own_tables = {});

}  // namespace rejoin::watch
