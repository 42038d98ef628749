#include "route/lease_table.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "base/intrusive_list.h"

namespace rejoin::route {
namespace {

/// Expired leases taken out in passing: more than one per call, so that a table cannot stay full of them;
/// few, so that no caller pays for a million.
constexpr int kExpiredPerCallMax = 4;
constexpr int kExpiredPerTickMax = 256;
/// Below this a shard would be so small that chance fills one while others are empty.
constexpr std::size_t kLeasesPerShardMin = 1024;

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

}  // namespace

/// An address's pin. In the shard's map; in its list of closed ones while no connection is open.
struct Lease::Entry : ListNode {
  const Address* key = nullptr;  // the map's
  TimePoint expires = kNever;    // when closed
  std::uint32_t open = 0;        // connections
  ServerNumber server = 0;
  bool unpinned = false;
};

struct alignas(64) LeaseTable::Shard {
  mutable std::mutex lock;
  List<Entry> closed;  // in the order of their closing
  std::unordered_map<Address, Entry, Hash> entries;
  std::size_t open = 0;  // entries with a connection open

  Shard(Hash hash) : entries(0, hash) {}
};

Lease::Lease(Lease&& other) noexcept
    : table_(std::exchange(other.table_, nullptr)), entry_(std::exchange(other.entry_, nullptr)) {}

Lease& Lease::operator=(Lease&& other) noexcept {
  std::swap(table_, other.table_);
  std::swap(entry_, other.entry_);
  return *this;
}

Lease::~Lease() {
  if (entry_ != nullptr) close(TimePoint(Duration(table_->latest_.load(std::memory_order_relaxed))));
}

void Lease::close(TimePoint now) {
  if (entry_ != nullptr) table_->close(*std::exchange(entry_, nullptr), now);
}

void Lease::move_to(ServerNumber server) {
  if (entry_ == nullptr) return;
  const std::lock_guard hold(table_->shard_of(*entry_->key).lock);
  entry_->server = server;
  entry_->unpinned = false;
}

void Lease::unpin() {
  if (entry_ == nullptr) return;
  const std::lock_guard hold(table_->shard_of(*entry_->key).lock);
  entry_->unpinned = true;
}

std::size_t LeaseTable::Hash::operator()(const Address& key) const {
  std::uint64_t high, low;
  std::memcpy(&high, key.ip.data(), 8);
  std::memcpy(&low, key.ip.data() + 8, 8);
  // Two rounds, each with a secret in it: one alone would leave the factor of low bits to guess.
  return mix(mix(high ^ seed, 0x9e3779b97f4a7c15ULL ^ low ^ (seed << 32 | seed >> 32)), seed | 1);
}

LeaseTable::LeaseTable(const LeaseRules& rules, Random& random)
    : rules_(rules),
      hash_{random.u64()},
      shards_used_(rules.leases_max >= kShards * kLeasesPerShardMin ? kShards : 1),
      shard_max_(std::max<std::size_t>(1, rules.leases_max / shards_used_)) {
  for (std::size_t i = 0; i < shards_used_; ++i) shards_[i] = std::make_unique<Shard>(hash_);
}

LeaseTable::~LeaseTable() { assert(size().open == 0); }

Address LeaseTable::key_of(const Address& client) const {
  return client.prefix(client.family == Address::Family::ipv4 ? rules_.prefix : rules_.prefix_v6);
}

LeaseTable::Shard& LeaseTable::shard_of(const Address& key) const {
  // The map takes the low bits of the same hash for its buckets, so the shard is chosen by the high ones.
  return *shards_[(hash_(key) >> 32) % shards_used_];
}

void LeaseTable::tell(TimePoint now) {
  const Duration::rep told = now.time_since_epoch().count();
  Duration::rep latest = latest_.load(std::memory_order_relaxed);
  while (latest < told && !latest_.compare_exchange_weak(latest, told, std::memory_order_relaxed)) {
  }
}

void LeaseTable::expire(Shard& shard, TimePoint now, int entries_max) {
  for (int i = 0; i < entries_max && !shard.closed.empty(); ++i) {
    if (shard.closed.front().expires > now) return;
    forget(shard, shard.closed.front());
  }
}

void LeaseTable::forget(Shard& shard, Entry& entry) {
  entry.leave();
  const Address key = *entry.key;  // a copy: the original dies in erase()
  shard.entries.erase(key);
}

std::optional<ServerNumber> LeaseTable::find(const Address& client, TimePoint now) {
  tell(now);
  const Address key = key_of(client);
  Shard& shard = shard_of(key);
  const std::lock_guard hold(shard.lock);
  expire(shard, now, kExpiredPerCallMax);
  const auto found = shard.entries.find(key);
  if (found == shard.entries.end()) return std::nullopt;
  const Entry& entry = found->second;
  if (entry.unpinned) return std::nullopt;
  if (entry.open == 0 && entry.expires <= now) return std::nullopt;  // expire() has not come to it yet
  return entry.server;
}

Lease LeaseTable::open(const Address& client, ServerNumber server, TimePoint now) {
  tell(now);
  const Address key = key_of(client);
  Shard& shard = shard_of(key);
  const std::lock_guard hold(shard.lock);
  expire(shard, now, kExpiredPerCallMax);

  auto found = shard.entries.find(key);
  if (found == shard.entries.end()) {
    if (shard.entries.size() >= shard_max_) {
      if (shard.closed.empty()) {
        refused_.fetch_add(1, std::memory_order_relaxed);
        return {};
      }
      forget(shard, shard.closed.front());
      evicted_.fetch_add(1, std::memory_order_relaxed);
    }
    found = shard.entries.try_emplace(key).first;
    found->second.key = &found->first;
  }
  Entry& entry = found->second;
  entry.leave();
  entry.server = server;
  entry.unpinned = false;
  if (entry.open++ == 0) ++shard.open;
  return Lease(*this, entry);
}

void LeaseTable::close(Entry& entry, TimePoint now) {
  tell(now);
  Shard& shard =
      shard_of(*entry.key);  // the key of an open entry never changes: no lock is needed to read it
  const std::lock_guard hold(shard.lock);
  assert(entry.open > 0);
  if (--entry.open > 0) return;
  --shard.open;
  if (entry.unpinned) return forget(shard, entry);
  entry.expires = now + rules_.grace;
  shard.closed.push_back(entry);
}

std::vector<LeaseTable::Pin> LeaseTable::pins(TimePoint now) const {
  std::vector<Pin> out, open;
  for (std::size_t i = 0; i < shards_used_; ++i) {
    const std::lock_guard hold(shards_[i]->lock);
    for (const auto& [key, entry] : shards_[i]->entries) {
      if (entry.unpinned) continue;
      if (entry.open > 0) {
        open.push_back({key, entry.server, true, {}});
      } else if (entry.expires > now) {
        out.push_back({key, entry.server, false, entry.expires - now});
      }
    }
  }
  std::ranges::stable_sort(out, {}, &Pin::left);
  out.insert(out.end(), open.begin(), open.end());
  return out;
}

void LeaseTable::remember(const Address& client, ServerNumber server, Duration left, TimePoint now) {
  const Address key = key_of(client);
  Shard& shard = shard_of(key);
  const std::lock_guard hold(shard.lock);
  if (shard.entries.size() >= shard_max_) return;
  const auto [found, is_new] = shard.entries.try_emplace(key);
  if (!is_new) return;
  Entry& entry = found->second;
  entry.key = &found->first;
  entry.server = server;
  entry.expires = now + std::min(left, rules_.grace);
  shard.closed.push_back(entry);
}

void LeaseTable::tick(TimePoint now) {
  tell(now);
  for (std::size_t i = 0; i < shards_used_; ++i) {
    const std::lock_guard hold(shards_[i]->lock);
    expire(*shards_[i], now, kExpiredPerTickMax);
  }
}

LeaseTable::Size LeaseTable::size() const {
  Size size;
  for (std::size_t i = 0; i < shards_used_; ++i) {
    const std::lock_guard hold(shards_[i]->lock);
    size.addresses += shards_[i]->entries.size();
    size.open += shards_[i]->open;
  }
  return size;
}

}  // namespace rejoin::route
