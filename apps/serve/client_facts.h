// What is known of a client besides the bytes that they send: told by a proxy in front (the PROXY protocol),
// or by the TLS that they spoke. What is told to a server in a PROXY header, and to those who read logs.
//
// Owner: the connection while a coroutine serves it. Filled by hear_proxy.h and by whoever ends TLS.
#pragma once

#include <memory>
#include <string>

#include "base/address.h"

namespace rejoin::serve {

struct ClientFacts {
  /// Of the TLS between the client and the first proxy, or us.
  struct Tls {
    bool certificate = false;  // the client gave one
    bool verified = false;     // and it was good
    std::string version;       // "TLSv1.3"
    std::string cipher;
    std::string common_name;  // of the client's certificate
  };
  /// Where the client dialled to, if a proxy told so; none: the connection's own address.
  Address dialled;
  /// Names the connection across proxies; empty until somebody has named it.
  std::string unique_id;
  std::string authority;     // the name they asked for (SNI); empty: none
  std::string alpn;          // what was agreed on; empty: nothing
  std::unique_ptr<Tls> tls;  // nullptr: plain TCP
};

}  // namespace rejoin::serve
