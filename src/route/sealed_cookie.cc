#include "route/sealed_cookie.h"

#include <algorithm>
#include <limits>

#include "base/bytes.h"

namespace rejoin::route {
namespace {

constexpr std::size_t kDateBytes = 4;

std::uint32_t narrow(UnixSeconds date) {
  return static_cast<std::uint32_t>(
      std::clamp<UnixSeconds>(date, 0, std::numeric_limits<std::uint32_t>::max()));
}

Reason reason_of(Opened opened) {
  switch (opened) {
    case Opened::ok: return Reason::found;
    case Opened::malformed: return Reason::malformed;
    case Opened::unknown_key: return Reason::unknown_key;
    case Opened::forged: return Reason::forged;
  }
  return Reason::malformed;
}

}  // namespace

SealedCookie::SealedCookie(const Pool& pool, Seal& seal, std::string cookie_name)
    : pool_(pool), seal_(seal), name_(std::move(cookie_name)), bound_(pool.name()) {
  // The zero keeps pool "a" with cookie "bc" apart from pool "ab" with cookie "c": a token has no zero in it.
  bound_.append(1, '\0').append(name_);
}

Pin SealedCookie::open(std::string_view text) {
  Pin pin;
  pin.reason = reason_of(seal_.open(Purpose::cookie, bound_, text, plaintext_));
  if (!pin.found()) return pin;
  // A sealed text of this purpose with no room for the dates is not what any version of ours wrote.
  if (plaintext_.size() <= 2 * kDateBytes) {
    pin.reason = Reason::malformed;
    return pin;
  }
  pin.first_use = load_u32(plaintext_.data());
  pin.last_use = load_u32(plaintext_.data() + kDateBytes);
  const auto server = pool_.index_of(std::string_view(plaintext_).substr(2 * kDateBytes));
  if (!server) {
    pin.reason = Reason::unknown_server;
    return pin;
  }
  pin.server = *server;
  pin.older_key = seal_.is_of_older_key(text);
  return pin;
}

void SealedCookie::seal(ServerIndex server, UnixSeconds first_use, UnixSeconds last_use, std::string& out) {
  const std::string& server_name = pool_.server(server).name;
  plaintext_.resize(2 * kDateBytes);
  store_u32(plaintext_.data(), narrow(first_use));
  store_u32(plaintext_.data() + kDateBytes, narrow(last_use));
  plaintext_.append(server_name);
  seal_.seal(Purpose::cookie, bound_, plaintext_, out);
}

bool SealedCookie::is_deleted_by(const proto::ResponseHead& head, UnixSeconds unix_now) const {
  for (const proto::Field& field : head.all(proto::KnownField::set_cookie)) {
    const proto::SetCookie set = proto::SetCookie::parse(head.value(field));
    if (set.name == name_ && is_deleted(set, unix_now)) return true;
  }
  return false;
}

}  // namespace rejoin::route
