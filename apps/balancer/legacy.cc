#include "apps/balancer/legacy.h"

#include <array>
#include <charconv>
#include <optional>

namespace rejoin::balancer {
namespace {

constexpr std::string_view kSourceIp = "source-ip", kIdle = "idle", kOpen = "open";
constexpr std::string_view kHead = "rejoin-legacy ", kKnowledge = "knowledge", kLeases = "leases";
constexpr std::string_view kVersion = "1";  // of both

struct Line {
  std::string_view kind, pool, server;
  Address client;
  std::optional<Duration> left;  // none: a connection is open
};

std::optional<Line> parse(std::string_view text) {
  std::array<std::string_view, 5> parts;
  for (std::string_view& part : parts) {
    const std::size_t end = std::min(text.find(' '), text.size());
    part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  const auto client = Address::parse_ip(parts[3]);
  if (!text.empty() || !client) return std::nullopt;
  Line out{parts[0], parts[1], parts[2], *client, {}};
  if (parts[4] == kOpen) return out;
  std::uint64_t ms = 0;
  const auto [at, wrong] = std::from_chars(parts[4].data(), parts[4].data() + parts[4].size(), ms);
  if (wrong != std::errc() || at != parts[4].data() + parts[4].size() || ms > 1'000'000'000'000)
    return std::nullopt;
  out.left = std::chrono::milliseconds(ms);
  return out;
}

void write(std::string& out, std::string_view kind, const PoolPlan& pool, const route::LeaseTable* table,
           TimePoint now) {
  if (table == nullptr) return;
  const route::Pool& servers = *pool.route->pool;
  for (const route::LeaseTable::Pin& pin : table->pins(now)) {
    const auto server = servers.index_of_number(pin.server);
    if (!server) continue;
    out.append(kind).append(" ").append(pool.rules.name).append(" ");
    out.append(servers.server(*server).name).append(" ").append(pin.client.ip_text()).append(" ");
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(pin.left);
    out.append(pin.open ? std::string(kOpen) : std::to_string(left.count())).append("\n");
  }
}

void write_section(SecretBytes& out, std::string_view name, Bytes bytes) {
  std::string head(kHead);
  head.append(name).append(" ").append(kVersion).append(" ").append(std::to_string(bytes.size()));
  append(out, head.append("\n"));
  append(out, bytes);
  append(out, "\n");
}

/// Takes the text up to `end`, which is taken too. Nothing: it is not there.
std::optional<std::string_view> take_until(Bytes& rest, char end) {
  const std::size_t at = rest.find(end);
  if (at == rest.npos) return std::nullopt;
  const std::string_view out = rest.substr(0, at);
  rest.remove_prefix(at + 1);
  return out;
}

struct Section {
  std::string_view name, version;
  Bytes bytes;
};
/// The one at the front, which is taken. Nothing: it does not stand there whole.
std::optional<Section> take_section(Bytes& rest) {
  if (!rest.starts_with(kHead)) return std::nullopt;
  rest.remove_prefix(kHead.size());
  auto line = take_until(rest, '\n');
  const auto name = line ? take_until(*line, ' ') : std::nullopt;
  const auto version = name ? take_until(*line, ' ') : std::nullopt;
  if (!version) return std::nullopt;
  std::size_t count = 0;
  const auto [at, wrong] = std::from_chars(line->data(), line->data() + line->size(), count);
  if (wrong != std::errc() || at != line->data() + line->size()) return std::nullopt;
  if (count >= rest.size() || rest[count] != '\n') return std::nullopt;
  const Section out{*name, *version, rest.substr(0, count)};
  rest.remove_prefix(count + 1);
  return out;
}

}  // namespace

std::function<SecretBytes()> legacy_of(std::shared_ptr<const Plan> plan, TimePoint now,
                                       SecretBytes knowledge) {
  return [plan = std::move(plan), now, knowledge = std::move(knowledge)] {
    std::string leases;
    for (const auto& pool : plan->pools) {
      write(leases, kSourceIp, *pool, pool->route->leases.get(), now);
      write(leases, kIdle, *pool, pool->route->idle_leases.get(), now);
    }
    SecretBytes out;
    out.reserve(knowledge.size() + leases.size() + 128);
    write_section(out, kKnowledge, view(knowledge));
    write_section(out, kLeases, leases);
    return out;
  };
}

LegacySections sections_of(Bytes file) {
  LegacySections out;
  if (!file.starts_with(kHead)) {
    out.leases = file;
    return out;
  }
  while (!file.empty()) {
    const std::optional<Section> section = take_section(file);
    if (!section) {
      out.skipped.push_back("what follows was cut short");
      break;
    }
    const bool known = section->version == kVersion;
    if (known && section->name == kKnowledge) {
      out.knowledge = section->bytes;
    } else if (known && section->name == kLeases) {
      out.leases = section->bytes;
    } else {
      out.skipped.push_back(std::string(section->name.substr(0, 32)) + " of version " +
                            std::string(section->version.substr(0, 32)) + " is not known to this program");
    }
  }
  return out;
}

Legacy::Legacy(std::string_view text, const Plan& plan, TimePoint now) {
  const PoolPlan* pool = nullptr;  // of the line before: they come pool by pool
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::optional<Line> line = parse(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line) continue;
    if (pool == nullptr || pool->rules.name != line->pool) {
      const auto found =
          std::ranges::find_if(plan.pools, [&](const auto& one) { return one->rules.name == line->pool; });
      if (found == plan.pools.end()) continue;
      pool = found->get();
    }
    std::shared_ptr<route::LeaseTable> table;
    if (line->kind == kSourceIp) table = pool->route->leases;
    if (line->kind == kIdle) table = pool->route->idle_leases;
    const auto server = pool->route->pool->index_of(line->server);
    if (!table || !server) continue;
    const route::ServerNumber number = pool->route->pool->number(*server);
    ++pins_;
    if (line->left) {
      table->remember(line->client, number, *line->left, now);
    } else if (route::Lease lease = table->open(line->client, number, now)) {
      held_.push_back({std::move(table), std::move(lease)});
    }
  }
}

}  // namespace rejoin::balancer
