// Which loop a program is to run on, and with whose descriptors, as people say it.
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

/// Whose the table of descriptors is, and with it the limit of open files (own_table.h).
enum class Descriptors : std::uint8_t { per_process, per_worker };

/// In the order of Descriptors.
inline constexpr std::string_view kDescriptors[] = {"per_process", "per_worker"};

inline std::optional<Descriptors> parse_descriptors(std::string_view text) {
  for (const Descriptors it : {Descriptors::per_process, Descriptors::per_worker}) {
    if (kDescriptors[static_cast<std::size_t>(it)] == text) return it;
  }
  return std::nullopt;
}

}  // namespace rejoin::io
