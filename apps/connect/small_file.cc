#include "apps/connect/small_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

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

Error failed(std::string_view what, const std::string& path, const char* doing) {
  return Error::from_errno(errno, std::string(what) + " " + path + ": " + doing);
}

}  // namespace

Result<std::optional<std::string>> read_small_file(std::string_view what, const std::string& path,
                                                   std::size_t bytes_max) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.number < 0) {
    if (errno == ENOENT) return std::optional<std::string>();
    return failed(what, path, "open");
  }
  std::string contents;
  char block[16 * 1024];
  for (;;) {
    const ssize_t got = ::read(file.number, block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed(what, path, "read");
    if (got == 0) return std::optional<std::string>(std::move(contents));
    contents.append(block, static_cast<std::size_t>(got));
    if (contents.size() > bytes_max) {
      return Error{ErrorKind::too_large, Side::ours, Retry::no,
                   std::string(what) + " " + path + " is too large to be one"};
    }
  }
}

Status replace_small_file(std::string_view what, const std::string& path, Bytes contents) {
  const std::string temporary = path + ".new." + std::to_string(::getpid());
  {
    const Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (file.number < 0) return failed(what, temporary, "create");
    while (!contents.empty()) {
      const ssize_t written = ::write(file.number, contents.data(), contents.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) {
        Error error = failed(what, temporary, "write");
        ::unlink(temporary.c_str());
        return error;
      }
      contents.remove_prefix(static_cast<std::size_t>(written));
    }
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0) {
    Error error = failed(what, path, "rename");
    ::unlink(temporary.c_str());
    return error;
  }
  return {};
}

Status remove_small_file(std::string_view what, const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return failed(what, path, "remove");
  return {};
}

}  // namespace rejoin::connect
