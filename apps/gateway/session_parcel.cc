#include "apps/gateway/session_parcel.h"

#include <algorithm>

#include "base/pack.h"

namespace rejoin::gateway {
namespace {

constexpr std::uint8_t kForm = 1;

Error not_ours(std::string detail) {
  return {ErrorKind::unsupported, Side::ours, Retry::no, std::move(detail)};
}

}  // namespace

void SessionParcel::write(std::string& out, TimePoint now) const {
  Packer pack(out);
  pack.u8(kForm);
  std::string whole;
  session->save_whole(whole, now);
  pack.bytes(whole);
  pack.raw(as_bytes(client.ip));
  pack.u16(client.port);
  pack.u8(static_cast<std::uint8_t>(client.family));
  pack.u32(links);
  pack.u32(taking_bytes);
  pack.u32(ticket_renewal);
  pack.u16(closing_code);
  pack.flag(game_over);
  pack.flag(finished);
  pack.flag(has_stalled);
  pack.u8(static_cast<std::uint8_t>(stalled_kind));
  pack.bytes(stalled);
  // Moments of the future, at most some seconds away: how far.
  for (const TimePoint paid : {rate_messages, rate_bytes})
    pack.u64(paid == kNever ? 0 : static_cast<std::uint64_t>(std::max(paid - now, Duration(0)).count()));
  pack.flag(has_socket);
  pack.bytes(game);
}

Result<SessionParcel> SessionParcel::read(Bytes bytes, const session::SessionRules& rules, TimePoint now) {
  SessionParcel out;
  Unpacker in(bytes);
  if (in.u8() != kForm) return not_ours("its form is of another version");
  std::optional<session::Session> restored = session::Session::restore_whole(in.bytes(), rules, now);
  if (restored) out.restored.emplace(std::move(*restored));
  const Bytes ip = in.raw(out.client.ip.size());
  if (in.ok()) std::copy_n(ip.data(), ip.size(), reinterpret_cast<char*>(out.client.ip.data()));
  out.client.port = in.u16();
  const std::uint8_t family = in.u8();
  out.client.family = static_cast<Address::Family>(family);
  out.links = in.u32();
  out.taking_bytes = in.u32();
  out.ticket_renewal = in.u32();
  out.closing_code = in.u16();
  out.game_over = in.flag();
  out.finished = in.flag();
  out.has_stalled = in.flag();
  out.stalled_kind = static_cast<upstream::MessageKind>(in.u8() & 1);
  out.stalled = in.bytes();
  out.rate_messages = now + Duration(static_cast<Duration::rep>(in.u64()));
  out.rate_bytes = now + Duration(static_cast<Duration::rep>(in.u64()));
  out.has_socket = in.flag();
  out.game = in.bytes();
  if (!out.restored || !in.done()) return not_ours("it cannot be read");
  return out;
}

}  // namespace rejoin::gateway
