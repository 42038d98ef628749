// `rejoin connect`: a client for people and scripts.
//
// run_connect() is defined in connect.cc; that file's presence puts the sub-command into the binary.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/clock.h"

namespace rejoin::connect {

enum class Output : std::uint8_t { text, json };

struct ConnectOptions {
  std::string url;  // ws://host:port/path, wss, tcp://host:port or tls, as typed: not checked yet
  std::string
      ca_file;  // wss and tls: PEM file of who may have signed the server's certificate; empty: the system's
  std::string cookie_jar_file;  // empty: cookies live as long as the run
  int times = 1;                // connections, one after the other; at least 1
  std::vector<Address> bind;    // connection i uses the i-th, the last one repeats; empty: the system chooses
  std::vector<std::string> messages;  // empty: the lines of stdin, until its end
  std::optional<int> receive;         // messages to wait for; nothing: 1 (the greeting) + messages.size()
  Duration timeout = 5s;              // for each step: connect, handshake, each message
  Output output = Output::text;

  // With a gateway that speaks rejoin.v1, by the client library:
  std::string resume_file;      // where the session is kept between runs; empty: no session, as above
  bool end_session = false;     // at the end of the last run, instead of leaving it to the next one
  bool use_advertised = false;  // the gateway's own addresses may be dialled
  std::string identity;         // for the login
};

/// Connects, prints cookies and messages on stdout. Returns the exit status: 0 if every connection did all
/// that was asked, 1 otherwise, 2 for a URL or a cookie jar that cannot be used.
int run_connect(const ConnectOptions& options);

}  // namespace rejoin::connect
