#include "apps/config/named_files.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace rejoin::config {
namespace {

namespace fs = std::filesystem;

/// Empty: it can be sent.
std::string wrong_with_page(const std::string& path) {
  std::error_code failed;
  if (fs::is_directory(path, failed)) return path + " is a folder; write the path of a file";
  errno = 0;
  if (!std::ifstream(path, std::ios::binary).is_open())
    return path + " cannot be read: " + std::strerror(errno != 0 ? errno : EIO);
  const std::uintmax_t bytes = fs::file_size(path, failed);
  if (!failed && bytes > kErrorPageBytesMax)
    return path + " is larger than " + std::to_string(kErrorPageBytesMax / 1024) +
           " KiB, which is too much for a page";
  return {};
}

/// Empty: it is one.
std::string wrong_with_folder(const fs::path& path) {
  std::error_code failed;
  if (fs::is_directory(path, failed)) return {};
  const std::string why = failed ? failed.message() : "it is something else";
  return path.string() + " is no folder: " + why + "; make it, or write another path";
}

}  // namespace

std::vector<Diagnostic> check_named_files(const Config& config, FilesOf of) {
  std::vector<Diagnostic> out;
  const auto say = [&](const StandsAt& at, const std::string& key, std::string message) {
    if (!message.empty()) out.push_back({config.file, at.place, key, std::move(message)});
  };
  for (const Listener& listener : config.listeners) {
    if (of == FilesOf::gateway) break;
    for (const auto& [status, path] : listener.error_pages)
      say(listener.error_pages_stand_at, "listener.error_pages." + status,
          wrong_with_page(config.resolve(path)));
  }
  if (config.access_log.format != AccessFormat::off && !config.access_log.path.empty()) {
    const fs::path folder = fs::path(config.resolve(config.access_log.path)).parent_path();
    say(config.access_log.path_stands_at, "access_log.path",
        wrong_with_folder(folder.empty() ? fs::path(".") : folder));
  }
  if (of != FilesOf::balancer && config.gateway && !config.gateway->pages.empty())
    say(config.gateway->pages_stand_at, "gateway.pages",
        wrong_with_folder(config.resolve(config.gateway->pages)));
  return out;
}

}  // namespace rejoin::config
