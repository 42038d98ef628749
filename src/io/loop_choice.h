// Which loop a program is to run on, as people say it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace rejoin::io {

/// automatic: io_uring where it is faster and everything that it needs works (make_loop.h), else epoll.
enum class LoopChoice : std::uint8_t { automatic, epoll, io_uring };

/// In the order of LoopChoice.
inline constexpr std::string_view kLoopChoices[] = {"auto", "epoll", "io_uring"};

inline std::optional<LoopChoice> parse_loop_choice(std::string_view text) {
  for (const LoopChoice it : {LoopChoice::automatic, LoopChoice::epoll, LoopChoice::io_uring}) {
    if (kLoopChoices[static_cast<std::size_t>(it)] == text) return it;
  }
  return std::nullopt;
}

}  // namespace rejoin::io
