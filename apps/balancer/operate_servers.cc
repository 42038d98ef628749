// The routes of operate.h, and what they do to one server.
#include <algorithm>
#include <charconv>

#include "apps/balancer/operate.h"
#include "apps/balancer/worker.h"
#include "apps/config/key_table.h"
#include "apps/config/units.h"
#include "base/limits.h"
#include "io/stream.h"
#include "watch/json.h"

namespace rejoin::balancer {

using proto::Method;
using watch::AdminReply;
using watch::AdminRequest;
using watch::Json;

namespace {

constexpr std::string_view kPools = "/pools/", kServers = "/servers/";

Json list_of(const std::vector<std::string>& lines) {
  Json out = Json::list();
  for (const std::string& line : lines) out.add(line);
  return out;
}

AdminReply reply_of(const Operations::Outcome& outcome) {
  Json out = Json::object();
  if (!outcome.wrong.empty()) {
    out.set("error", outcome.wrong.front());
    out.set("wrong", list_of(outcome.wrong));
    return AdminReply::of(out, 400);
  }
  out.set("changed", list_of(outcome.changed.done));
  out.set("needs_restart", list_of(outcome.changed.needs_restart));
  return AdminReply::of(out);
}

AdminReply found_by_name() {
  return AdminReply::error(409,
                           "this server is an address of a name in DNS: change it there, or drain it here");
}

/// `close=true`. Nothing: neither true nor false.
std::optional<bool> flag_of(const AdminRequest& request, std::string_view name) {
  const std::string text = request.parameter(name).value_or("false");
  if (text == "true" || text == "1") return true;
  if (text == "false" || text == "0") return false;
  return std::nullopt;
}

std::optional<std::uint32_t> weight_of(const std::string& text) {
  std::uint32_t weight = 0;
  const char* const end = text.data() + text.size();
  const auto [at, wrong] = std::from_chars(text.data(), end, weight);
  if (wrong != std::errc() || at != end || weight > limits::kWeightMax) return std::nullopt;
  return weight;
}

}  // namespace

/// The server that a path names.
struct Operations::Target {
  std::string pool, server;
  std::string verb;                         // behind the server: "drain"; empty: itself is meant
  PoolUse* use = nullptr;                   // of the pool, valid until the next await
  std::optional<route::ServerIndex> index;  // none: there is no such server yet
};

std::vector<std::string> Operations::routes() const {
  return {"POST /reload",
          "POST /upgrade",
          "PUT /pools/{pool}/servers/{server}",
          "DELETE /pools/{pool}/servers/{server}",
          "POST /pools/{pool}/servers/{server}/drain",
          "POST /pools/{pool}/servers/{server}/maintenance",
          "POST /pools/{pool}/servers/{server}/ready"};
}

Task<std::optional<AdminReply>> Operations::operate(AdminRequest request) {
  std::optional<AdminReply> reply;
  if (request.path == "/reload") {
    if (request.method != Method::post) co_return AdminReply::wrong_method("POST");
    if (auto unknown = unknown_parameter(request, {})) co_return std::move(*unknown);
    if (hands_over_ && worker_.draining()) co_return refused_while_handing_over();
    if (colleagues_ != nullptr) colleagues_->has_reloaded();
    const Outcome outcome = co_await reload();
    co_return reply_of(outcome);
  }
  if (request.path == "/upgrade") {
    if (request.method != Method::post) co_return AdminReply::wrong_method("POST");
    if (auto unknown = unknown_parameter(request, {})) co_return std::move(*unknown);
    if (colleagues_ != nullptr) colleagues_->upgrade();
    Json begun = Json::object();
    begun.set("begun", true);  // how it ends is in the log: whoever asks again asks the new process
    co_return AdminReply::of(begun, 202);
  }
  Target target;
  if (!request.path.starts_with(kPools) || request.path.find(kServers) == request.path.npos)
    co_return std::nullopt;
  const bool post = request.method == Method::post;
  reply = find(request, target);
  if (reply) co_return reply;
  if (target.verb.empty() && request.method == Method::put) {
    reply = co_await put_server(std::move(request), std::move(target));
  } else if (target.verb.empty() && request.method == Method::delete_) {
    reply = co_await remove_server(std::move(request), std::move(target));
  } else if (target.verb == "drain" && post) {
    reply = co_await order(std::move(request), std::move(target), route::ServerOrder::drain);
  } else if (target.verb == "maintenance" && post) {
    reply = co_await order(std::move(request), std::move(target), route::ServerOrder::maintenance);
  } else if (target.verb == "ready" && post) {
    reply = co_await order(std::move(request), std::move(target), route::ServerOrder::ready);
  } else if (target.verb == "drain" || target.verb == "maintenance" || target.verb == "ready") {
    reply = AdminReply::wrong_method("POST");
  }
  co_return reply;
}

/// What is said now may be known to nobody in a moment. To be asked last, with no await before the word is
/// kept.
std::optional<AdminReply> Operations::refused_while_handing_over() const {
  if (!hands_over_) return std::nullopt;
  return AdminReply::error(
      409, worker_.draining() ? "another process serves in this one's place: ask again, on a new connection"
                              : "an upgrade is under way: ask again when it has ended, the log says how");
}

/// A reply: the path names nothing that is there.
std::optional<AdminReply> Operations::find(const AdminRequest& request, Target& out) {
  const std::size_t at = request.path.find(kServers);
  out.pool = request.path.substr(kPools.size(), at - kPools.size());
  out.server = request.path.substr(at + kServers.size());
  if (const std::size_t slash = out.server.find('/'); slash != out.server.npos) {
    out.verb = out.server.substr(slash + 1);
    out.server.resize(slash);
  }
  out.use = worker_.generation()->find_pool(out.pool);
  if (out.use == nullptr) return AdminReply::error(404, "there is no pool \"" + out.pool + "\"");
  out.index = out.use->router.pool().index_of(out.server);
  if (!out.index && (request.method != Method::put || !out.verb.empty()))
    return AdminReply::error(404, "pool " + out.pool + " has no server \"" + out.server + "\"");
  return std::nullopt;
}

AdminReply Operations::state_of(const Target& target, int status) {
  Json out = Json::object();
  out.set("pool", target.pool);
  out.set("server", target.server);
  PoolUse* const use = worker_.generation()->find_pool(target.pool);
  const auto index = use ? use->router.pool().index_of(target.server) : std::nullopt;
  if (!index) {
    out.set("removed", true);
    return AdminReply::of(out, status);
  }
  const route::Pool& pool = use->router.pool();
  out.set("address", pool.server(*index).address.text());
  out.set("order", to_string(pool.order(*index)));
  out.set("weight", pool.weight(*index));
  out.set("up", pool.up(*index));
  out.set("active", pool.active(*index));
  return AdminReply::of(out, status);
}

// --- drain, maintenance, ready ---

Task<AdminReply> Operations::order(AdminRequest request, Target target, route::ServerOrder order) {
  const bool drain = order == route::ServerOrder::drain, ready = order == route::ServerOrder::ready;
  auto unknown = drain ? unknown_parameter(request, {"deadline", "close"})
                       : (ready ? unknown_parameter(request, {}) : unknown_parameter(request, {"close"}));
  if (unknown) co_return std::move(*unknown);
  const std::optional<bool> close = flag_of(request, "close");
  if (!close) co_return AdminReply::error(400, "close: write true or false");
  std::optional<Duration> deadline;
  if (const auto text = request.parameter("deadline")) {
    deadline = config::parse_duration(*text);
    if (!deadline)
      co_return AdminReply::error(
          400, "deadline: \"" + *text + "\" is not a duration; " + config::duration_hint(*text));
  }
  if (drain && *close && !deadline)
    co_return AdminReply::error(400, "close: a drain closes nothing before its deadline, so write one");

  if (auto refused = refused_while_handing_over()) co_return std::move(*refused);
  // No plan changes: the order is in the live state, which all workers and all their generations share.
  route::Pool& pool = target.use->router.pool();
  const route::ServerRef server = pool.ref(*target.index);
  pool.set_order(*target.index, order);
  orders_.erase(server->name);
  if (deadline) {
    const TimePoint when = worker_.world().clock.now() + *deadline;
    end_drain_at(server, {route::monotonic_ms(when), *close});
  }
  std::string line = "server " + server->name + ": the operator says " + std::string(to_string(order));
  if (deadline) line += ", for " + config::duration_text(*deadline);
  worker_.world().log.info(line);
  if (order == route::ServerOrder::maintenance && *close) close_connections(server);
  if (ready) look_for_room();
  co_return state_of(target, 200);
}

void Operations::end_drain_at(route::ServerRef server, const DrainEnd& end) {
  const std::uint64_t number = ++last_order_;
  orders_[server->name] = {number, end};
  tasks_.spawn(end_drain(std::move(server), end, number));
}

Task<void> Operations::end_drain(route::ServerRef server, DrainEnd end, std::uint64_t number) {
  const TimePoint when = TimePoint(std::chrono::milliseconds(end.at));
  const Woken woken = co_await io::sleep_until(worker_.world(), when, stop_);
  if (woken == Woken::stopped) co_return;
  const auto order = orders_.find(server->name);
  if (order == orders_.end() || order->second.number != number) co_return;  // another word was said since
  orders_.erase(order);
  if (server->order.load(std::memory_order_relaxed) != route::ServerOrder::drain) co_return;  // the file's
  server->order.store(route::ServerOrder::maintenance, std::memory_order_relaxed);
  worker_.world().log.info("server " + server->name + ": the drain's deadline has come: it takes nobody");
  if (end.close) close_connections(server);
}

void Operations::close_connections(const route::ServerRef& server) {
  const auto close = [server](Worker& worker) {
    const std::size_t closed = worker.close_tunnels(server);
    if (closed != 0)
      worker.world().log.info("server " + server->name + ": " + std::to_string(closed) + " tunnels closed");
  };
  close(worker_);
  for (unsigned i = 1; colleagues_ != nullptr && i < colleagues_->count(); ++i)
    colleagues_->ask(i, [close](serve::WorkerProgram& program) { close(static_cast<Worker&>(program)); });
}

/// Who waits for a server may be served now.
void Operations::look_for_room() {
  worker_.look_for_room();
  for (unsigned i = 1; colleagues_ != nullptr && i < colleagues_->count(); ++i)
    colleagues_->ask(i, [](serve::WorkerProgram& program) { static_cast<Worker&>(program).look_for_room(); });
}

// --- servers come and go ---

bool Operations::is_found_by_name(const Target& target) const {
  const config::Config said = runtime_.over(file_);
  const config::Pool* const pool = said.find_pool(target.pool);
  return pool == nullptr || std::none_of(pool->servers.begin(), pool->servers.end(),
                                         [&](const config::Server& it) { return it.name == target.server; });
}

Task<AdminReply> Operations::put_server(AdminRequest request, Target target) {
  if (auto unknown = unknown_parameter(request, {"address", "weight"})) co_return std::move(*unknown);
  config::Server server;
  server.name = target.server;
  if (!fits(config::TextForm::name, server.name))
    co_return AdminReply::error(400, std::string(text_form_hint(config::TextForm::name)));
  std::optional<std::uint32_t> weight;
  if (const auto text = request.parameter("weight")) {
    weight = weight_of(*text);
    if (!weight) co_return AdminReply::error(400, "weight: write 0 to " + std::to_string(limits::kWeightMax));
    server.weight = static_cast<int>(*weight);
  }
  if (const auto text = request.parameter("address")) {
    const auto address = Address::parse(*text);
    if (!address || address->port == 0) co_return AdminReply::error(400, "address: write IP:PORT");
    server.address = *address;
  } else if (!target.index) {
    co_return AdminReply::error(400, "address: a new server needs one; write IP:PORT");
  }
  if (auto refused = refused_while_handing_over()) co_return std::move(*refused);
  if (target.index) {
    route::Pool& pool = target.use->router.pool();
    const Address there = pool.server(*target.index).address;
    if (!server.address || server.address == there) {
      // In the live state, like an order.
      if (!weight) co_return state_of(target, 200);
      pool.set_weight(*target.index, *weight);
      worker_.world().log.info("server " + target.pool + '/' + target.server + ": the operator says weight " +
                               std::to_string(*weight));
      co_return state_of(target, 200);
    }
    if (!weight) server.weight = static_cast<int>(pool.weight(*target.index));
  }
  Status turn = co_await wait_for_turn();
  if (!turn) co_return AdminReply::error(503, turn.error().detail);
  const Turn ours(*this);
  if (auto refused = refused_while_handing_over()) co_return std::move(*refused);
  if (target.index && is_found_by_name(target)) co_return found_by_name();
  RuntimeServers runtime = runtime_;
  runtime.put(file_, target.pool, server);
  const int status = target.index ? 200 : 201;
  AdminReply reply = co_await change_servers(std::move(runtime), std::move(target), status);
  co_return reply;
}

Task<AdminReply> Operations::remove_server(AdminRequest request, Target target) {
  if (auto unknown = unknown_parameter(request, {"close"})) co_return std::move(*unknown);
  const std::optional<bool> close = flag_of(request, "close");
  if (!close) co_return AdminReply::error(400, "close: write true or false");
  const route::ServerRef server = target.use->router.pool().ref(*target.index);
  Status turn = co_await wait_for_turn();
  if (!turn) co_return AdminReply::error(503, turn.error().detail);
  const Turn ours(*this);
  if (auto refused = refused_while_handing_over()) co_return std::move(*refused);
  if (is_found_by_name(target)) co_return found_by_name();
  RuntimeServers runtime = runtime_;
  runtime.remove(file_, target.pool, target.server);
  AdminReply reply = co_await change_servers(std::move(runtime), std::move(target), 200);
  if (reply.status == 200 && *close) close_connections(server);
  co_return reply;
}

Task<AdminReply> Operations::change_servers(RuntimeServers runtime, Target target, int status) {
  route::KeyRing keys = worker_.generation()->plan->keys;
  const Outcome outcome = co_await go_by(file_, std::move(runtime), std::move(keys));
  if (!outcome.wrong.empty()) co_return reply_of(outcome);
  co_return state_of(target, status);
}

}  // namespace rejoin::balancer
