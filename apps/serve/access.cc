#include "apps/serve/access.h"

namespace rejoin::serve {

watch::AccessRules access_rules(const config::AccessLog& log) {
  watch::AccessRules out;
  if (log.format == config::AccessFormat::line) out.form = watch::AccessForm::line;
  out.query = log.query;
  return out;
}

Result<std::unique_ptr<watch::AccessFile>> open_access_log(const config::Config& config, Log& log) {
  if (config.access_log.format == config::AccessFormat::off) return std::unique_ptr<watch::AccessFile>();
  const std::string& path = config.access_log.path;
  return watch::AccessFile::open(path.empty() ? path : config.resolve(path), log);
}

}  // namespace rejoin::serve
