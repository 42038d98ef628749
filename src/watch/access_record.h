// One line of the balancer's access log: what happened to a request, a connection or a tunnel, from its first
// byte to its end; or why a connection was turned away before that. docs/access-log.md explains every field.
//
// Pure: a record of views goes in, text comes out. What is written can neither break a line nor carry a
// secret: cookies, tickets and tokens have no field here, and the query is written only where that is asked
// for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/address.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "watch/record_text.h"

namespace rejoin::watch {

struct AccessRecord {
  enum class Kind : std::uint8_t { request, tunnel, connection, refused };

  TimePoint began{};
  Kind kind = Kind::request;
  std::uint64_t id = 0;  // of the request; a tunnel has that of the request from which it came
  std::string_view listener;
  Address client;  // who is believed to be it
  Address peer;    // who dialled, where that is somebody else
  Bytes forwarded_for;
  Bytes tls_version, sni;
  Bytes method, host, path, query, version;
  Bytes user_agent, request_id;
  int status = 0;  // 0: none
  std::uint64_t bytes_in = 0, bytes_out = 0;
  std::optional<Duration> head, queue, connect, first_byte;
  Duration total{};
  std::string_view pool, server, decision, affinity, reason;
  unsigned retries = 0;
  bool reused = false;
  std::string_view end, end_by, end_in;
  Bytes detail;                // of refused: in words
  std::uint64_t left_out = 0;  // of refused: so many others have no line
};

enum class AccessForm : std::uint8_t { json, line };
struct AccessRules {
  AccessForm form = AccessForm::json;
  bool query = false;  // behind the path
};
/// Appends the record with its line end. `began_unix_ms`: record.began on the wall's clock.
void append_access_record(std::string& out, const AccessRecord& record, std::int64_t began_unix_ms,
                          const AccessRules& rules);

}  // namespace rejoin::watch
