// One line of a gateway's access log: what happened to a link, or to a session, when it is over; or why a
// connection did not become a link. docs/access-log.md explains every field.
//
// Pure, as access_record.h. No ticket, no secret of a session and no message has a field here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/address.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "watch/access_record.h"

namespace rejoin::watch {

struct LinkRecord {
  enum class Kind : std::uint8_t { link, relay, session, refused };

  TimePoint began{};
  Kind kind = Kind::link;
  std::string_view session;  // its id
  std::string_view listener;
  Address client;  // who is believed to be it
  Address peer;    // who dialled, where that is somebody else
  Bytes tls_version, sni;
  std::string_view transport, protocol, opened;
  std::optional<std::uint64_t> epoch, links, resumes;
  std::optional<std::uint64_t> messages_in, messages_out, bytes_in, bytes_out;
  Duration total{};
  int status = 0;  // of an HTTP answer; 0: none
  int code = 0;    // that the client was told; 0: none
  std::string_view reason;
  Bytes detail;  // in words
  std::string_view end, end_by, end_in;
  std::uint64_t left_out = 0;  // of refused: so many others have no line
};

/// Appends the record with its line end. `began_unix_ms`: record.began on the wall's clock.
void append_link_record(std::string& out, const LinkRecord& record, std::int64_t began_unix_ms,
                        const AccessRules& rules);

}  // namespace rejoin::watch
