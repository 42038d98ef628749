// What the load generator, the echo server and the bare relay share: addresses and sockets, the WebSocket
// accept key, masks and frame heads (RFC 6455). Written apart from src/ on purpose, so that a fault there is
// not measured against itself. Owner: none, all are free functions. Thread: any. Errors end the program with
// a line on stderr, for a benchmark that limps measures nothing.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace bench {

/// Ends the program with status 2 and "what: errno's text".
[[noreturn]] inline void die(const std::string& what) {
  std::fprintf(stderr, "%s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(2);
}

/// "127.0.0.1:8000". Ends the program when it is not an IPv4 address and a port.
inline sockaddr_in parse_address(const std::string& text) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  const auto colon = text.rfind(':');
  errno = EINVAL;
  if (colon == std::string::npos || inet_pton(AF_INET, text.substr(0, colon).c_str(), &address.sin_addr) != 1)
    die("not an IPv4 ADDRESS:PORT: " + text);
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(text.c_str() + colon + 1)));
  return address;
}

inline std::string text_of(const sockaddr_in& address) {
  char ip[INET_ADDRSTRLEN];
  inet_ntop(AF_INET, &address.sin_addr, ip, sizeof ip);
  return std::string(ip) + ":" + std::to_string(ntohs(address.sin_port));
}

/// An open, non-blocking listener with TCP_NODELAY (accepted sockets inherit it), and "listening on
/// ADDRESS:PORT" with the real port on stderr. The caller owns the descriptor.
inline int listen_on(const std::string& text, bool shared_by_threads = false) {
  auto address = parse_address(text);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int one = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (shared_by_threads) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  socklen_t size = sizeof address;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(fd, 4096) != 0)
    die("listen " + text);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  std::fprintf(stderr, "listening on %s\n", text_of(address).c_str());
  return fd;
}

/// CLOCK_MONOTONIC or CLOCK_PROCESS_CPUTIME_ID in nanoseconds.
inline std::uint64_t nanoseconds(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
}

inline std::string base64(const unsigned char* bytes, std::size_t size) {
  std::string text(4 * ((size + 2) / 3) + 1, '\0');
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes, static_cast<int>(size));
  text.pop_back();
  return text;
}

/// Sec-WebSocket-Accept of a Sec-WebSocket-Key (RFC 6455, 4.2.2).
inline std::string accept_of(std::string_view key) {
  static EVP_MD* const sha1 = EVP_MD_fetch(nullptr, "SHA1", nullptr);
  std::string text(key);
  text += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), digest, &size, sha1, nullptr) != 1) die("SHA-1");
  return base64(digest, size);
}

/// Copies `size` bytes from `from` to `to` under the mask. The two may overlap when `to` is not above `from`.
inline void copy_masked(unsigned char* to, const unsigned char* from, std::size_t size, std::uint32_t mask) {
  const std::uint64_t wide = mask | static_cast<std::uint64_t>(mask) << 32;
  std::size_t at = 0;
  for (; at + 8 <= size; at += 8) {
    std::uint64_t word;
    std::memcpy(&word, from + at, 8);
    word ^= wide;
    std::memcpy(to + at, &word, 8);
  }
  for (; at < size; ++at) to[at] = from[at] ^ static_cast<unsigned char>(mask >> (at % 4 * 8));
}

/// A frame's head (RFC 6455, 5.2). `first` is FIN, RSV and opcode as they stand in the first byte.
struct FrameHead {
  unsigned char first = 0;
  bool masked = false;
  std::uint32_t mask = 0;
  std::size_t head_size = 0;
  std::uint64_t payload_size = 0;
};

/// False while the head is not whole.
inline bool read_frame_head(const unsigned char* bytes, std::size_t size, FrameHead& head) {
  if (size < 2) return false;
  head.first = bytes[0];
  head.masked = (bytes[1] & 0x80) != 0;
  head.payload_size = bytes[1] & 0x7f;
  const std::size_t length_bytes = head.payload_size == 126 ? 2 : head.payload_size == 127 ? 8 : 0;
  head.head_size = 2 + length_bytes + (head.masked ? 4 : 0);
  if (size < head.head_size) return false;
  if (length_bytes > 0) {
    head.payload_size = 0;
    for (std::size_t i = 0; i < length_bytes; ++i) head.payload_size = head.payload_size << 8 | bytes[2 + i];
  }
  if (head.masked) std::memcpy(&head.mask, bytes + head.head_size - 4, 4);
  return true;
}

/// Writes a head of at most 14 bytes and returns its size; `mask` is null for a server.
inline std::size_t write_frame_head(unsigned char* to, unsigned char first, std::uint64_t size,
                                    const std::uint32_t* mask) {
  const unsigned char mask_bit = mask != nullptr ? 0x80 : 0;
  std::size_t at = 2;
  to[0] = first;
  if (size < 126) {
    to[1] = static_cast<unsigned char>(size) | mask_bit;
  } else {
    const int length_bytes = size < 65536 ? 2 : 8;
    to[1] = static_cast<unsigned char>(length_bytes == 2 ? 126 : 127) | mask_bit;
    for (int i = length_bytes - 1; i >= 0; --i) to[at++] = static_cast<unsigned char>(size >> (8 * i));
  }
  if (mask != nullptr) {
    std::memcpy(to + at, mask, 4);
    at += 4;
  }
  return at;
}

/// The value of the field `name` at or after `from` in a head (with its start line), without blanks around
/// it; `from` moves behind it, so that calling again finds the next of that name. Empty when there is none.
inline std::string_view find_field(std::string_view head, std::string_view name, std::size_t& from) {
  while ((from = head.find("\r\n", from)) != std::string_view::npos) {
    from += 2;
    const auto line = head.substr(from, head.find("\r\n", from) - from);
    if (line.size() <= name.size() || line[name.size()] != ':') continue;
    if (strncasecmp(line.data(), name.data(), name.size()) != 0) continue;
    auto value = line.substr(name.size() + 1);
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
    while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
    return value;
  }
  from = head.size();
  return {};
}

inline std::string_view find_field(std::string_view head, std::string_view name) {
  std::size_t from = 0;
  return find_field(head, name, from);
}

}  // namespace bench
