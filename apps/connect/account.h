// What happened on one connection, and how it is told: to people as it happens, to scripts as one JSON object
// at its end.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/connect/connect.h"
#include "base/address.h"
#include "base/bytes.h"

namespace rejoin::connect {

struct SentCookie {
  std::string name, value;
};
struct ReceivedCookie {
  std::string name, value;
  std::vector<std::string> attributes;  // "Path=/", "HttpOnly"
};

/// One connection. Filled in from top to bottom while it lives.
struct Account {
  int number = 1;  // of the run's connections
  std::string url;
  Address local, peer;        // none while nothing was connected
  std::optional<int> status;  // of the handshake's answer; nothing for tcp://
  std::vector<SentCookie> cookies_sent;
  std::vector<ReceivedCookie> cookies_received;
  std::vector<std::string> messages;
  std::optional<std::string> server;  // from the greeting
  std::optional<int> close_code;      // 1006 for a WebSocket that broke; nothing for tcp://
  std::optional<std::string> error;   // nothing: it did all that was asked
};

/// One link of a session (`rejoin connect --resume`): how it came to be.
struct LinkAccount {
  bool resumed = false;  // else a new session
  std::string url, local, peer;
  std::uint32_t epoch = 0;
  int dials = 0, round_trips = 0;
  std::uint32_t took_ms = 0;
  bool whole = true;
  std::uint64_t to_come = 0, sent_again = 0;
};

/// One run of the program on a session.
struct SessionAccount {
  int number = 1;
  std::string url;
  std::vector<LinkAccount> links;
  std::vector<SentCookie> cookies;  // that we have for the url
  std::vector<std::string> messages;
  std::optional<std::string> server;  // from a greeting
  std::uint64_t sent = 0, sent_again = 0, duplicates_dropped = 0;
  std::optional<int> end_code;  // the session has ended
  std::optional<std::string> error;
};

/// Told of a session as it goes. One thread.
class SessionReporter {
 public:
  virtual ~SessionReporter() = default;
  virtual void linked(const SessionAccount& account) = 0;  // links.back()
  virtual void lost(const SessionAccount& account, const std::string& why) = 0;
  virtual void received(const SessionAccount& account) = 0;  // messages.back(), maybe server
  virtual void ended(const SessionAccount& account) = 0;
};
std::unique_ptr<SessionReporter> make_text_session_reporter();
std::unique_ptr<SessionReporter> make_json_session_reporter();

/// Told of a connection as it goes. One thread.
class Reporter {
 public:
  virtual ~Reporter() = default;
  virtual void connected(
      const Account& account) = 0;  // local and peer are known, and the cookies that will be sent
  virtual void answered(const Account& account) = 0;  // status and received cookies
  virtual void received(const Account& account) = 0;  // messages.back(), maybe server
  virtual void ended(const Account& account) = 0;
};
/// Both write to stdout and flush at each call, so that a reader behind a pipe sees it at once.
std::unique_ptr<Reporter> make_text_reporter();
std::unique_ptr<Reporter> make_json_reporter();

/// One line without its end, as --json prints it. Bytes that are not UTF-8 become U+FFFD.
std::string to_json(const Account& account);
std::string to_json(const SessionAccount& account);
/// What to_json() wrote; nothing if `line` is anything else.
std::optional<Account> from_json(std::string_view line);
/// A member of a greeting that is a text: "server", "client", "cookie". Nothing if there is none.
std::optional<std::string> greeting_member(Bytes message, const std::string& name);
/// A cookie's value, or its ends if it is long: "AbCdEfGh...StUvWxYz".
std::string shortened(std::string_view value);

}  // namespace rejoin::connect
