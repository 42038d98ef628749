// A key of the application in a request: "room 42" in a field, the query or a cookie. What consistent hashing
// takes. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/address.h"
#include "proto/http_head.h"

namespace rejoin::route {

struct KeyPlace {
  enum class In : std::uint8_t { header, query, cookie };
  In in = In::header;
  std::string name;  // header: in any case of letters; query and cookie: exactly
};

/// The hash of the first key that is not empty. Of a query parameter the decoded value (%20 and +), since
/// clients encode differently. Nothing: there is none, or no head (layer 4).
std::optional<std::uint64_t> hash_of_key(const KeyPlace& place, const proto::RequestHead* head);

/// The same for a client's address without its port.
std::uint64_t hash_of_address(const Address& client);

}  // namespace rejoin::route
