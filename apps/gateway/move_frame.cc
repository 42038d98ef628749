#include "apps/gateway/move_frame.h"

#include <algorithm>

#include "base/pack.h"

namespace rejoin::gateway {

std::string MoveFrame::bytes() const {
  std::string out;
  Packer pack(out);
  pack.u8(static_cast<std::uint8_t>(kind));
  pack.u8(static_cast<std::uint8_t>(why));
  pack.u16(code);
  pack.u32(serial);
  pack.u32(number);
  pack.raw(as_bytes(id.bytes));
  pack.raw({secret.data(), secret.size()});
  pack.u64(static_cast<std::uint64_t>(std::max(keep, Duration(0)).count()));
  pack.raw(as_bytes(client.ip));
  pack.u16(client.port);
  pack.u8(static_cast<std::uint8_t>(client.family));
  pack.raw(body);
  return out;
}

std::optional<MoveFrame> MoveFrame::read(Bytes bytes) {
  MoveFrame out;
  constexpr std::size_t kFixed =
      1 + 1 + 2 + 4 + 4 + sizeof(id.bytes) + sizeof(secret) + 8 + sizeof(client.ip) + 3;
  if (bytes.size() < kFixed) return std::nullopt;
  Unpacker in(bytes.substr(0, kFixed));
  out.kind = static_cast<Kind>(in.u8());
  out.why = static_cast<Why>(in.u8());
  out.code = in.u16();
  out.serial = in.u32();
  out.number = in.u32();
  const Bytes of_id = in.raw(out.id.bytes.size());
  std::copy(of_id.begin(), of_id.end(), reinterpret_cast<char*>(out.id.bytes.data()));
  const Bytes of_secret = in.raw(out.secret.size());
  std::copy(of_secret.begin(), of_secret.end(), out.secret.begin());
  out.keep = Duration(static_cast<Duration::rep>(in.u64()));
  const Bytes ip = in.raw(out.client.ip.size());
  std::copy(ip.begin(), ip.end(), reinterpret_cast<char*>(out.client.ip.data()));
  out.client.port = in.u16();
  out.client.family = static_cast<Address::Family>(in.u8());
  out.body = bytes.substr(kFixed);
  if (!in.done() || out.kind < Kind::ready || out.kind > Kind::done) return std::nullopt;
  return out;
}

}  // namespace rejoin::gateway
