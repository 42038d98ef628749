#include "route/admission.h"

#include <algorithm>
#include <cassert>
#include <mutex>
#include <unordered_map>

#include "base/intrusive_list.h"

namespace rejoin::route {
namespace {

/// Looked at in passing, in the order in which they fell idle: more than one, so that the table shrinks while
/// clients come; few, so that none of them pays for all.
constexpr int kForgottenPerCallMax = 2;

}  // namespace

std::string_view to_string(Refusal refusal) {
  switch (refusal) {
    case Refusal::none: return "none";
    case Refusal::denied: return "its address is not allowed";
    case Refusal::full: return "the listener has connections_max connections";
    case Refusal::client_full: return "the client has connections_per_client connections";
    case Refusal::client_too_fast: return "the client begins more than handshakes_per_second";
  }
  return "?";
}

/// In its shard's map; in the list of idle ones while it has no connection.
struct Admission::Source : ListNode {
  Admission* home = nullptr;
  Address key;
  TimePoint paid_until{};  // its handshakes up to now are forgiven at that moment
  std::uint32_t connections = 0;
};

struct alignas(64) Admission::Shard {
  explicit Shard(AddressHash hash) : sources(0, hash) {}
  mutable std::mutex lock;
  List<Source> idle;
  std::unordered_map<Address, Source, AddressHash> sources;
};

Admission::Admission(AdmissionRules rules, Random& random)
    : rules_(std::move(rules)),
      hash_(random),
      shard_max_(std::max<std::size_t>(1, rules_.sources_max / kShards)),
      nobody_(std::make_unique<Source>()) {
  nobody_->home = this;
  if (rules_.handshakes_per_second != 0) every_ = Duration(1s) / rules_.handshakes_per_second;
  for (auto& shard : shards_) shard = std::make_unique<Shard>(hash_);
}

Admission::~Admission() { assert(connections() == 0 && "a Pass outlives its Admission"); }

Admission::Shard& Admission::shard_of(const Address& key) const {
  return *shards_[hash_(key) >> 32 & (kShards - 1)];  // other bits than those that choose the bucket
}

Refusal Admission::enter(Pass& pass) {
  const std::uint32_t others = connections_.fetch_add(1, std::memory_order_relaxed);
  if (rules_.connections_max != 0 && others >= rules_.connections_max) {
    connections_.fetch_sub(1, std::memory_order_relaxed);
    return Refusal::full;
  }
  pass.source_ = nobody_.get();
  return Refusal::none;
}

Refusal Admission::name(Pass& pass, const Address& client, TimePoint now) {
  if (rules_.deny.has(client) || (!rules_.allow.empty() && !rules_.allow.has(client))) return Refusal::denied;
  if (!rules_.counts_clients()) return Refusal::none;
  const Address key =
      client.prefix(client.family == Address::Family::ipv6 ? rules_.prefix_v6 : rules_.prefix);
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.lock);
  auto at = shard.sources.find(key);
  if (at == shard.sources.end()) {
    if (!make_room(shard, now)) {
      uncounted_.fetch_add(1, std::memory_order_relaxed);
      return Refusal::none;
    }
    at = shard.sources.try_emplace(key).first;
    at->second.home = this;
    at->second.key = key;
    shard.idle.push_back(at->second);
  }
  Source& source = at->second;
  if (rules_.connections_per_client != 0 && source.connections >= rules_.connections_per_client)
    return Refusal::client_full;
  if (rules_.handshakes_per_second != 0) {
    const TimePoint paid = std::max(source.paid_until, now) + every_;
    if (paid > now + every_ * rules_.handshakes_per_second) return Refusal::client_too_fast;
    source.paid_until = paid;
  }
  source.leave();
  ++source.connections;
  pass.source_ = &source;
  return Refusal::none;
}

/// Under the shard's lock. Forgets those who are idle and owe nothing, and in a full shard the one that has
/// been idle for longest, whatever it owes.
bool Admission::make_room(Shard& shard, TimePoint now) const {
  for (int i = 0; i < kForgottenPerCallMax && !shard.idle.empty(); ++i) {
    Source& oldest = shard.idle.front();
    if (oldest.paid_until > now && shard.sources.size() < shard_max_) break;
    const Address key = oldest.key;
    oldest.leave();
    shard.sources.erase(key);
  }
  return shard.sources.size() < shard_max_;
}

void Admission::release(Source& source) {
  Admission& home = *source.home;
  home.connections_.fetch_sub(1, std::memory_order_relaxed);
  if (&source == home.nobody_.get()) return;
  Shard& shard = home.shard_of(source.key);
  const std::lock_guard lock(shard.lock);
  if (--source.connections == 0) shard.idle.push_back(source);
}

std::size_t Admission::sources() const {
  std::size_t all = 0;
  for (const auto& shard : shards_) {
    const std::lock_guard lock(shard->lock);
    all += shard->sources.size();
  }
  return all;
}

}  // namespace rejoin::route
