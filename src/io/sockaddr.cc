#include "io/sockaddr.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>

namespace rejoin::io {

SocketAddress to_sockaddr(const Address& address) {
  SocketAddress out;
  if (address.family == Address::Family::ipv6) {
    sockaddr_in6 in6{};
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(address.port);
    std::memcpy(&in6.sin6_addr, address.ip.data(), 16);
    std::memcpy(&out.storage, &in6, sizeof in6);
    out.length = sizeof in6;
  } else {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(address.port);
    std::memcpy(&in.sin_addr, address.ip.data(), 4);
    std::memcpy(&out.storage, &in, sizeof in);
    out.length = sizeof in;
  }
  return out;
}

Address from_sockaddr(const sockaddr_storage& storage) {
  Address out;
  if (storage.ss_family == AF_INET) {
    sockaddr_in in;
    std::memcpy(&in, &storage, sizeof in);
    out.family = Address::Family::ipv4;
    out.port = ntohs(in.sin_port);
    std::memcpy(out.ip.data(), &in.sin_addr, 4);
  } else if (storage.ss_family == AF_INET6) {
    sockaddr_in6 in6;
    std::memcpy(&in6, &storage, sizeof in6);
    out.port = ntohs(in6.sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
      out.family = Address::Family::ipv4;
      std::memcpy(out.ip.data(), in6.sin6_addr.s6_addr + 12, 4);
    } else {
      out.family = Address::Family::ipv6;
      std::memcpy(out.ip.data(), &in6.sin6_addr, 16);
    }
  }
  return out;
}

Address bound_address(int descriptor) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (getsockname(descriptor, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return {};
  return from_sockaddr(storage);
}

}  // namespace rejoin::io
