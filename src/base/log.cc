#include "base/log.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace rejoin {
namespace {

class StderrLog final : public Log {
 public:
  StderrLog(const std::string& program, LogLevel level)
      : logger_(program, std::make_shared<spdlog::sinks::stderr_sink_mt>()) {
    set_level(level);
    logger_.set_level(spdlog::level::trace);  // Log::wants has decided already
    logger_.set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %-5l %n: %v", spdlog::pattern_time_type::utc);
  }

  void write(LogLevel level, std::string_view line) override { logger_.log(to_spdlog(level), line); }

 private:
  static spdlog::level::level_enum to_spdlog(LogLevel level) {
    switch (level) {
      case LogLevel::debug: return spdlog::level::debug;
      case LogLevel::info: return spdlog::level::info;
      case LogLevel::warn: return spdlog::level::warn;
      case LogLevel::error: return spdlog::level::err;
      case LogLevel::off: break;
    }
    return spdlog::level::off;
  }

  spdlog::logger logger_;
};

}  // namespace

std::unique_ptr<Log> make_stderr_log(std::string program, LogLevel level) {
  return std::make_unique<StderrLog>(program, level);
}

std::string short_hash(std::string_view secret) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  if (EVP_Digest(secret.data(), secret.size(), digest, &length, EVP_sha256(), nullptr) != 1)
    return "????????";
  return fmt::format("{:02x}{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2], digest[3]);
}

}  // namespace rejoin
