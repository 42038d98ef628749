// What a balancer knows beside its file and its clients, as a value and as bytes: what operators said at run
// time, how the servers are, what names in DNS mean, and keys that it made itself. For the process that comes
// in its place (an upgrade), which goes on with it (bequest.h).
//
// The bytes are fields, each `ID (1 byte) | LENGTH (4) | that many bytes`; a record is a field of fields, a
// number a field of 8 bytes (big-endian, as all here). The two processes may be of two versions, in either
// order: who reads skips an ID that they do not know, and what is not there is as if nothing had been said.
// An ID never changes its meaning. A record with something in it that cannot be (a length, a word, a number
// out of its range) is left out whole, and counted. Pure.
//
// Moments are milliseconds of the monotonic clock, 0: none.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apps/balancer/runtime_servers.h"
#include "base/bytes.h"
#include "base/secret_bytes.h"
#include "io/tls_ticket_keys.h"
#include "route/health.h"
#include "route/key_ring.h"
#include "route/pool.h"
#include "upstream/names.h"

namespace rejoin::balancer {

/// All of it; more is refused. A server takes some 200 bytes.
inline constexpr std::size_t kKnowledgeBytesMax = 64 * 1024 * 1024;
/// Of a name or an address in it.
inline constexpr std::size_t kKnownTextBytesMax = 1024;
/// Servers added, moved and removed at run time; names in DNS, and addresses of one.
inline constexpr std::size_t kRuntimeWordsMax = 65'536;
inline constexpr std::size_t kKnownNamesMax = 65'536;
inline constexpr std::size_t kKnownAddressesMax = 4096;

/// The end of a drain that an operator gave one.
struct DrainEnd {
  std::uint64_t at = 0;  // 0: it has none
  bool close = false;    // its connections end then

  bool operator==(const DrainEnd&) const = default;
};

struct KnownServer {
  route::Server configured;  // as the process before was configured, with its words about added servers
  route::ServerOrder order = route::ServerOrder::ready;
  std::uint32_t weight = 1;
  DrainEnd drain_end{};
  route::ServerHealth health{};

  bool operator==(const KnownServer&) const = default;
};

struct KnownPool {
  std::string name;
  route::HealthKind checks = route::HealthKind::off;  // what the servers' health was told by
  std::vector<KnownServer> servers;

  bool operator==(const KnownPool&) const = default;
};

struct Knowledge {
  std::uint64_t taken_at = 0;
  std::vector<KnownPool> pools;
  std::vector<RuntimeServers::Word> words;
  std::map<upstream::NameQuery, std::vector<upstream::FoundServer>> names;
  std::vector<route::Key> made_up_keys;  // of a process without [keys], in their order; empty: it had some
  std::vector<route::KeyId> key_ids;     // of all its keys, which say nothing of them
  std::optional<io::TlsTicketKeys::Own> tickets;
};

/// Appends.
void write_knowledge(const Knowledge& knowledge, SecretBytes& out);

struct KnowledgeReading {
  Knowledge knowledge;
  std::size_t left_out = 0;  // records that cannot be
};
/// Nothing: these are no fields, or too many bytes.
std::optional<KnowledgeReading> read_knowledge(Bytes from);

}  // namespace rejoin::balancer
