// Read it from routes() and answer() on.
#include "apps/balancer/admin.h"

#include <algorithm>
#include <charconv>

#include "apps/balancer/admin_json.h"
#include "apps/balancer/worker.h"
#include "watch/json.h"
#include "watch/metrics_text.h"
#include "watch/process_info.h"

namespace rejoin::balancer {

using proto::Method;
using watch::AdminReply;
using watch::AdminRequest;
using watch::Json;

/// `{...}` stands for one part of a path, whatever it is.
struct Admin::Route {
  Method method;
  std::string_view method_name, path;
  Task<AdminReply> (Admin::*answer)(Asked);
  std::vector<std::string_view> parameters = {};
};

const std::vector<Admin::Route>& Admin::routes() {
  static const std::vector<Route> kRoutes{
      {Method::get, "GET", "/", &Admin::overview},
      {Method::get, "GET", "/pools", &Admin::pools},
      {Method::get, "GET", "/pools/{pool}", &Admin::one_pool},
      {Method::get, "GET", "/servers", &Admin::servers, {"pool"}},
      {Method::get, "GET", "/listeners", &Admin::listeners},
      {Method::get,
       "GET",
       "/connections",
       &Admin::connections,
       {"limit", "after", "pool", "server", "listener", "client"}},
      {Method::get, "GET", "/connections/{id}", &Admin::one_connection},
      {Method::delete_, "DELETE", "/connections/{id}", &Admin::one_connection},
      {Method::get, "GET", "/metrics", &Admin::metrics},
      {Method::get, "GET", "/healthz", &Admin::health},
      {Method::get, "GET", "/readyz", &Admin::readiness},
      {Method::get, "GET", "/version", &Admin::version},
  };
  return kRoutes;
}

namespace {

AdminReply no_answer() {
  return AdminReply::error(503, "a worker did not answer: the balancer is overloaded or stopping");
}

/// "/pools/{pool}" and "/pools/play": part by part.
bool fits(std::string_view pattern, std::string_view path) {
  while (!pattern.empty() && !path.empty()) {
    const std::size_t pattern_end = std::min(pattern.find('/', 1), pattern.size());
    const std::size_t path_end = std::min(path.find('/', 1), path.size());
    const std::string_view wanted = pattern.substr(0, pattern_end), part = path.substr(0, path_end);
    const bool any = wanted.starts_with("/{") && part.size() > 1;
    if (!any && wanted != part) return false;
    pattern.remove_prefix(pattern_end);
    path.remove_prefix(path_end);
  }
  return pattern.empty() && path.empty();
}

std::string_view last_part(std::string_view path) { return path.substr(path.rfind('/') + 1); }

/// The parameters of GET /connections. What is wrong with them, or nothing.
std::optional<AdminReply> read_listing(const AdminRequest& request, Question& question) {
  question.kind = Question::Kind::connections;
  question.limit = kListedTunnels;
  if (const auto limit = request.parameter("limit")) {
    const char* const end = limit->data() + limit->size();
    const auto [at, wrong] = std::from_chars(limit->data(), end, question.limit);
    if (wrong != std::errc() || at != end || question.limit > kListedTunnelsMax)
      return AdminReply::error(400, "limit: write 0 to " + std::to_string(kListedTunnelsMax));
  }
  if (const auto after = request.parameter("after")) {
    const std::optional<std::uint64_t> id = parse_id(*after);
    if (!id) return AdminReply::error(400, "after: an id has 16 hex digits");
    question.after = *id;
  }
  if (const auto client = request.parameter("client")) {
    const Result<Address> address = Address::parse_ip(*client);
    if (!address) return AdminReply::error(400, "client: write an IP address, without a port");
    question.client = *address;
  }
  question.pool = request.parameter("pool").value_or("");
  question.server = request.parameter("server").value_or("");
  question.listener = request.parameter("listener").value_or("");
  return std::nullopt;
}

std::int64_t ms(Duration time) { return std::chrono::duration_cast<std::chrono::milliseconds>(time).count(); }

}  // namespace

bool is_ready(Worker& worker, const route::Pool& pool) {
  if (worker.draining()) return false;
  for (std::size_t i = 0; i < pool.size(); ++i) {
    if (pool.takes_new(static_cast<route::ServerIndex>(i), worker.world().clock.now())) return true;
  }
  return false;
}

Admin::Admin(Worker& worker, serve::Colleagues* colleagues, Operator* oper)
    : worker_(worker),
      operator_(oper),
      opened_(worker.world().clock.now()),
      survey_(worker.world(), worker, stop_,
              {.number = worker.number(),
               .colleagues = colleagues,
               .reply = answer_question,
               .home = [](Worker& back) -> AllWorkers* {
                 return back.admin() != nullptr ? &back.admin()->survey_ : nullptr;
               }}),
      server_(worker.world(), *this) {}

Admin::~Admin() { close(); }

void Admin::close() {
  stop_.request();
  server_.close();
}

Task<AdminReply> Admin::answer(AdminRequest request) {
  std::string allowed;
  for (const Route& route : routes()) {
    if (!fits(route.path, request.path)) continue;
    allowed += (allowed.empty() ? "" : ", ") + std::string(route.method_name);
    if (route.method != request.method) continue;
    if (auto unknown = unknown_parameter(request, route.parameters)) co_return std::move(*unknown);
    AdminReply reply = co_await (this->*route.answer)(request);
    co_return reply;
  }
  if (operator_ != nullptr) {
    std::optional<AdminReply> operated = co_await operator_->operate(request);
    if (operated) co_return std::move(*operated);
  }
  AdminReply reply = AdminReply::error(404, "there is no such path; GET / says which there are");
  if (!allowed.empty()) {
    reply = AdminReply::error(405, "ask with " + allowed);
    reply.field_lines = "Allow: " + allowed + "\r\n";
  }
  co_return reply;
}

Task<std::optional<Answer>> Admin::numbers() {
  Question question;
  std::optional<Answer> answer = co_await survey_.ask(std::move(question), std::nullopt);
  co_return answer;
}

// --- what there is ---

Task<AdminReply> Admin::overview(Asked) {
  std::optional<Answer> answer = co_await numbers();
  if (!answer) co_return no_answer();
  const Numbers& now = answer->numbers;
  Json out = Json::object();
  out.set("program", "balancer");
  out.set("version", watch::version());
  out.set("uptime_ms", ms(worker_.world().clock.now() - opened_));
  out.set("workers", survey_.workers());
  out.set("draining", now.workers.draining != 0);
  std::uint64_t connections = 0, tunnels = 0, requests = 0, accepted = 0;
  bool ready = true;
  for (const ListenerNumbers& listener : now.listeners) {
    connections += listener.connections;
    tunnels += listener.tunnels;
    requests += listener.counts.requests;
    accepted += listener.counts.accepted;
  }
  const GenerationPtr generation = worker_.generation();
  for (const ListenerPtr& listener : generation->listeners)
    ready = ready && is_ready(worker_, generation->pool(*listener).router.pool());
  out.set("ready", ready);
  out.set("listeners", now.listeners.size());
  out.set("pools", now.pools.size());
  out.set("connections", connections);
  out.set("tunnels", tunnels);
  out.set("accepted", accepted);
  out.set("requests", requests);
  Json list = Json::list();
  for (const Route& route : routes())
    list.add(std::string(route.method_name) + " " + std::string(route.path));
  if (operator_ != nullptr) {
    for (const std::string& route : operator_->routes()) list.add(route);
  }
  out.set("routes", std::move(list));
  co_return AdminReply::of(out);
}

Task<AdminReply> Admin::pools(Asked) {
  std::optional<Answer> answer = co_await numbers();
  if (!answer) co_return no_answer();
  Json list = Json::list();
  for (const PoolNumbers& pool : answer->numbers.pools) list.add(json_of(pool, false));
  Json out = Json::object();
  out.set("pools", std::move(list));
  co_return AdminReply::of(out);
}

Task<AdminReply> Admin::one_pool(Asked request) {
  const std::string_view name = last_part(request.path);
  std::optional<Answer> answer = co_await numbers();
  if (!answer) co_return no_answer();
  for (const PoolNumbers& pool : answer->numbers.pools) {
    if (pool.name == name) co_return AdminReply::of(json_of(pool, true));
  }
  co_return AdminReply::error(404, "there is no pool of this name; GET /pools has them");
}

Task<AdminReply> Admin::servers(Asked request) {
  const std::optional<std::string> only = request.parameter("pool");
  std::optional<Answer> answer = co_await numbers();
  if (!answer) co_return no_answer();
  Json list = Json::list();
  for (const PoolNumbers& pool : answer->numbers.pools) {
    if (only && pool.name != *only) continue;
    for (const ServerNumbers& server : pool.servers) list.add(json_of(server, pool.name));
  }
  Json out = Json::object();
  out.set("servers", std::move(list));
  co_return AdminReply::of(out);
}

Task<AdminReply> Admin::listeners(Asked) {
  std::optional<Answer> answer = co_await numbers();
  if (!answer) co_return no_answer();
  Json list = Json::list();
  for (const ListenerNumbers& listener : answer->numbers.listeners) list.add(json_of(listener));
  Json out = Json::object();
  out.set("listeners", std::move(list));
  co_return AdminReply::of(out);
}

Task<AdminReply> Admin::connections(Asked request) {
  Question question;
  if (auto wrong = read_listing(request, question)) co_return std::move(*wrong);
  const std::size_t limit = question.limit;
  std::optional<Answer> answer = co_await survey_.ask(std::move(question), std::nullopt);
  if (!answer) co_return no_answer();
  std::vector<TunnelRow>& rows = answer->rows;
  std::sort(rows.begin(), rows.end(), [](const TunnelRow& a, const TunnelRow& b) { return a.id < b.id; });
  const bool more = rows.size() > limit || (limit != 0 && rows.size() == limit);
  if (rows.size() > limit) rows.resize(limit);
  Json list = Json::list();
  for (const TunnelRow& row : rows) list.add(json_of(row));
  Json out = Json::object();
  out.set("matching", answer->matching);
  out.set("next", more ? Json(id_text(rows.back().id)) : Json());
  out.set("connections", std::move(list));
  co_return AdminReply::of(out);
}

Task<AdminReply> Admin::one_connection(Asked request) {
  const std::optional<std::uint64_t> id = parse_id(last_part(request.path));
  if (!id) co_return AdminReply::error(400, "an id has 16 hex digits, in lower case");
  const bool look = request.method == Method::get;
  Question question;
  question.kind = look ? Question::Kind::look : Question::Kind::end;
  question.id = *id;
  // An id that was made up may name a worker that is not there.
  const auto named = static_cast<unsigned>(*id >> 56);
  const unsigned owner = named < survey_.workers() ? named : 0;
  std::optional<Answer> answer = co_await survey_.ask(std::move(question), owner);
  if (!answer) co_return no_answer();
  if (answer->rows.empty()) co_return AdminReply::error(404, "no connection has this id, or it has ended");
  const TunnelRow& row = answer->rows.front();
  if (!look)
    worker_.world().log.info("the operator ends connection " + id_text(row.id) + " of " + row.client);
  co_return AdminReply::of(json_of(row));
}

// --- for programs ---

Task<AdminReply> Admin::metrics(Asked) {
  std::optional<Answer> answer = co_await numbers();
  if (!answer) co_return no_answer();
  AdminReply reply;
  reply.body = metrics_text(answer->numbers, survey_.own_tables());
  reply.content_type = watch::MetricsText::kContentType;
  co_return reply;
}

Task<AdminReply> Admin::health(Asked) {
  Json out = Json::object();
  out.set("status", "ok");
  co_return AdminReply::of(out);
}

Task<AdminReply> Admin::readiness(Asked) {
  Json unready = Json::list();
  const GenerationPtr generation = worker_.generation();
  for (const ListenerPtr& listener : generation->listeners) {
    const bool ready_now = is_ready(worker_, generation->pool(*listener).router.pool());
    if (!worker_.draining() && !ready_now) unready.add(listener->rules.name);
  }
  const bool ready = !worker_.draining() && unready.items().empty();
  Json out = Json::object();
  out.set("ready", ready);
  out.set("draining", worker_.draining());
  out.set("without_server", std::move(unready));
  AdminReply reply = AdminReply::of(out);
  if (!ready) reply.status = 503;
  co_return reply;
}

Task<AdminReply> Admin::version(Asked) {
  Json out = Json::object();
  out.set("version", watch::version());
  out.set("compiler", watch::compiler());
  co_return AdminReply::of(out);
}

}  // namespace rejoin::balancer
