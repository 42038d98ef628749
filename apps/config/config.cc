#include "apps/config/config.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

namespace rejoin::config {
namespace {

Reading unreadable(const std::string& path, std::string message) {
  Reading out;
  out.config.file = path;
  out.diagnostics.push_back({path, {}, {}, std::move(message)});
  return out;
}

Result<Config> only_good(Reading reading) {
  if (reading.ok()) return std::move(reading.config);
  Error error{ErrorKind::config, Side::ours, Retry::no, {}};
  for (const Diagnostic& it : reading.diagnostics) {
    if (it.severity != Severity::error) continue;
    if (!error.detail.empty()) error.detail += '\n';
    error.detail += it.text();
  }
  return error;
}

}  // namespace

const std::string& Affinity::cookie_name() const {
  static const std::string none;
  switch (kind) {
    case AffinityKind::cookie_insert: return insert.name;
    case AffinityKind::cookie_rewrite: return rewrite.name;
    case AffinityKind::cookie_prefix: return prefix.name;
    case AffinityKind::ticket: return ticket.cookie;
    case AffinityKind::source_ip:
    case AffinityKind::key: return none;
  }
  return none;
}

const Pool* Config::find_pool(std::string_view name) const {
  for (const Pool& pool : pools) {
    if (pool.name == name) return &pool;
  }
  return nullptr;
}

const Admin* Config::admin_of_balancer() const {
  if (balancer.admin) return &*balancer.admin;
  return admin && !gateway ? &*admin : nullptr;
}

std::string Config::resolve(std::string_view path) const {
  return (std::filesystem::path(file).parent_path() / path).lexically_normal().string();
}

Reading read_config_file(const std::string& path) {
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "rbe"));
  if (!file) return unreadable(path, std::string("cannot be opened: ") + std::strerror(errno));
  std::string text(limits::kConfigBytesMax + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()))
    return unreadable(path, std::string("cannot be read: ") + std::strerror(errno));
  return read_config(text, path);
}

Result<Config> parse_config(std::string_view text, const std::string& file_name) {
  return only_good(read_config(text, file_name));
}

Result<Config> load_config(const std::string& path) { return only_good(read_config_file(path)); }

}  // namespace rejoin::config
