// Who is at the other end of a connection that came in, as far as it is known.
//
// Plain values; go along with the connection until it is a link.
#pragma once

#include <string>

#include "base/address.h"

namespace rejoin::gateway {

struct Caller {
  Caller(const Address& from) : client(from), peer(from) {}  // NOLINT: an address is a caller

  Address client;                // who is believed to be it: a proxy in front may have told
  Address peer;                  // who dialled
  std::string tls_version, sni;  // empty: in the clear, no name
};

}  // namespace rejoin::gateway
