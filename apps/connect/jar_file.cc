#include "apps/connect/jar_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/limits.h"

namespace rejoin::connect {
namespace {

// Closes at the end of a block.
struct Descriptor {
  explicit Descriptor(int d) : number(d) {}
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number;
};

Error failed(const std::string& what, const std::string& path) {
  return Error::from_errno(errno, "cookie jar " + path + ": " + what);
}

}  // namespace

Status load_jar(const std::string& path, proto::CookieJar& jar, UnixSeconds now) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.number < 0) {
    if (errno == ENOENT) return {};
    return failed("open", path);
  }
  std::string text;
  char block[16 * 1024];
  for (;;) {
    const ssize_t got = ::read(file.number, block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed("read", path);
    if (got == 0) break;
    text.append(block, static_cast<std::size_t>(got));
    if (text.size() > limits::kCookieJarBytesMax) {
      return Error{ErrorKind::too_large, Side::ours, Retry::no,
                   "cookie jar " + path + " is too large to be one"};
    }
  }
  Status loaded = jar.load(text, now);
  if (!loaded) loaded.error().detail = "cookie jar " + path + ": " + loaded.error().detail;
  return loaded;
}

Status save_jar(const std::string& path, const proto::CookieJar& jar, UnixSeconds now) {
  const std::string text = jar.save(now);
  const std::string temporary = path + ".new." + std::to_string(::getpid());
  {
    const Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (file.number < 0) return failed("create", temporary);
    std::size_t done = 0;
    while (done < text.size()) {
      const ssize_t written = ::write(file.number, text.data() + done, text.size() - done);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) {
        Error error = failed("write", temporary);
        ::unlink(temporary.c_str());
        return error;
      }
      done += static_cast<std::size_t>(written);
    }
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0) {
    Error error = failed("rename", path);
    ::unlink(temporary.c_str());
    return error;
  }
  return {};
}

}  // namespace rejoin::connect
