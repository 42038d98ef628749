#include "apps/balancer/legacy.h"

#include <array>
#include <charconv>
#include <optional>

namespace rejoin::balancer {
namespace {

constexpr std::string_view kSourceIp = "source-ip", kIdle = "idle", kOpen = "open";

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

}  // namespace

std::function<std::string()> legacy_of(std::shared_ptr<const Plan> plan, TimePoint now) {
  return [plan = std::move(plan), now] {
    std::string out;
    for (const auto& pool : plan->pools) {
      write(out, kSourceIp, *pool, pool->route->leases.get(), now);
      write(out, kIdle, *pool, pool->route->idle_leases.get(), now);
    }
    return out;
  };
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
