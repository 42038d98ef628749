#include "apps/connect/lines.h"

#include <unistd.h>

#include <cerrno>

#include "base/limits.h"

namespace rejoin::connect {

void Lines::resume() {
  if (ended_ || reading_) return;
  reading_ = true;
  tell_lines();  // what was read before the pause
  if (kind_ != Kind::read_on_the_spot && reading_ && !end_seen_) {
    const bool watched = loop_.watch(descriptor_, [this] { read_once(); });
    kind_ = watched ? Kind::watched : Kind::read_on_the_spot;
  }
  if (kind_ == Kind::read_on_the_spot) {
    while (reading_ && !ended_) read_once();
  }
}

void Lines::pause() {
  if (reading_ && kind_ == Kind::watched) loop_.unwatch(descriptor_);
  reading_ = false;
}

void Lines::read_once() {
  if (!end_seen_) {
    char block[16 * 1024];
    const ssize_t got = ::read(descriptor_, block, sizeof block);
    if (got < 0 && errno == EINTR) return;
    if (got > 0) pending_.append(block, static_cast<std::size_t>(got));
    // A line longer than any message is no text that somebody wants to send: it is taken as the end.
    end_seen_ = got <= 0 || pending_.size() > limits::kConnectMessageBytesMax;
  }
  tell_lines();
}

void Lines::tell_lines() {
  std::size_t at = 0;
  while (reading_) {
    const std::size_t end = pending_.find('\n', at);
    if (end == std::string::npos) break;
    std::string_view line = std::string_view(pending_).substr(at, end - at);
    at = end + 1;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (events_.on_line) events_.on_line(line);
  }
  pending_.erase(0, at);
  if (!reading_ || !end_seen_ || ended_) return;
  if (!pending_.empty() && events_.on_line) events_.on_line(std::exchange(pending_, {}));
  if (!reading_) return;
  pause();
  ended_ = true;
  if (events_.on_end) events_.on_end();
}

}  // namespace rejoin::connect
