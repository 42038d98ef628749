// One question to an admin port (watch/admin_server.h), as a coroutine.
#pragma once

#include <chrono>
#include <string>

#include "base/address.h"
#include "base/result.h"
#include "base/scope.h"
#include "base/task.h"
#include "io/world.h"

namespace rejoin::ctl {

/// For the connection, and then for the whole answer.
inline constexpr std::chrono::seconds kAdminCallS{10};
/// Of an answer's body; the longest list is far smaller.
inline constexpr std::size_t kAdminBodyBytesMax = 64 * 1024 * 1024;

struct AdminCall {
  Address to;
  std::string method;      // "GET"
  std::string target;      // "/sessions?limit=10", encoded
  std::string token = {};  // empty: none is shown
};
struct AdminAnswer {
  int status = 0;
  std::string body;
};

/// Error: nobody listens there, no HTTP, or no whole answer in time; `detail` is fit to be printed. An answer
/// of any status is an answer.
Task<Result<AdminAnswer>> call_admin(io::World& world, AdminCall call, Stop& stop);

}  // namespace rejoin::ctl
