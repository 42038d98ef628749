#include "apps/balancer/knowledge.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>
#include <utility>

#include "base/limits.h"
#include "base/pack.h"

namespace rejoin::balancer {
namespace {

using Id = std::uint8_t;

// The IDs, by the record that they are in. Never used again for something else.
namespace top {
enum : Id { taken_at = 1, pool, word, made_up_key, key_id, tickets, name };
}
namespace pool {
enum : Id { name = 1, checks, server };
}
namespace server {
enum : Id { configured = 1, order, weight, drain_end, drain_close, health };
}
// config::Server and route::Server.
namespace entry {
enum : Id { name = 1, address, weight, backup, max_connections, tls_name, resolve, port, type };
}
namespace health {
enum : Id { up = 1, probation, streak, away_since, drains_until, came_up, out_until, share, failure };
}
namespace word {
enum : Id { pool = 1, name, server, in_file };
}
namespace tickets {
enum : Id { lifetime_s = 1, period, process, before };
}
namespace key {
enum : Id { name = 1, cipher, mac };
}
namespace name {
enum : Id { name = 1, kind, port, found };
}
namespace found {
enum : Id { address = 1, host, weight, backup };
}

constexpr std::size_t kFieldHeadBytes = 1 + 4;
constexpr std::uint64_t kMomentMax = (std::uint64_t{1} << 48) - 1;  // HealthState's: 8,900 years
constexpr std::uint64_t kNoEndMax = std::uint64_t{1} << 62;         // "until kNever" is a moment, too
constexpr std::size_t kFailuresMax = 1000;                          // PassiveRules' failures

/// A value and its word in the bytes: an enum's numbers may change from version to version.
template <typename Value>
using Named = std::pair<Value, std::string_view>;
constexpr Named<route::ServerOrder> kOrders[] = {{route::ServerOrder::ready, "ready"},
                                                 {route::ServerOrder::drain, "drain"},
                                                 {route::ServerOrder::maintenance, "maintenance"}};
constexpr Named<route::HealthKind> kChecks[] = {{route::HealthKind::off, "off"},
                                                {route::HealthKind::tcp, "tcp"},
                                                {route::HealthKind::http, "http"},
                                                {route::HealthKind::tls, "tls"}};
constexpr Named<config::NameType> kTypes[] = {
    {config::NameType::a, "a"}, {config::NameType::aaaa, "aaaa"}, {config::NameType::srv, "srv"}};
constexpr Named<upstream::NameKind> kKinds[] = {
    {upstream::NameKind::a, "a"}, {upstream::NameKind::aaaa, "aaaa"}, {upstream::NameKind::srv, "srv"}};

// --- writing ---

class Fields {
 public:
  explicit Fields(SecretBytes& out) : out_(out) {}

  void number(Id id, std::uint64_t value) {
    char at[8];
    store_u64(at, value);
    bytes(id, {at, sizeof at});
  }
  void bytes(Id id, Bytes some) {
    head(id, some.size());
    append(out_, some);
  }
  template <std::size_t kSize>
  void bytes(Id id, const std::array<std::uint8_t, kSize>& some) {
    bytes(id, as_bytes(some));
  }
  template <typename Value, std::size_t kCount>
  void word(Id id, Value value, const Named<Value> (&words)[kCount]) {
    for (const auto& [one, text] : words) {
      if (one == value) bytes(id, text);
    }
  }
  /// `inner` writes its fields.
  template <typename Inner>
  void record(Id id, Inner inner) {
    const std::size_t at = out_.size();
    head(id, 0);
    inner();
    store_u32(out_.data() + at + 1, static_cast<std::uint32_t>(out_.size() - at - kFieldHeadBytes));
  }

 private:
  void head(Id id, std::size_t length) {
    char at[kFieldHeadBytes] = {static_cast<char>(id)};
    store_u32(at + 1, static_cast<std::uint32_t>(length));
    append(out_, {at, sizeof at});
  }

  SecretBytes& out_;
};

void write(Fields& to, const route::Server& it) {
  to.bytes(entry::name, it.name);
  to.bytes(entry::address, it.address.text());
  to.number(entry::weight, it.weight);
  to.number(entry::backup, it.backup);
  to.number(entry::max_connections, it.max_connections);
  to.bytes(entry::tls_name, it.tls_name);
}

void write(Fields& to, const config::Server& it) {
  to.bytes(entry::name, it.name);
  if (it.address) to.bytes(entry::address, it.address.text());
  to.number(entry::weight, static_cast<std::uint64_t>(it.weight));
  to.number(entry::backup, it.backup);
  to.number(entry::max_connections, static_cast<std::uint64_t>(it.max_connections));
  to.bytes(entry::tls_name, it.tls_name);
  to.bytes(entry::resolve, it.resolve);
  to.number(entry::port, static_cast<std::uint64_t>(it.port));
  to.word(entry::type, it.type, kTypes);
}

void write(Fields& to, const route::ServerHealth& it) {
  to.number(health::up, it.state.up);
  to.number(health::probation, it.state.probation);
  to.number(health::streak, it.state.streak);
  to.number(health::away_since, it.state.away_since_ms);
  to.number(health::drains_until, it.drains_until);
  to.number(health::came_up, it.came_up);
  to.number(health::out_until, it.out_until);
  to.number(health::share, it.share_percent);
  for (const TimePoint at : it.failures) to.number(health::failure, route::monotonic_ms(at));
}

void write(Fields& to, const KnownPool& it) {
  to.bytes(pool::name, it.name);
  to.word(pool::checks, it.checks, kChecks);
  for (const KnownServer& one : it.servers) {
    to.record(pool::server, [&] {
      to.record(server::configured, [&] { write(to, one.configured); });
      to.word(server::order, one.order, kOrders);
      to.number(server::weight, one.weight);
      to.number(server::drain_end, one.drain_end.at);
      to.number(server::drain_close, one.drain_end.close);
      to.record(server::health, [&] { write(to, one.health); });
    });
  }
}

void write(Fields& to, const RuntimeServers::Word& it) {
  to.bytes(word::pool, it.pool);
  to.bytes(word::name, it.name);
  if (it.server) to.record(word::server, [&] { write(to, *it.server); });
  if (it.in_file) to.record(word::in_file, [&] { write(to, *it.in_file); });
}

void write(Fields& to, const io::TlsTicketKeys::Own& it) {
  to.number(tickets::lifetime_s, static_cast<std::uint64_t>(it.lifetime_s));
  to.number(tickets::period, static_cast<std::uint64_t>(it.period));
  to.bytes(tickets::process, it.process.bytes);
  if (!it.before) return;
  to.record(tickets::before, [&] {
    to.bytes(key::name, it.before->name);
    to.bytes(key::cipher, it.before->cipher.bytes);
    to.bytes(key::mac, it.before->mac.bytes);
  });
}

void write(Fields& to, const upstream::NameQuery& query, const std::vector<upstream::FoundServer>& answer) {
  to.bytes(name::name, query.name);
  to.word(name::kind, query.kind, kKinds);
  to.number(name::port, query.port);
  for (const upstream::FoundServer& one : answer) {
    to.record(name::found, [&] {
      to.bytes(found::address, one.address.text());
      to.bytes(found::host, one.host);
      to.number(found::weight, one.weight);
      to.number(found::backup, one.backup);
    });
  }
}

// --- reading: each says whether what it read can be ---

/// Calls `take(id, bytes)` for each field, as long as that says true. False: it did not, or a length does not
/// fit.
template <typename Take>
bool each_field(Bytes of, Take take) {
  Unpacker from(of);
  while (from.ok() && !from.done()) {
    const Id id = from.u8();
    const std::uint32_t length = from.u32();
    const Bytes bytes = from.raw(length);
    if (!from.ok() || !take(id, bytes)) return false;
  }
  return from.ok();
}

template <typename Number>
bool read_number(Bytes from, Number& out, std::uint64_t max) {
  if (from.size() != 8) return false;
  const std::uint64_t value = load_u64(from.data());
  if (value > max) return false;
  out = static_cast<Number>(value);
  return true;
}

bool read_text(Bytes from, std::string& out) {
  if (from.size() > kKnownTextBytesMax) return false;
  out = from;
  return true;
}

bool read_address(Bytes from, Address& out) {
  const auto address = Address::parse(from);
  if (!address || address->port == 0) return false;
  out = *address;
  return true;
}

template <typename Value, std::size_t kCount>
bool read_word(Bytes from, Value& out, const Named<Value> (&words)[kCount]) {
  for (const auto& [value, text] : words) {
    if (text != from) continue;
    out = value;
    return true;
  }
  return false;
}

template <std::size_t kSize>
bool read_bytes(Bytes from, std::array<std::uint8_t, kSize>& out) {
  if (from.size() != kSize) return false;
  std::copy(from.begin(), from.end(), reinterpret_cast<char*>(out.data()));
  return true;
}

bool read(Bytes from, config::Server& out) {
  const auto max_int = static_cast<std::uint64_t>(std::numeric_limits<int>::max());
  return each_field(from, [&](Id id, Bytes it) {
    switch (id) {
      case entry::name: return read_text(it, out.name);
      case entry::address: return read_address(it, out.address);
      case entry::weight: return read_number(it, out.weight, limits::kWeightMax);
      case entry::backup: return read_number(it, out.backup, 1);
      case entry::max_connections: return read_number(it, out.max_connections, max_int);
      case entry::tls_name: return read_text(it, out.tls_name);
      case entry::resolve: return read_text(it, out.resolve);
      case entry::port: return read_number(it, out.port, 65535);
      case entry::type: return read_word(it, out.type, kTypes);
      default: return true;
    }
  });
}

bool read(Bytes from, route::Server& out) {
  config::Server read_as;
  if (!read(from, read_as) || read_as.name.empty() || !read_as.address) return false;
  out = {read_as.name,
         read_as.address,
         static_cast<std::uint32_t>(read_as.weight),
         read_as.backup,
         static_cast<std::uint32_t>(read_as.max_connections),
         read_as.tls_name};
  return true;
}

bool read(Bytes from, route::ServerHealth& out) {
  std::uint64_t up = out.state.up, probation = out.state.probation, streak = 0, away = 0;
  const bool whole = each_field(from, [&](Id id, Bytes it) {
    std::uint64_t failure = 0;
    switch (id) {
      case health::up: return read_number(it, up, 1);
      case health::probation: return read_number(it, probation, 1);
      case health::streak: return read_number(it, streak, 1000);
      case health::away_since: return read_number(it, away, kMomentMax);
      case health::drains_until: return read_number(it, out.drains_until, kNoEndMax);
      case health::came_up: return read_number(it, out.came_up, kMomentMax);
      case health::out_until: return read_number(it, out.out_until, kMomentMax);
      case health::share: return read_number(it, out.share_percent, 100);
      case health::failure:
        if (out.failures.size() == kFailuresMax || !read_number(it, failure, kMomentMax)) return false;
        out.failures.push_back(TimePoint(std::chrono::milliseconds(failure)));
        return true;
      default: return true;
    }
  });
  out.state.up = up & 1;
  out.state.probation = probation & 1;
  out.state.streak = streak & 0x3FFF;
  out.state.away_since_ms = away & kMomentMax;
  return whole;
}

bool read(Bytes from, KnownServer& out) {
  bool named = false;
  std::optional<std::uint32_t> weight;
  const bool whole = each_field(from, [&](Id id, Bytes it) {
    switch (id) {
      case server::configured: return named = read(it, out.configured);
      case server::order: return read_word(it, out.order, kOrders);
      case server::weight: return read_number(it, weight.emplace(), limits::kWeightMax);
      case server::drain_end: return read_number(it, out.drain_end.at, kMomentMax);
      case server::drain_close: return read_number(it, out.drain_end.close, 1);
      case server::health: return read(it, out.health);
      default: return true;
    }
  });
  out.weight = weight.value_or(out.configured.weight);
  return whole && named;
}

bool read(Bytes from, KnownPool& out, std::size_t& left_out) {
  const bool whole = each_field(from, [&](Id id, Bytes it) {
    if (id == pool::name) return read_text(it, out.name);
    if (id == pool::checks) return read_word(it, out.checks, kChecks);
    if (id != pool::server) return true;
    if (out.servers.size() == limits::kServersPerPoolMax) return false;
    KnownServer one;
    if (read(it, one)) {
      out.servers.push_back(std::move(one));
    } else {
      ++left_out;
    }
    return true;
  });
  return whole && !out.name.empty();
}

bool read(Bytes from, RuntimeServers::Word& out) {
  const bool whole = each_field(from, [&](Id id, Bytes it) {
    switch (id) {
      case word::pool: return read_text(it, out.pool);
      case word::name: return read_text(it, out.name);
      case word::server: return read(it, out.server.emplace());
      case word::in_file: return read(it, out.in_file.emplace());
      default: return true;
    }
  });
  // What can be said at run time: an address, under the word's own name.
  const bool can_be = !out.server || (out.server->name == out.name && out.server->address);
  return whole && can_be && !out.pool.empty() && !out.name.empty();
}

bool read(Bytes from, io::TlsTicketKeys::Key& out) {
  unsigned found = 0;
  const bool whole = each_field(from, [&](Id id, Bytes it) {
    found |= id <= key::mac ? 1U << id : 0U;
    switch (id) {
      case key::name: return read_bytes(it, out.name);
      case key::cipher: return read_bytes(it, out.cipher.bytes);
      case key::mac: return read_bytes(it, out.mac.bytes);
      default: return true;
    }
  });
  return whole && found == (1U << key::name | 1U << key::cipher | 1U << key::mac);
}

bool read(Bytes from, io::TlsTicketKeys::Own& out) {
  unsigned found = 0;
  const auto max = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) / 2;
  const bool whole = each_field(from, [&](Id id, Bytes it) {
    found |= id <= tickets::process ? 1U << id : 0U;
    switch (id) {
      case tickets::lifetime_s: return read_number(it, out.lifetime_s, max);
      case tickets::period: return read_number(it, out.period, max);
      case tickets::process: return read_bytes(it, out.process.bytes);
      case tickets::before: return read(it, out.before.emplace());
      default: return true;
    }
  });
  return whole && out.lifetime_s > 0 &&
         found == (1U << tickets::lifetime_s | 1U << tickets::period | 1U << tickets::process);
}

bool read(Bytes from, std::vector<route::Key>& out) {
  std::array<std::uint8_t, route::Key::kBytes> bytes;
  if (out.size() == limits::kKeysMax || !read_bytes(from, bytes)) return false;
  out.emplace_back(bytes);
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return true;
}

bool read(Bytes from, upstream::FoundServer& out) {
  const bool whole = each_field(from, [&](Id id, Bytes it) {
    switch (id) {
      case found::address: return read_address(it, out.address);
      case found::host: return read_text(it, out.host);
      case found::weight: return read_number(it, out.weight, limits::kWeightMax);
      case found::backup: return read_number(it, out.backup, 1);
      default: return true;
    }
  });
  return whole && out.address;
}

using NamedServers = std::pair<upstream::NameQuery, std::vector<upstream::FoundServer>>;
bool read(Bytes from, NamedServers& out) {
  const bool whole = each_field(from, [&](Id id, Bytes it) {
    switch (id) {
      case name::name: return read_text(it, out.first.name);
      case name::kind: return read_word(it, out.first.kind, kKinds);
      case name::port: return read_number(it, out.first.port, 65535);
      case name::found: return out.second.size() < kKnownAddressesMax && read(it, out.second.emplace_back());
      default: return true;
    }
  });
  return whole && !out.first.name.empty();
}

}  // namespace

void write_knowledge(const Knowledge& knowledge, SecretBytes& out) {
  Fields to(out);
  to.number(top::taken_at, knowledge.taken_at);
  for (const KnownPool& it : knowledge.pools) to.record(top::pool, [&] { write(to, it); });
  for (const RuntimeServers::Word& it : knowledge.words) to.record(top::word, [&] { write(to, it); });
  for (const auto& [query, answer] : knowledge.names) to.record(top::name, [&] { write(to, query, answer); });
  for (const route::Key& it : knowledge.made_up_keys) to.bytes(top::made_up_key, it.bytes());
  for (const route::KeyId& it : knowledge.key_ids) to.bytes(top::key_id, it);
  if (knowledge.tickets) to.record(top::tickets, [&] { write(to, *knowledge.tickets); });
}

std::optional<KnowledgeReading> read_knowledge(Bytes from) {
  if (from.size() > kKnowledgeBytesMax) return std::nullopt;
  KnowledgeReading out;
  Knowledge& known = out.knowledge;
  // True, and kept; or left out.
  const auto keep = [&out](bool can_be, auto& list, auto& one, std::size_t max) {
    if (can_be && list.size() < max) {
      list.insert(list.end(), std::move(one));
    } else {
      ++out.left_out;
    }
  };
  const bool whole = each_field(from, [&](Id id, Bytes it) {
    if (id == top::taken_at) return read_number(it, known.taken_at, kMomentMax);
    if (id == top::pool) {
      KnownPool one;
      const bool can_be = read(it, one, out.left_out);
      keep(can_be, known.pools, one, limits::kPoolsMax);
    } else if (id == top::word) {
      RuntimeServers::Word one;
      const bool can_be = read(it, one);
      keep(can_be, known.words, one, kRuntimeWordsMax);
    } else if (id == top::name) {
      NamedServers one;
      const bool can_be = read(it, one);
      keep(can_be, known.names, one, kKnownNamesMax);
    } else if (id == top::made_up_key) {
      if (!read(it, known.made_up_keys)) ++out.left_out;
    } else if (id == top::key_id) {
      route::KeyId one;
      const bool can_be = read_bytes(it, one);
      keep(can_be, known.key_ids, one, limits::kKeysMax);
    } else if (id == top::tickets) {
      if (!read(it, known.tickets.emplace())) {
        known.tickets.reset();
        ++out.left_out;
      }
    }
    return true;
  });
  if (!whole) return std::nullopt;
  return out;
}

}  // namespace rejoin::balancer
