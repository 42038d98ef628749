// One connection of the client, from the dial to the close, as a coroutine: call.cc, read from make_call()
// down.
#pragma once

#include <string>
#include <vector>

#include "apps/connect/account.h"
#include "apps/connect/connect.h"
#include "apps/connect/lines.h"
#include "base/scope.h"
#include "base/task.h"
#include "io/world.h"
#include "proto/cookie_jar.h"
#include "proto/url.h"

namespace rejoin::connect {

/// What all connections of a run share. References outlive the calls.
struct Run {
  io::World& world;
  const ConnectOptions& options;
  proto::Url url;
  std::vector<Address> addresses;  // of the url's host, in the order in which they are tried
  proto::CookieJar& jar;
  Reporter& reporter;
  Lines* lines;  // nullptr: only options.messages are sent
  Stop& stop;
};

/// Connects, shakes hands, talks and closes; `account` says at the end how it went, and the reporter was told
/// of each step. `bind`: dial from there, if it is an address.
Task<void> make_call(Run& run, Address bind, Account& account);

}  // namespace rejoin::connect
