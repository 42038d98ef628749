// rejoin.v1 (spec/resume.md) as far as the load generator speaks it: the frames that a client sends. Written
// apart from src/ on purpose, as ws_wire.h is. Owner: none. Thread: any.
#pragma once

#include <openssl/evp.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "ws_wire.h"

namespace bench {

/// What a client of the resume protocol keeps of its session.
struct Session {
  std::string secret;
  std::string ticket;
  std::uint32_t epoch = 1;
  std::uint64_t received = 0;  // DATA of the gateway
  std::uint64_t sent = 0;
};

/// The 10 bytes before each frame's body, to `to`.
inline void write_frame_start(unsigned char* to, unsigned char type, std::uint32_t seq, std::uint32_t ack) {
  to[0] = type;
  to[1] = 0;
  for (unsigned i = 0; i < 4; ++i) {
    to[2 + i] = static_cast<unsigned char>(seq >> (24 - 8 * i));
    to[6 + i] = static_cast<unsigned char>(ack >> (24 - 8 * i));
  }
}
inline std::string frame_head(unsigned char type, std::uint32_t seq, std::uint32_t ack) {
  unsigned char start[10];
  write_frame_start(start, type, seq, ack);
  return std::string(reinterpret_cast<char*>(start), sizeof start);
}
inline std::string hello_frame() {
  std::string out = frame_head(0x01, 0, 0);
  constexpr std::string_view body(
      "\x01\x00\x05"
      "bench\x00\x00",
      10);  // version 1, identity, application
  return out.append(body);
}
inline std::string resume_frame(Session& session) {
  std::string out = frame_head(0x03, 0, 0);
  const std::size_t size = session.ticket.size();
  out += static_cast<char>(size >> 8);
  out += static_cast<char>(size);
  out += session.ticket;
  ++session.epoch;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(session.epoch >> shift);
  for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(session.received >> shift);
  const std::string proven = "rejoin.v1 resume" + out;
  unsigned char proof[32];
  std::size_t proof_size = sizeof proof;
  if (EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA256", nullptr, session.secret.data(), session.secret.size(),
                reinterpret_cast<const unsigned char*>(proven.data()), proven.size(), proof, sizeof proof,
                &proof_size) == nullptr)
    die("HMAC");
  return out.append(reinterpret_cast<char*>(proof), sizeof proof);
}
inline std::string base64url(const std::string& bytes) {
  std::string text = base64(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  for (char& c : text) c = c == '+' ? '-' : c == '/' ? '_' : c;
  text.erase(text.find_last_not_of('=') + 1);
  return text;
}

}  // namespace bench
