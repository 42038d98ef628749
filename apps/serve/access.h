// The access log of a program, from its configuration.
#pragma once

#include <memory>

#include "apps/config/config.h"
#include "base/log.h"
#include "base/result.h"
#include "watch/access_file.h"
#include "watch/access_log.h"

namespace rejoin::serve {

watch::AccessRules access_rules(const config::AccessLog& log);
/// nullptr: the configuration wants none. `log` outlives it. Error: config, why it cannot be opened.
Result<std::unique_ptr<watch::AccessFile>> open_access_log(const config::Config& config, Log& log);

}  // namespace rejoin::serve
