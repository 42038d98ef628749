// Between Address and the kernel's sockaddr. For src/io only.
#pragma once

#include <sys/socket.h>

#include "base/address.h"

namespace rejoin::io {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
};

SocketAddress to_sockaddr(const Address& address);
/// An Address of family none for anything but IPv4 and IPv6. IPv4-mapped addresses become IPv4.
Address from_sockaddr(const sockaddr_storage& storage);
/// The local address of a socket (getsockname); family none if it has none.
Address bound_address(int descriptor);

}  // namespace rejoin::io
