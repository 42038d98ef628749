#include "apps/config/keys.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/owned_descriptor.h"

namespace rejoin::config {
namespace {

constexpr std::size_t kKeyFileBytesMax = 4096;  // 64 digits and whatever line ends: more is another file

std::string because(int errnum) { return std::string(": ") + std::strerror(errnum); }

void wipe(std::string& secret) { ::explicit_bzero(secret.data(), secret.size()); }

class KeyLoader {
 public:
  KeyLoader(const Config& config, Random& random, AbsentKey absent)
      : config_(config), random_(random), absent_(absent) {}

  KeyReading load() {
    const auto& sources = config_.keys.seal;
    if (sources.empty()) {
      out_.ring.emplace(route::generate_key(random_));
      return std::move(out_);
    }
    for (index_ = 0; index_ < sources.size(); ++index_) {
      if (sources[index_].kind == KeySource::Kind::file) {
        from_file(config_.resolve(sources[index_].from));
      } else {
        from_environment(sources[index_].from);
      }
    }
    if (!out_.ok() || keys_.size() != sources.size()) return std::move(out_);
    auto ring = route::KeyRing::make(keys_);
    if (ring) {
      out_.ring.emplace(std::move(*ring));
    } else {
      index_ = 0;
      say(Severity::error, ring.error().detail);
    }
    return std::move(out_);
  }

 private:
  void say(Severity severity, std::string message) {
    out_.diagnostics.push_back({config_.file, config_.keys.seal[index_].place,
                                "keys.seal[" + std::to_string(index_) + ']', std::move(message), severity});
  }

  void take(std::string& text, const std::string& from) {
    auto key = route::parse_key_hex(text);
    wipe(text);
    if (key) {
      keys_.push_back(*key);
    } else {
      say(Severity::error, from + ": " + key.error().detail);
    }
  }

  void from_environment(const std::string& name) {
    const char* value = std::getenv(name.c_str());
    if (!value) {
      const bool here_counts = absent_ == AbsentKey::make;
      return say(here_counts ? Severity::error : Severity::warning,
                 "the environment variable " + name + " is not set" + (here_counts ? "" : " here"));
    }
    std::string text(value);
    take(text, "the environment variable " + name);
  }

  void from_file(const std::string& path) {
    int failure = read_file(path);
    if (failure == ENOENT && config_.keys.seal.size() == 1) {
      if (absent_ == AbsentKey::report)
        return say(Severity::note, path + " is not there yet; it will be made");
      failure = make_file(path);
      if (failure != 0) return say(Severity::error, path + " cannot be made" + because(failure));
      failure = read_file(path);  // not what we made: another process may have been first
    }
    if (failure == ENOENT) {
      return say(Severity::error,
                 path + " does not exist; only a single key is made by itself (openssl rand -hex 32)");
    }
    if (failure != 0) say(Severity::error, path + " cannot be read" + because(failure));
  }

  /// 0, or an errno. What is wrong with the content is said.
  int read_file(const std::string& path) {
    const OwnedDescriptor file(
        ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // a FIFO must not hang us
    if (file.get() < 0) return errno;
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) return errno;
    if (S_ISDIR(status.st_mode)) return EISDIR;
    if ((status.st_mode & (S_IRGRP | S_IROTH)) != 0) {
      say(Severity::warning, path + " can be read by other users: chmod 600 " + path);
    }
    std::string text(kKeyFileBytesMax + 1, '\0');
    std::size_t filled = 0;
    while (filled < text.size()) {
      const ssize_t got = ::read(file.get(), text.data() + filled, text.size() - filled);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return errno;
      if (got == 0) break;
      filled += static_cast<std::size_t>(got);
    }
    text.resize(filled);
    take(text, path);
    return 0;
  }

  /// 0, also when somebody else made it meanwhile; or an errno. A reader never sees half a key: it is written
  /// under another name, and link() gives it its own unless that is taken.
  int make_file(const std::string& path) {
    std::string draft = path + ".XXXXXX";
    const OwnedDescriptor file(::mkostemp(draft.data(), O_CLOEXEC));  // mode 0600
    if (file.get() < 0) return errno;
    const route::Key key = route::generate_key(random_);
    std::string text = key.hex() + '\n';
    const ssize_t written = ::write(file.get(), text.data(), text.size());
    int failure = written < 0 ? errno : 0;
    if (written >= 0 && static_cast<std::size_t>(written) != text.size()) failure = ENOSPC;
    wipe(text);
    if (failure == 0 && ::fsync(file.get()) != 0) failure = errno;
    if (failure == 0 && ::link(draft.c_str(), path.c_str()) != 0 && errno != EEXIST) {
      // Some file systems have no hard links; renaming without replacing is as good.
      failure =
          ::renameat2(AT_FDCWD, draft.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) == 0 ? 0 : errno;
      if (failure == EEXIST) failure = 0;
    }
    ::unlink(draft.c_str());
    return failure;
  }

  const Config& config_;
  Random& random_;
  const AbsentKey absent_;
  KeyReading out_;
  std::vector<route::Key> keys_;
  std::size_t index_ = 0;
};

}  // namespace

KeyReading load_keys(const Config& config, Random& random, AbsentKey absent) {
  return KeyLoader(config, random, absent).load();
}

}  // namespace rejoin::config
