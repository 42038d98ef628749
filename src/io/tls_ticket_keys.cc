#include "io/tls_ticket_keys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <string>

namespace rejoin::io {

TlsTicketKeys::Secret::~Secret() { OPENSSL_cleanse(bytes.data(), bytes.size()); }

TlsTicketKeys::TlsTicketKeys(std::vector<Secret> fleet, const Secret& process, Duration lifetime)
    : lifetime_s_(std::chrono::duration_cast<std::chrono::seconds>(lifetime).count()),
      fleet_(std::move(fleet)),
      process_(process) {
  assert(!fleet_.empty() && lifetime_s_ >= 1);
}

TlsTicketKeys::Secret TlsTicketKeys::derive(const Secret& from, std::string_view purpose,
                                            std::int64_t period) {
  const std::string what = "rejoin tls ticket " + std::string(purpose) + " " + std::to_string(period);
  Secret out;
  unsigned length = 0;
  const auto* made =
      HMAC(EVP_sha256(), from.bytes.data(), static_cast<int>(from.bytes.size()),
           reinterpret_cast<const unsigned char*>(what.data()), what.size(), out.bytes.data(), &length);
  if (made == nullptr || length != out.bytes.size()) std::abort();  // out of memory
  return out;
}

TlsTicketKeys::Key TlsTicketKeys::key_of(const Secret& from, std::int64_t period) {
  Key key{.name = {}, .cipher = derive(from, "cipher", period), .mac = derive(from, "mac", period)};
  const Secret name = derive(from, "name", period);
  std::copy_n(name.bytes.begin(), key.name.size(), key.name.begin());
  return key;
}

// A clock that goes back does not bring old keys back: the process's own are gone.
void TlsTicketKeys::advance(UnixSeconds now) {
  const std::int64_t period = now / lifetime_s_;
  if (period <= period_ && !keys_.empty()) return;
  // One step whatever the time that went by, with its number in it; the secret of before is overwritten.
  std::optional<Key> before;
  if (!keys_.empty() && period == period_ + 1) before = keys_[fleet_.size()].key;
  process_ = derive(process_, "step", period);
  make_keys(period, before);
}

void TlsTicketKeys::make_keys(std::int64_t period, const std::optional<Key>& before) {
  std::vector<Found> next;
  next.reserve(3 * fleet_.size() + 2);
  for (const std::int64_t at : {period, period - 1, period + 1}) {
    for (const Secret& secret : fleet_) {
      next.push_back({key_of(secret, at), at == period && &secret == &fleet_.front()});
    }
    if (at != period) continue;
    next.push_back({key_of(process_, period), true});
    if (before) next.push_back({*before, false});
  }
  period_ = period;
  keys_ = std::move(next);
}

TlsTicketKeys::Own TlsTicketKeys::own(UnixSeconds now) {
  const std::lock_guard lock(mutex_);
  advance(now);
  Own out{lifetime_s_, period_, process_};
  if (has_key_of_before()) out.before = keys_[fleet_.size() + 1].key;
  return out;
}

bool TlsTicketKeys::go_on_with(const Own& own) {
  if (own.lifetime_s != lifetime_s_) return false;
  const std::lock_guard lock(mutex_);
  process_ = own.process;
  make_keys(own.period, own.before);
  return true;
}

TlsTicketKeys::Key TlsTicketKeys::current(Kind kind, UnixSeconds now) {
  const std::lock_guard lock(mutex_);
  advance(now);
  return keys_[kind == Kind::of_fleet ? 0 : fleet_.size()].key;
}

std::optional<TlsTicketKeys::Found> TlsTicketKeys::find(Bytes name, UnixSeconds now) {
  const std::lock_guard lock(mutex_);
  advance(now);
  const auto found = std::find_if(keys_.begin(), keys_.end(), [&](const Found& one) {
    return Bytes(reinterpret_cast<const char*>(one.key.name.data()), one.key.name.size()) == name;
  });
  if (found == keys_.end()) return std::nullopt;
  return *found;
}

}  // namespace rejoin::io
