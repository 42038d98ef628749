// Lines of stdin (or of any descriptor) as they come, without a thread.
#pragma once

#include <functional>
#include <string>

#include "io/epoll_loop.h"

namespace rejoin::connect {

/// One owner, one thread. What can be watched (a terminal, a pipe) is read when there is something; an
/// ordinary file, which is always there, is read on the spot.
class Lines {
 public:
  struct Events {
    std::function<void(std::string_view line)> on_line;  // without its line end; may pause()
    std::function<void()> on_end;  // once; a last line without a line end came before it
  };

  /// `descriptor` stays the caller's. Nothing is read before resume().
  Lines(io::EpollLoop& loop, int descriptor) : loop_(loop), descriptor_(descriptor) {}
  ~Lines() { pause(); }
  Lines(const Lines&) = delete;
  Lines& operator=(const Lines&) = delete;

  /// Whom to tell from now on.
  void tell(Events events) { events_ = std::move(events); }
  /// Goes on reading. on_line and on_end may be called before it returns.
  void resume();
  /// Nothing more is told until resume(), not even lines that were read already.
  void pause();
  bool reading() const { return reading_; }
  /// The input has ended and on_end was called.
  bool ended() const { return ended_; }

 private:
  enum class Kind : unsigned char { unknown, watched, read_on_the_spot };
  void read_once();
  void tell_lines();

  io::EpollLoop& loop_;
  Events events_;
  std::string pending_;
  int descriptor_;
  Kind kind_ = Kind::unknown;
  bool reading_ = false;
  bool end_seen_ = false;
  bool ended_ = false;
};

}  // namespace rejoin::connect
