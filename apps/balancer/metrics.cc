#include "apps/balancer/metrics.h"

#include <algorithm>
#include <unordered_map>

#include "apps/balancer/admin.h"
#include "apps/balancer/record.h"
#include "apps/balancer/worker.h"
#include "watch/metrics_table.h"
#include "watch/process_info.h"

namespace rejoin::balancer {
namespace {

using watch::MetricKind;
using watch::MetricRow;
using watch::MetricsOf;
using watch::MetricsText;

constexpr std::string_view kPrefix = "rejoin_balancer_";

constexpr MetricRow<Counts> kCounts[] = {
    {&Counts::accepted, "connections_accepted_total", "Connections accepted."},
    {&Counts::requests, "requests_total", "Requests whose head was heard whole."},
    {&Counts::tunnels, "tunnels_opened_total",
     "WebSockets and other upgrades, and connections at layer 4, that reached their server."},
    {&Counts::responses_2xx, "responses_total", "Responses to clients by class; 101 counts as 2xx.", "class",
     "2xx"},
    {&Counts::responses_3xx, "responses_total", "", "class", "3xx"},
    {&Counts::responses_4xx, "responses_total", "", "class", "4xx"},
    {&Counts::responses_5xx, "responses_total", "", "class", "5xx"},
    {&Counts::refused_heads, "refusals_total", "Clients that were refused, by reason.", "reason", "bad_head"},
    {&Counts::timed_out, "refusals_total", "", "reason", "head_timeout"},
    {&Counts::no_server, "refusals_total", "", "reason", "no_server"},
    {&Counts::server_failed, "refusals_total", "", "reason", "server_failed"},
    {&Counts::tls_handshakes, "tls_handshakes_total", "TLS handshakes of clients that succeeded."},
    {&Counts::tls_resumed, "tls_resumed_total", "Of these: with a session of before."},
    {&Counts::tls_failed, "tls_failed_total",
     "TLS handshakes of clients that failed, but for the timed out."},
    {&Counts::retried, "requests_retried_total",
     "Requests sent to another server after one had taken the connection."},
    {&Counts::come_again, "told_to_come_again_total",
     "Clients told to come again, since the server of their ticket is away."},
    {&Counts::bytes_in, "received_bytes_total", "From clients, heads included."},
    {&Counts::bytes_out, "sent_bytes_total", "To clients, heads included."},
    {&Counts::request_time, "request_seconds",
     "From the first byte of a request to the last one of its answer. Without those that became tunnels."},
    {&Counts::tunnel_life, "tunnel_life_seconds", "How long tunnels lived that have ended."},
};
static_assert(numbers_shown(kCounts) == watch::numbers_of<Counts>, "a number of Counts is not shown");

constexpr MetricRow<PoolCounts> kPoolCounts[] = {
    {&PoolCounts::queue_time, "queue_seconds", "How long clients waited for room at a server."},
    {&PoolCounts::connect_time, "connect_seconds", "Connecting to a server, when it took the connection."},
    {&PoolCounts::response_time, "first_byte_seconds",
     "From the request having left to the first byte of the server's response."},
};
static_assert(numbers_shown(kPoolCounts) == watch::numbers_of<PoolCounts>,
              "a number of PoolCounts is not shown");

constexpr MetricRow<route::RouteCounts> kRouteCounts[] = {
    {&route::RouteCounts::pinned, "decisions_total",
     "How servers were found: where the client belongs, by the scheduler, or not at all.", "decision",
     "pinned"},
    {&route::RouteCounts::scheduled, "decisions_total", "", "decision", "scheduled"},
    {&route::RouteCounts::nobody, "decisions_total", "", "decision", "nobody"},
    {&route::RouteCounts::come_again, "decisions_total", "", "decision", "come_again"},
    {&route::RouteCounts::pinned_down, "pins_unusable_total",
     "Clients that belong to a server which cannot be used."},
    {&route::RouteCounts::failed, "servers_refused_total", "Times that a chosen server took no connection."},
    {&route::RouteCounts::planted, "cookies_planted_total", "Cookies of ours set on responses."},
    {&route::RouteCounts::burst, "bursts_followed_total", "Clients that went where their burst went."},
    {&route::RouteCounts::waited, "queued_total", "Clients that waited for room at a server."},
    {&route::RouteCounts::waited_in_vain, "queued_in_vain_total", "Of these: whose time was over."},
    {&route::RouteCounts::queue_full, "queue_full_total", "Clients for which the queue had no place."},
    {&route::RouteCounts::strict, "strict_refused_total", "Clients that a strict affinity refused."},
    {&route::RouteCounts::unpinned, "pins_ended_total", "Pins that servers ended."},
    {&route::RouteCounts::bad_answers, "server_bad_answers_total",
     "Servers that took a client and then answered badly, or not at all."},
};
static_assert(numbers_shown(kRouteCounts) + route::kReasons + route::kReturns ==
                  watch::numbers_of<route::RouteCounts>,
              "a number of RouteCounts is not shown");

constexpr MetricRow<ServerCounts> kServerCounts[] = {
    {&ServerCounts::requests, "server_requests_total", "Requests sent to the server."},
    {&ServerCounts::tunnels, "server_tunnels_opened_total", "Tunnels to the server."},
    {&ServerCounts::connections, "server_connections_total", "Connections that the server took."},
    {&ServerCounts::connects_failed, "server_connects_failed_total", "Connections that it did not take."},
    {&ServerCounts::reused, "server_connections_reused_total", "Requests on a connection that was kept."},
    {&ServerCounts::failures, "server_failures_total",
     "Requests that the server did not answer as it should: it broke off, kept silent, or spoke no HTTP."},
    {&ServerCounts::bytes_to, "server_sent_bytes_total", "What clients said to the server."},
    {&ServerCounts::bytes_from, "server_received_bytes_total", "What the server said to clients."},
};
static_assert(numbers_shown(kServerCounts) == watch::numbers_of<ServerCounts>,
              "a number of ServerCounts is not shown");

constexpr MetricRow<WorkerNumbers> kWorkers[] = {
    {&WorkerNumbers::workers, "workers", "Threads that serve."},
    {&WorkerNumbers::draining, "workers_draining", "Of these: take no new clients."},
    {&WorkerNumbers::sockets, "sockets", "Open connections, to clients, servers and operators."},
    {&WorkerNumbers::access_records, "access_records_total", "Lines of the access log."},
    {&WorkerNumbers::access_lost, "access_records_lost_total",
     "Lines lost since the access log's file took nothing."},
};
static_assert(numbers_shown(kWorkers) == watch::numbers_of<WorkerNumbers>,
              "a number of WorkerNumbers is not shown");

using serve::EdgeCounts;
constexpr MetricRow<EdgeCounts> kEdgeCounts[] = {
    {&EdgeCounts::denied, "edge_refusals_total",
     "Connections refused before their first request, by reason: docs/edge.md.", "reason", "denied"},
    {&EdgeCounts::full, "edge_refusals_total", "", "reason", "full"},
    {&EdgeCounts::client_full, "edge_refusals_total", "", "reason", "client_full"},
    {&EdgeCounts::client_too_fast, "edge_refusals_total", "", "reason", "client_too_fast"},
    {&EdgeCounts::proxy_untrusted, "edge_refusals_total", "", "reason", "proxy_untrusted"},
    {&EdgeCounts::bad_proxy, "edge_refusals_total", "", "reason", "bad_proxy"},
    {&EdgeCounts::late, "edge_refusals_total", "", "reason", "late"},
    {&EdgeCounts::bad_hello, "edge_refusals_total", "", "reason", "bad_hello"},
    {&EdgeCounts::no_name, "edge_refusals_total", "", "reason", "no_name"},
    {&EdgeCounts::stalled, "tunnels_cut_total", "Tunnels that the balancer ended, by reason.", "reason",
     "stalled"},
    {&EdgeCounts::silent, "tunnels_cut_total", "", "reason", "silent"},
    {&EdgeCounts::dead, "tunnels_cut_total", "", "reason", "dead"},
    {&EdgeCounts::frame_too_big, "tunnels_cut_total", "", "reason", "frame_too_big"},
    {&EdgeCounts::frames_too_many, "tunnels_cut_total", "", "reason", "frames_too_many"},
    {&EdgeCounts::bad_frames, "tunnels_cut_total", "", "reason", "bad_frames"},
    {&EdgeCounts::dismissed, "tunnels_cut_total", "", "reason", "dismissed"},
};
static_assert(numbers_shown(kEdgeCounts) == watch::numbers_of<EdgeCounts>,
              "a number of EdgeCounts is not shown");

constexpr MetricRow<ListenerNumbers> kListenerNow[] = {
    {&ListenerNumbers::connections, "connections", "Clients' connections that are no tunnels."},
    {&ListenerNumbers::tunnels, "tunnels", "Tunnels that are open."},
};
constexpr MetricRow<PoolNumbers> kPoolNow[] = {
    {&PoolNumbers::idle, "idle_connections", "Connections to servers kept for the next request."},
    {&PoolNumbers::lease_addresses, "leases", "Client addresses that source-ip remembers."},
    {&PoolNumbers::lease_open, "leases_open", "Of these: with a connection open."},
    {&PoolNumbers::leases_evicted, "leases_evicted_total", "Addresses forgotten early, for want of room."},
    {&PoolNumbers::leases_refused, "leases_refused_total", "Addresses not remembered, for want of room."},
};

template <typename T>
using Owners = std::vector<MetricsOf<T>>;

/// A family of gauges whose value is made from a server's numbers.
template <typename Value>
void write_server_gauge(MetricsText& out, const Numbers& numbers, std::string_view name,
                        std::string_view help, Value value) {
  out.family(std::string(kPrefix) + std::string(name), MetricKind::gauge, help);
  for (const PoolNumbers& pool : numbers.pools) {
    for (const ServerNumbers& server : pool.servers) {
      out.sample({{"pool", pool.name}, {"server", server.name}}, value(server));
    }
  }
}

void write_ends(MetricsText& out, const ListenerNumbers& listener, std::string_view what,
                const EndCounts& ends) {
  for (std::size_t side = 0; side < ends.of.size(); ++side) {
    for (std::size_t how = 0; how < kEndHows; ++how) {
      const std::uint64_t count = ends.of[side][how];
      if (count == 0) continue;
      const bool as_it_should = static_cast<EndHow>(how) == EndHow::done && what == "request";
      out.sample({{"listener", listener.name},
                  {"what", what},
                  {"by", as_it_should ? "none" : to_string(static_cast<Side>(side))},
                  {"how", to_string(static_cast<EndHow>(how))}},
                 count);
    }
  }
}

void write_listeners(MetricsText& out, const Numbers& numbers) {
  Owners<Counts> counts;
  Owners<ListenerNumbers> now;
  for (const ListenerNumbers& listener : numbers.listeners) {
    counts.push_back({{{"listener", listener.name}}, &listener.counts});
    now.push_back({{{"listener", listener.name}}, &listener});
  }
  write_rows(out, kPrefix, kListenerNow, std::span<const MetricsOf<ListenerNumbers>>(now));
  write_rows(out, kPrefix, kCounts, std::span<const MetricsOf<Counts>>(counts));
  out.family(std::string(kPrefix) + "ends_total", MetricKind::counter,
             "How requests and tunnels ended, and who ended them; those that never happened are left out.");
  for (const ListenerNumbers& listener : numbers.listeners) {
    write_ends(out, listener, "request", listener.requests_ended);
    write_ends(out, listener, "tunnel", listener.tunnels_ended);
  }
}

void write_pools(MetricsText& out, const Numbers& numbers) {
  Owners<PoolNumbers> now;
  Owners<route::RouteCounts> route;
  Owners<PoolCounts> counts;
  Owners<ServerCounts> servers;
  for (const PoolNumbers& pool : numbers.pools) {
    now.push_back({{{"pool", pool.name}}, &pool});
    route.push_back({{{"pool", pool.name}}, &pool.route});
    counts.push_back({{{"pool", pool.name}}, &pool.counts});
    for (const ServerNumbers& server : pool.servers)
      servers.push_back({{{"pool", pool.name}, {"server", server.name}}, &server.counts});
  }
  write_rows(out, kPrefix, kPoolNow, std::span<const MetricsOf<PoolNumbers>>(now));
  write_rows(out, kPrefix, kRouteCounts, std::span<const MetricsOf<route::RouteCounts>>(route));
  out.family(std::string(kPrefix) + "pins_total", MetricKind::counter,
             "What each affinity found with each client, by reason: what it brought, or why that is no pin.");
  for (const PoolNumbers& pool : numbers.pools) {
    for (std::size_t i = 0; i < route::kReasons; ++i) {
      out.sample({{"pool", pool.name}, {"reason", to_string(static_cast<route::Reason>(i))}},
                 pool.route.reasons[i]);
    }
  }
  out.family(std::string(kPrefix) + "returns_total", MetricKind::counter,
             "Clients that brought a pin: did they reach their server, and if not, why. The hit rate is the "
             "share of `reached`.");
  for (const PoolNumbers& pool : numbers.pools) {
    for (std::size_t i = 0; i < route::kReturns; ++i) {
      out.sample({{"pool", pool.name}, {"outcome", to_string(static_cast<route::Return>(i))}},
                 pool.route.returns[i]);
    }
  }
  write_rows(out, kPrefix, kPoolCounts, std::span<const MetricsOf<PoolCounts>>(counts));
  write_rows(out, kPrefix, kServerCounts, std::span<const MetricsOf<ServerCounts>>(servers));
  write_server_gauge(out, numbers, "server_up", "1: the server is up.",
                     [](const ServerNumbers& it) { return std::uint64_t{it.up}; });
  write_server_gauge(out, numbers, "server_draining",
                     "1: the server takes no new clients, as its probes or an operator say.",
                     [](const ServerNumbers& it) {
                       return std::uint64_t{it.draining || it.order != route::ServerOrder::ready};
                     });
  write_server_gauge(out, numbers, "server_weight", "Its share beside the others.",
                     [](const ServerNumbers& it) { return std::uint64_t{it.weight}; });
  write_server_gauge(out, numbers, "server_active", "Connections and requests that it has.",
                     [](const ServerNumbers& it) { return std::uint64_t{it.active}; });
}

/// The bytes of tunnels that are open, at the listeners and servers of the present plan.
void add_open_tunnels(Worker& worker, Numbers& out) {
  std::unordered_map<const ListenerBook*, ListenerNumbers*> listeners;
  std::unordered_map<const route::ServerState*, ServerNumbers*> servers;
  const Generation& generation = *worker.generation();
  for (std::size_t i = 0; i < generation.listeners.size(); ++i)
    listeners.emplace(generation.listeners[i]->book.get(), &out.listeners[i]);
  for (std::size_t i = 0; i < generation.pools.size(); ++i) {
    const route::Pool& pool = generation.pools[i]->router.pool();
    for (std::size_t k = 0; k < pool.size(); ++k)
      servers.emplace(&*pool.ref(static_cast<route::ServerIndex>(k)), &out.pools[i].servers[k]);
  }
  worker.for_each_tunnel([&](const Tunnel& tunnel) {
    if (const auto at = listeners.find(tunnel.listener->book.get()); at != listeners.end()) {
      at->second->counts.bytes_in += tunnel.bytes_from_client();
      at->second->counts.bytes_out += tunnel.bytes_from_server();
    }
    if (const auto at = servers.find(&*tunnel.use.server()); at != servers.end()) {
      at->second->counts.bytes_to += tunnel.bytes_from_client();
      at->second->counts.bytes_from += tunnel.bytes_from_server();
      ++at->second->tunnels;
    }
  });
}

PoolNumbers numbers_of_pool(PoolUse& use, TimePoint now) {
  PoolNumbers out;
  const route::RouteRules& rules = use.router.rules();
  out.name = rules.name;
  for (const route::AffinityRule& rule : rules.affinity) out.affinity.push_back(word_of(rule));
  out.route = use.router.counts();
  out.counts = use.book->counts;
  out.idle = use.idle.size();
  route::Pool& pool = use.router.pool();
  for (std::size_t i = 0; i < pool.size(); ++i) {
    const auto index = static_cast<route::ServerIndex>(i);
    ServerNumbers& server = out.servers.emplace_back();
    server.name = pool.server(index).name;
    server.address = pool.server(index).address;
    server.counts = use.servers[i]->counts;
    server.weight = pool.weight(index);
    server.active = pool.active(index);
    server.up = pool.up(index);
    server.draining = pool.draining(index);
    server.order = pool.order(index);
    server.takes_new = pool.takes_new(index, now);
    server.away = pool.away_for(index, now);
  }
  if (const route::LeaseTable* const leases = use.plan.route->leases.get()) {
    const route::LeaseTable::Size size = leases->size();
    out.lease_addresses = size.addresses;
    out.lease_open = size.open;
    out.leases_evicted = leases->evicted();
    out.leases_refused = leases->refused();
  }
  return out;
}

/// The one of that name; nullptr when there is none.
template <typename T>
T* named(std::vector<T>& list, const std::string& name) {
  const auto at = std::find_if(list.begin(), list.end(), [&](const T& it) { return it.name == name; });
  return at == list.end() ? nullptr : &*at;
}

/// `merge` for those that both have; the others are put behind. Both have the same order nearly always.
template <typename T, typename Merge>
void add_by_name(std::vector<T>& into, std::vector<T>&& more, Merge merge) {
  for (std::size_t i = 0; i < more.size(); ++i) {
    T* const same = i < into.size() && into[i].name == more[i].name ? &into[i] : named(into, more[i].name);
    if (same != nullptr) {
      merge(*same, more[i]);
    } else {
      into.push_back(std::move(more[i]));
    }
  }
}

}  // namespace

std::size_t PoolNumbers::usable() const {
  return static_cast<std::size_t>(
      std::count_if(servers.begin(), servers.end(), [](const ServerNumbers& it) { return it.takes_new; }));
}

void Numbers::add(Numbers&& more) {
  watch::add_numbers(workers, more.workers);
  watch::add_numbers(edge, more.edge);
  add_by_name(listeners, std::move(more.listeners), [](ListenerNumbers& into, ListenerNumbers& other) {
    watch::add_numbers(into.counts, other.counts);
    watch::add_numbers(into.requests_ended, other.requests_ended);
    watch::add_numbers(into.tunnels_ended, other.tunnels_ended);
    into.connections += other.connections;
    into.tunnels += other.tunnels;
  });
  add_by_name(pools, std::move(more.pools), [](PoolNumbers& into, PoolNumbers& other) {
    watch::add_numbers(into.route, other.route);
    watch::add_numbers(into.counts, other.counts);
    into.idle += other.idle;
    add_by_name(into.servers, std::move(other.servers), [](ServerNumbers& one, ServerNumbers& same) {
      watch::add_numbers(one.counts, same.counts);
      one.tunnels += same.tunnels;
    });
  });
}

Numbers numbers_of(Worker& worker) {
  Numbers out;
  out.workers.workers = 1;
  out.workers.draining = worker.draining() ? 1 : 0;
  out.edge = worker.edge();
  out.workers.sockets = worker.world().network.open_sockets();
  if (const watch::AccessLog* const log = worker.access_log()) {
    out.workers.access_records = log->counts().records;
    out.workers.access_lost = log->counts().lost;
  }
  const std::vector<Address> addresses = worker.addresses();
  const Generation& generation = *worker.generation();
  for (std::size_t i = 0; i < generation.listeners.size(); ++i) {
    const ListenerUse& use = *generation.listeners[i];
    ListenerNumbers& listener = out.listeners.emplace_back();
    listener.name = use.rules.name;
    listener.address = i < addresses.size() && addresses[i] ? addresses[i] : use.rules.listen;
    listener.mode = use.rules.mode == config::Mode::tcp ? "tcp" : "http";
    listener.pool = use.rules.pool;
    listener.counts = use.book->counts;
    listener.requests_ended = use.book->requests_ended;
    listener.tunnels_ended = use.book->tunnels_ended;
    listener.connections = use.book->connections;
    listener.tunnels = use.book->tunnels;
  }
  const TimePoint now = worker.world().clock.now();
  for (const LocalPtr<PoolUse>& use : generation.pools) out.pools.push_back(numbers_of_pool(*use, now));
  add_open_tunnels(worker, out);
  return out;
}

std::string metrics_text(const Numbers& numbers, const std::vector<pid_t>& own_tables) {
  MetricsText out;
  write_rows(out, kPrefix, kWorkers, numbers.workers);
  write_rows(out, kPrefix, kEdgeCounts, numbers.edge);
  write_listeners(out, numbers);
  write_pools(out, numbers);
  watch::write_process(out, own_tables);
  return out.take();
}

}  // namespace rejoin::balancer
