#include "apps/config/secret.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>

namespace rejoin::config {
namespace {

constexpr std::size_t kFileBytesMax = 4096;  // a token and whatever line ends: more is another file

/// What stands in the file. Error: why it cannot be read. `others_read`: its mode lets others.
Result<std::string> read_file(const std::string& path, bool& others_read) {
  const auto failed = [&](int errnum) {
    return Error{ErrorKind::config, Side::ours, Retry::no,
                 path + " cannot be read: " + std::strerror(errnum)};
  };
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a FIFO must not hang us
  if (file < 0) return failed(errno);
  struct stat status {};
  const bool looked = ::fstat(file, &status) == 0;
  others_read = looked && (status.st_mode & (S_IRGRP | S_IROTH)) != 0;
  std::string text(kFileBytesMax, '\0');
  const ssize_t got = ::read(file, text.data(), text.size());
  const int errnum = errno;
  ::close(file);
  if (got < 0) return failed(errnum);
  text.resize(static_cast<std::size_t>(got));
  return text;
}

std::string trimmed(const std::string& text) {
  constexpr const char* kSpaces = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kSpaces);
  if (begin == std::string::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpaces) + 1 - begin);
}

Result<std::string> checked(const std::string& text, const std::string& from) {
  std::string token = trimmed(text);
  const bool visible = std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (visible && token.size() >= kTokenBytesMin && token.size() <= kTokenBytesMax) return token;
  return Error{ErrorKind::config, Side::ours, Retry::no,
               from + ": a token has " + std::to_string(kTokenBytesMin) + " to " +
                   std::to_string(kTokenBytesMax) +
                   " visible characters, without spaces; make one by: openssl rand -hex 32"};
}

Result<std::string> load(KeySource::Kind kind, const std::string& from, bool& others_read) {
  if (kind == KeySource::Kind::env) {
    const char* const value = std::getenv(from.c_str());
    if (value == nullptr)
      return Error{ErrorKind::config, Side::ours, Retry::no,
                   "the environment variable " + from + " is not set"};
    return checked(value, "the environment variable " + from);
  }
  const Result<std::string> text = read_file(from, others_read);
  if (!text) return text.error();
  return checked(*text, from);
}

}  // namespace

SecretReading load_token(const Config& config, const KeySource& source, const std::string& key) {
  SecretReading out;
  const auto say = [&](Severity severity, std::string message) {
    out.diagnostics.push_back({config.file, source.place, key, std::move(message), severity});
  };
  const bool file = source.kind == KeySource::Kind::file;
  const std::string from = file ? config.resolve(source.from) : source.from;
  bool others_read = false;
  Result<std::string> token = load(source.kind, from, others_read);
  if (!token) {
    say(Severity::error, token.error().detail);
    return out;
  }
  if (others_read) say(Severity::warning, from + " can be read by other users: chmod 600 " + from);
  out.secret = std::move(*token);
  return out;
}

Result<std::string> load_token(std::string_view source) {
  bool others_read = false;
  for (const auto& [prefix, kind] : {std::pair{std::string_view("file:"), KeySource::Kind::file},
                                     std::pair{std::string_view("env:"), KeySource::Kind::env}}) {
    if (source.starts_with(prefix) && source.size() > prefix.size())
      return load(kind, std::string(source.substr(prefix.size())), others_read);
  }
  return Error{ErrorKind::config, Side::ours, Retry::no,
               "write where the token is: \"file:PATH\" or \"env:NAME\""};
}

SecretReading load_admin_token(const Config& config, const Admin& admin, const std::string& table) {
  if (!admin.token) return {};
  return load_token(config, *admin.token, table + ".token");
}

}  // namespace rejoin::config
