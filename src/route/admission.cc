#include "route/admission.h"

#include <algorithm>
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
  Core* core = nullptr;
  Address key;
  TimePoint paid_until{};  // its handshakes up to now are forgiven at that moment
  std::uint32_t connections = 0;
};

struct alignas(64) Admission::Shard {
  explicit Shard(AddressHash hash) : sources(0, hash) {}
  /// Under the lock. Forgets those who are idle and owe nothing, and in a full shard the one that has been
  /// idle for longest, whatever it owes.
  bool make_room(std::size_t most, TimePoint now) {
    for (int i = 0; i < kForgottenPerCallMax && !idle.empty(); ++i) {
      Source& oldest = idle.front();
      if (oldest.paid_until > now && sources.size() < most) break;
      const Address key = oldest.key;
      oldest.leave();
      sources.erase(key);
    }
    return sources.size() < most;
  }

  mutable std::mutex lock;
  List<Source> idle;
  std::unordered_map<Address, Source, AddressHash> sources;
};

struct Admission::Core {
  Core(AdmissionRules of, Random& random)
      : rules(std::move(of)), hash(random), shard_max(std::max<std::size_t>(1, rules.sources_max / kShards)) {
    if (rules.handshakes_per_second != 0) every = Duration(1s) / rules.handshakes_per_second;
    for (auto& shard : shards) shard = std::make_unique<Shard>(hash);
    nobody.core = this;
  }
  // Other bits than those that choose the bucket.
  Shard& shard_of(const Address& key) const { return *shards[hash(key) >> 32 & (kShards - 1)]; }

  const AdmissionRules rules;
  Duration every{};  // of handshakes
  const AddressHash hash;
  const std::size_t shard_max;
  std::array<std::unique_ptr<Shard>, kShards> shards;
  Source nobody;                          // whose connection it is as long as it has no name
  std::atomic<std::uint32_t> holders{1};  // connections, and the Admission
  std::atomic<std::uint64_t> uncounted{0};
};

Admission::Admission(AdmissionRules rules, Random& random) : core_(new Core(std::move(rules), random)) {}

Admission::~Admission() { leave(*core_); }

void Admission::leave(Core& core) {
  if (core.holders.fetch_sub(1, std::memory_order_acq_rel) == 1) delete &core;
}

std::uint32_t Admission::connections() const { return core_->holders.load(std::memory_order_relaxed) - 1; }

std::uint64_t Admission::uncounted() const { return core_->uncounted.load(std::memory_order_relaxed); }

Refusal Admission::enter(Pass& pass) {
  const std::uint32_t others = core_->holders.fetch_add(1, std::memory_order_relaxed) - 1;
  if (core_->rules.connections_max != 0 && others >= core_->rules.connections_max) {
    core_->holders.fetch_sub(1, std::memory_order_relaxed);  // ours is left, so this is never the last
    return Refusal::full;
  }
  pass.source_ = &core_->nobody;
  return Refusal::none;
}

Refusal Admission::name(Pass& pass, const Address& client, TimePoint now) {
  const AdmissionRules& rules = core_->rules;
  if (rules.deny.has(client) || (!rules.allow.empty() && !rules.allow.has(client))) return Refusal::denied;
  if (!rules.counts_clients()) return Refusal::none;
  const Address key = client.prefix(client.family == Address::Family::ipv6 ? rules.prefix_v6 : rules.prefix);
  Shard& shard = core_->shard_of(key);
  const std::lock_guard lock(shard.lock);
  auto at = shard.sources.find(key);
  if (at == shard.sources.end()) {
    if (!shard.make_room(core_->shard_max, now)) {
      core_->uncounted.fetch_add(1, std::memory_order_relaxed);
      return Refusal::none;
    }
    at = shard.sources.try_emplace(key).first;
    at->second.core = core_;
    at->second.key = key;
    shard.idle.push_back(at->second);
  }
  Source& source = at->second;
  if (rules.connections_per_client != 0 && source.connections >= rules.connections_per_client)
    return Refusal::client_full;
  if (rules.handshakes_per_second != 0) {
    const TimePoint paid = std::max(source.paid_until, now) + core_->every;
    if (paid > now + core_->every * rules.handshakes_per_second) return Refusal::client_too_fast;
    source.paid_until = paid;
  }
  source.leave();
  ++source.connections;
  pass.source_ = &source;
  return Refusal::none;
}

void Admission::release(Source& source) {
  Core& core = *source.core;
  if (&source != &core.nobody) {
    Shard& shard = core.shard_of(source.key);
    const std::lock_guard lock(shard.lock);
    if (--source.connections == 0) shard.idle.push_back(source);
  }
  leave(core);
}

std::size_t Admission::sources() const {
  std::size_t all = 0;
  for (const auto& shard : core_->shards) {
    const std::lock_guard lock(shard->lock);
    all += shard->sources.size();
  }
  return all;
}

}  // namespace rejoin::route
