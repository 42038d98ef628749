// What is known of the running program as a whole: which one it is, and what it uses of the machine.
//
// Any thread. Reads /proc, where a figure stands ready: nothing here takes longer with more connections.
#pragma once

#include <cstdint>
#include <string_view>

#include "watch/metrics_text.h"

namespace rejoin::watch {

/// "0.1.0"
std::string_view version();
/// "gcc 12.2.0"
std::string_view compiler();

/// rejoin_build_info, and the process_* families under the names that all of Prometheus' clients use.
void write_process(MetricsText& out);

}  // namespace rejoin::watch
