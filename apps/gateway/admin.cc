// Read it from answer() down.
#include "apps/gateway/admin.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "apps/config/units.h"
#include "apps/gateway/worker.h"
#include "watch/json.h"
#include "watch/metrics_text.h"
#include "watch/process_info.h"

namespace rejoin::gateway {

using proto::Method;
using watch::AdminReply;
using watch::AdminRequest;
using watch::Json;

namespace {

constexpr std::string_view kSessions = "/sessions", kDrain = "/drain", kUndrain = "/undrain",
                           kUpgrade = "/upgrade", kMetrics = "/metrics", kHealth = "/healthz",
                           kReady = "/readyz", kVersion = "/version";
constexpr std::string_view kRoutes[] = {
    "GET /",        "GET /sessions", "GET /sessions/{id}", "DELETE /sessions/{id}",
    "POST /drain",  "POST /undrain", "POST /upgrade",      "GET /metrics",
    "GET /healthz", "GET /readyz",   "GET /version",
};

std::int64_t ms(Duration time) { return std::chrono::duration_cast<std::chrono::milliseconds>(time).count(); }

Json json_of(const SessionRow& row) {
  Json out = Json::object();
  out.set("id", row.id.text());
  out.set("worker", row.id.worker());
  out.set("phase", row.phase);
  out.set("kind", row.kind);
  out.set("age_ms", ms(row.age));
  out.set("since_ms", ms(row.since));
  Json link;
  if (!row.link.empty()) {
    link = Json::object();
    link.set("address", row.link);
    link.set("kind", row.link_kind);
  }
  out.set("link", std::move(link));
  out.set("client", row.client);
  out.set("epoch", row.epoch);
  out.set("links", row.links);
  Json window = Json::object();
  window.set("sent", row.sent);
  window.set("acked", row.acked);
  window.set("held_messages", row.held_messages);
  window.set("held_bytes", row.held_bytes);
  out.set("window", std::move(window));
  out.set("received", row.received);
  out.set("pending", row.pending);
  out.set("unsent_to_game_bytes", row.unsent_to_game);
  out.set("duplicates", row.duplicates);
  out.set("game_server", row.game_server);
  out.set("closing_code", row.closing_code != 0 ? Json(row.closing_code) : Json());
  return out;
}

Json json_of(const EndedRow& row) {
  Json out = Json::object();
  out.set("id", row.end.id.text());
  out.set("code", row.end.code);
  out.set("reason", row.end.reason);
  out.set("lived_ms", ms(row.end.lived));
  out.set("age_ms", ms(row.age));
  return out;
}

/// What stands at the beginning of most replies.
Json state_of(const Answer& answer, const std::string& name, unsigned workers) {
  Json out = Json::object();
  out.set("gateway", name);
  out.set("workers", workers);
  out.set("draining", answer.draining);
  out.set("ends_in_ms", answer.ends_in ? Json(ms(*answer.ends_in)) : Json());
  out.set("sessions", answer.sessions);
  out.set("attached", answer.attached);
  out.set("detached", answer.sessions - answer.attached);
  out.set("moved_in", answer.moved_in);
  out.set("arriving", answer.arriving);
  return out;
}

AdminReply no_answer() {
  return AdminReply::error(503, "a worker did not answer: the gateway is overloaded or stopping");
}

/// Nothing when the parameter is there and is no duration.
std::optional<Duration> duration_of(const AdminRequest& request, std::string_view name, AdminReply& wrong) {
  const std::string text = *request.parameter(name);
  const std::optional<Duration> time = config::parse_duration(text);
  if (!time)
    wrong = AdminReply::error(
        400, std::string(name) + ": \"" + text + "\" is not a duration; " + config::duration_hint(text));
  return time;
}

}  // namespace

Admin::Admin(Worker& worker, serve::Colleagues* colleagues)
    : worker_(worker),
      colleagues_(colleagues),
      opened_(worker.world().clock.now()),
      survey_(worker.world(), worker, stop_,
              {.number = worker.number(),
               .colleagues = colleagues,
               .reply = answer_question,
               .home = [](Worker& back) -> AllWorkers* {
                 return back.admin() != nullptr ? &back.admin()->survey_ : nullptr;
               }}),
      server_(worker.world(), *this) {}

Admin::~Admin() = default;

void Admin::close() {
  stop_.request();
  server_.close();
}

// What has no parameters says so; the others look at theirs themselves.
std::optional<AdminReply> Admin::unwanted(const AdminRequest& request) {
  static constexpr std::string_view kPlain[] = {"/", kUndrain, kMetrics, kHealth, kReady, kVersion};
  if (std::ranges::find(kPlain, request.path) == std::end(kPlain)) return std::nullopt;
  return unknown_parameter(request, {});
}

Task<AdminReply> Admin::answer(AdminRequest request) {
  const bool get = request.method == Method::get;
  const bool post = request.method == Method::post;
  AdminReply reply;
  if (auto wrong = unwanted(request)) co_return std::move(*wrong);
  if (request.path == kSessions && get) {
    reply = co_await list(std::move(request));
  } else if (request.path == kSessions) {
    reply = AdminReply::wrong_method("GET");
  } else if (request.path.starts_with("/sessions/")) {
    reply = co_await one_session(std::move(request));
  } else if (request.path == kDrain && post) {
    reply = co_await drain(std::move(request));
  } else if (request.path == kUndrain && post) {
    reply = co_await undrain();
  } else if (request.path == kUpgrade && post) {
    reply = co_await upgrade(std::move(request));
  } else if (request.path == kDrain || request.path == kUndrain || request.path == kUpgrade) {
    reply = AdminReply::wrong_method("POST");
  } else if (request.path == kMetrics && get) {
    reply = co_await metrics();
  } else if (request.path == "/" && get) {
    reply = co_await overview();
  } else if (request.path == kHealth && get) {
    reply = health();
  } else if (request.path == kReady && get) {
    reply = readiness();
  } else if (request.path == kVersion && get) {
    reply = version();
  } else if (request.path == kMetrics || request.path == "/" || request.path == kHealth ||
             request.path == kReady || request.path == kVersion) {
    reply = AdminReply::wrong_method("GET");
  } else {
    reply = AdminReply::error(404, "there is no such path; GET / says which there are");
  }
  co_return reply;
}

// --- the program ---

Task<AdminReply> Admin::overview() {
  std::optional<Answer> answer = co_await survey_.ask(Question(), std::nullopt);
  if (!answer) co_return no_answer();
  Json out = Json::object();
  out.set("program", "gateway");
  out.set("version", watch::version());
  out.set("uptime_ms", ms(worker_.world().clock.now() - opened_));
  const Json state = state_of(*answer, worker_.rules().name, survey_.workers());
  for (std::size_t i = 0; i < state.names().size(); ++i) out.set(state.names()[i], state.items()[i]);
  out.set("ready", worker_.admits());
  Json routes = Json::list();
  for (const std::string_view route : kRoutes) routes.add(route);
  out.set("routes", std::move(routes));
  co_return AdminReply::of(out);
}

AdminReply Admin::health() const {
  Json out = Json::object();
  out.set("status", "ok");
  return AdminReply::of(out);
}

AdminReply Admin::readiness() const {
  Json out = Json::object();
  out.set("ready", worker_.admits());
  out.set("draining", !worker_.admits());
  AdminReply reply = AdminReply::of(out);
  if (!worker_.admits()) reply.status = 503;
  return reply;
}

AdminReply Admin::version() const {
  Json out = Json::object();
  out.set("version", watch::version());
  out.set("compiler", watch::compiler());
  return AdminReply::of(out);
}

// --- sessions ---

Task<AdminReply> Admin::list(AdminRequest request) {
  if (auto unknown = unknown_parameter(request, {"limit", "phase"})) co_return std::move(*unknown);
  Question question;
  question.kind = Question::Kind::list;
  question.limit = kListedSessions;
  if (const auto limit = request.parameter("limit")) {
    const char* const end = limit->data() + limit->size();
    const auto [at, wrong] = std::from_chars(limit->data(), end, question.limit);
    if (wrong != std::errc() || at != end || question.limit > kListedSessionsMax)
      co_return AdminReply::error(400, "limit: write 0 to " + std::to_string(kListedSessionsMax));
  }
  if (const auto word = request.parameter("phase")) {
    for (const auto phase :
         {session::Phase::unconfirmed, session::Phase::attached, session::Phase::detached}) {
      if (*word == to_string(phase)) question.phase = phase;
    }
    if (!question.phase)
      co_return AdminReply::error(400, "phase: write \"attached\", \"detached\" or \"unconfirmed\"");
  }
  const std::size_t limit = question.limit;
  std::optional<Answer> answer = co_await survey_.ask(std::move(question), std::nullopt);
  if (!answer) co_return no_answer();
  Json sessions = Json::list();
  for (std::size_t i = 0; i < std::min(limit, answer->rows.size()); ++i)
    sessions.add(json_of(answer->rows[i]));
  std::vector<EndedRow>& ends = answer->ended;
  std::sort(ends.begin(), ends.end(), [](const EndedRow& a, const EndedRow& b) { return a.age < b.age; });
  Json ended = Json::list();
  for (std::size_t i = 0; i < std::min(kEndedShownMax, ends.size()); ++i) ended.add(json_of(ends[i]));
  Json out = state_of(*answer, worker_.rules().name, survey_.workers());
  out.set("matching", answer->matching);
  out.set("list", std::move(sessions));
  out.set("ended", std::move(ended));
  co_return AdminReply::of(out);
}

Task<AdminReply> Admin::one_session(AdminRequest request) {
  const bool look = request.method == Method::get;
  if (!look && request.method != Method::delete_) co_return AdminReply::wrong_method("GET, DELETE");
  if (auto unknown = look ? unknown_parameter(request, {}) : unknown_parameter(request, {"reason"}))
    co_return std::move(*unknown);
  const std::string_view text = std::string_view(request.path).substr(kSessions.size() + 1);
  const std::optional<route::SessionId> id = route::SessionId::parse(text);
  if (!id) co_return AdminReply::error(400, "an id has 32 hex digits, in lower case");
  Question question;
  question.kind = look ? Question::Kind::look : Question::Kind::end;
  question.id = *id;
  question.reason = request.parameter("reason").value_or("ended by the operator");
  if (question.reason.size() > limits::kReasonBytesMax)
    co_return AdminReply::error(400, "reason: at most " + std::to_string(limits::kReasonBytesMax) + " bytes");
  // An id that was made up may name a worker that is not there.
  const unsigned owner = id->worker() < survey_.workers() ? id->worker() : 0;
  std::optional<Answer> answer = co_await survey_.ask(std::move(question), owner);
  if (!answer) co_return no_answer();
  if (answer->found && look) co_return AdminReply::of(json_of(answer->rows.front()));
  if (!answer->ended.empty()) {
    Json out = json_of(answer->ended.back());
    out.set("phase", "ended");
    AdminReply reply = AdminReply::of(out);
    if (!answer->found && !look) reply.status = 404;
    co_return reply;
  }
  co_return AdminReply::error(404, "no session has this id");
}

// --- drains ---

Task<AdminReply> Admin::drain(AdminRequest request) {
  if (auto unknown = unknown_parameter(request, {"over", "end_after"})) co_return std::move(*unknown);
  Question question;
  question.kind = Question::Kind::drain;
  AdminReply wrong;
  if (request.parameter("end_after")) {
    question.order.end_after = duration_of(request, "end_after", wrong);
    if (!question.order.end_after) co_return wrong;
  }
  if (request.parameter("over")) {
    const std::optional<Duration> over = duration_of(request, "over", wrong);
    if (!over) co_return wrong;
    question.order.over = *over;
  }
  std::optional<Answer> answer = co_await survey_.ask(std::move(question), std::nullopt);
  if (!answer) co_return no_answer();
  worker_.world().log.info("the operator drains: no new sessions, " + std::to_string(answer->sessions) +
                           " are left");
  co_return AdminReply::of(state_of(*answer, worker_.rules().name, survey_.workers()));
}

Task<AdminReply> Admin::undrain() {
  Question question;
  question.kind = Question::Kind::undrain;
  std::optional<Answer> answer = co_await survey_.ask(std::move(question), std::nullopt);
  if (!answer) co_return no_answer();
  worker_.world().log.info("the operator took the drain back: new sessions are taken");
  co_return AdminReply::of(state_of(*answer, worker_.rules().name, survey_.workers()));
}

// --- the next process ---

// What comes of it is not known yet when this is answered: the new process has to come up. This port is its
// from then on, where `arriving` says how far it is.
Task<AdminReply> Admin::upgrade(AdminRequest request) {
  if (auto unknown = unknown_parameter(request, {"over"})) co_return std::move(*unknown);
  Question question;
  question.kind = Question::Kind::upgrade;
  if (request.parameter("over")) {
    AdminReply wrong;
    question.over = duration_of(request, "over", wrong);
    if (!question.over) co_return wrong;
  }
  std::optional<Answer> answer = co_await survey_.ask(std::move(question), std::nullopt);
  if (!answer) co_return no_answer();
  if (!answer->not_now.empty()) co_return AdminReply::error(409, "not now: " + answer->not_now);
  if (colleagues_ == nullptr) co_return AdminReply::error(409, "this gateway cannot be upgraded");
  colleagues_->upgrade();
  worker_.world().log.info("the operator upgrades");
  co_return AdminReply::of(state_of(*answer, worker_.rules().name, survey_.workers()));
}

// --- metrics ---

Task<AdminReply> Admin::metrics() {
  Question question;
  question.kind = Question::Kind::metrics;
  std::optional<Answer> answer = co_await survey_.ask(std::move(question), std::nullopt);
  if (!answer) co_return no_answer();
  AdminReply reply;
  reply.body = metrics_text(answer->totals, survey_.own_tables());
  reply.content_type = watch::MetricsText::kContentType;
  co_return reply;
}

}  // namespace rejoin::gateway
