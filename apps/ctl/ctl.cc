// The parts list of `rejoin ctl`: a loop, one question, and how its answer is shown.
#include "apps/ctl/ctl.h"

#include <signal.h>

#include <cstdio>
#include <cstdlib>

#include "apps/config/secret.h"
#include "apps/config/units.h"
#include "apps/ctl/admin_call.h"
#include "apps/ctl/show.h"
#include "apps/ctl/show_balancer.h"
#include "base/log.h"
#include "base/random.h"
#include "io/epoll_loop.h"
#include "watch/admin_server.h"

namespace rejoin::ctl {
namespace {

constexpr const char* kTokenVariable = "REJOIN_ADMIN_TOKEN";
/// A session's has twice as many.
constexpr std::size_t kConnectionIdDigits = 16;

/// Those that are not empty.
std::string with_parameters(std::string target,
                            std::initializer_list<std::pair<std::string_view, std::string>> parameters) {
  char before = '?';
  for (const auto& [name, value] : parameters) {
    if (value.empty()) continue;
    target += before;
    target += name;
    target += '=' + watch::encode_parameter(value);
    before = '&';
  }
  return target;
}

/// Of `server ORDER POOL/NAME`. An empty method: `order` is none, or the target names no server.
AdminCall call_of_server(const CtlOptions& options) {
  AdminCall call;
  const std::size_t slash = options.target.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == options.target.size()) return call;
  const std::string at = "/pools/" + watch::encode_parameter(options.target.substr(0, slash)) + "/servers/" +
                         watch::encode_parameter(options.target.substr(slash + 1));
  const std::string close = options.close ? "true" : "";
  if (options.order == "weight" || options.order == "add") {
    if (options.value.empty()) return call;
    const bool add = options.order == "add";
    call.method = "PUT";
    call.target = with_parameters(
        at, {{"address", add ? options.value : ""}, {"weight", add ? options.weight : options.value}});
  } else if (options.order == "remove") {
    call.method = "DELETE";
    call.target = with_parameters(at, {{"close", close}});
  } else if (options.order == "drain" || options.order == "maintenance" || options.order == "ready") {
    call.method = "POST";
    call.target =
        with_parameters(at + '/' + options.order, {{"deadline", options.deadline}, {"close", close}});
  }
  return call;
}

AdminCall call_of(const CtlOptions& options) {
  AdminCall call;
  call.to = options.admin;
  call.method = "GET";
  switch (options.verb) {
    case Verb::sessions:
      call.target = "/sessions?limit=" + std::to_string(options.limit);
      if (!options.phase.empty()) call.target += "&phase=" + watch::encode_parameter(options.phase);
      break;
    case Verb::session: call.target = "/sessions/" + watch::encode_parameter(options.id); break;
    case Verb::end:
      call.method = "DELETE";
      if (options.id.size() == kConnectionIdDigits) {
        call.target = "/connections/" + watch::encode_parameter(options.id);
        break;
      }
      call.target = "/sessions/" + watch::encode_parameter(options.id);
      if (!options.reason.empty()) call.target += "?reason=" + watch::encode_parameter(options.reason);
      break;
    case Verb::drain:
      call.method = "POST";
      call.target = "/drain";
      if (options.end_after) {
        call.target += "?end_after=" + config::duration_text(*options.end_after) +
                       "&over=" + config::duration_text(options.over);
      }
      break;
    case Verb::undrain:
      call.method = "POST";
      call.target = "/undrain";
      break;
    case Verb::upgrade:
      call.method = "POST";
      call.target = "/upgrade";
      if (options.move_over) call.target += "?over=" + config::duration_text(*options.move_over);
      break;
    case Verb::metrics: call.target = "/metrics"; break;
    case Verb::status: call.target = "/"; break;
    case Verb::pools:
      call.target = "/pools";
      if (!options.pool.empty()) call.target += "/" + watch::encode_parameter(options.pool);
      break;
    case Verb::servers: call.target = with_parameters("/servers", {{"pool", options.pool}}); break;
    case Verb::listeners: call.target = "/listeners"; break;
    case Verb::server: {
      AdminCall changed = call_of_server(options);
      changed.to = options.admin;
      return changed;
    }
    case Verb::reload:
      call.method = "POST";
      call.target = "/reload";
      break;
    case Verb::connections:
      call.target = with_parameters("/connections", {{"limit", std::to_string(options.limit)},
                                                     {"after", options.after},
                                                     {"pool", options.pool},
                                                     {"server", options.server},
                                                     {"listener", options.listener},
                                                     {"client", options.client}});
      break;
  }
  return call;
}

Task<void> ask(io::World& world, AdminCall call, Stop& stop, std::optional<Result<AdminAnswer>>& out) {
  Result<AdminAnswer> answer = co_await call_admin(world, std::move(call), stop);
  out.emplace(std::move(answer));
}

int complain(const std::string& what) {
  std::fprintf(stderr, "rejoin ctl: %s\n", what.c_str());
  return 1;
}

int unreachable(const CtlOptions& options, const Error& why) {
  return complain("cannot ask the program at " + options.admin.text() + ": " + why.detail +
                  "\n  Its configuration needs a table [admin] with listen = \"" + options.admin.text() +
                  "\"; or name its admin port with --admin IP:PORT.");
}

std::string show(const CtlOptions& options, const watch::Json& answer) {
  if (options.output == Output::json) return write_json(answer) + "\n";
  switch (options.verb) {
    case Verb::sessions: return sessions_text(answer);
    case Verb::session: return session_text(answer);
    case Verb::end:
      return options.id.size() == kConnectionIdDigits ? connection_ended_text(answer) : session_text(answer);
    case Verb::drain:
    case Verb::undrain: return drain_text(answer);
    case Verb::status: return status_text(answer);
    case Verb::pools: return options.pool.empty() ? pools_text(answer) : pool_text(answer);
    case Verb::servers: return servers_text(answer["servers"]);
    case Verb::listeners: return listeners_text(answer);
    case Verb::connections: return connections_text(answer);
    case Verb::server: return server_text(answer);
    case Verb::reload: return reload_text(answer);
    case Verb::upgrade: return upgrade_text(answer);
    case Verb::metrics: break;
  }
  return {};
}

}  // namespace

int run_ctl(const CtlOptions& options) {
  signal(SIGPIPE, SIG_IGN);
  AdminCall call = call_of(options);
  if (call.method.empty()) {
    complain(
        "write: server drain|maintenance|ready|remove POOL/NAME, server weight POOL/NAME N, or server add "
        "POOL/NAME IP:PORT");
    return 2;
  }
  std::string token_source = options.token_source;
  if (token_source.empty() && std::getenv(kTokenVariable) != nullptr)
    token_source = std::string("env:") + kTokenVariable;
  if (!token_source.empty()) {
    Result<std::string> token = config::load_token(token_source);
    if (!token) return complain("--token: " + token.error().detail);
    call.token = std::move(*token);
  }
  const std::unique_ptr<Log> log = make_stderr_log("ctl", LogLevel::warn);
  Result<std::unique_ptr<io::EpollLoop>> loop = io::EpollLoop::make(*log);
  if (!loop) return complain(to_string(loop.error()));
  SystemRandom random;
  io::World world = (*loop)->world(random, *log);
  Stop stop;
  std::optional<Result<AdminAnswer>> answer;
  {
    Scope scope(world.ready);
    scope.spawn(ask(world, std::move(call), stop, answer));
    while (scope.running() != 0) (*loop)->turn(1h);
  }
  if (!*answer) return unreachable(options, answer->error());
  const AdminAnswer& said = **answer;

  const bool text = options.verb == Verb::metrics && said.status == 200;
  const std::optional<watch::Json> json = text ? std::nullopt : watch::parse_json(said.body);
  if (said.status / 100 != 2) {
    const std::string why = json ? (*json)["error"].text().value_or("") : "";
    if (json && why.empty() && (*json)["phase"].text() == "ended")
      return complain("it has ended already: " + (*json)["reason"].text().value_or("?"));
    if (said.status == 401) return complain(why + "\n  Say where it is: --token file:PATH or env:NAME.");
    if (said.status == 404 && why.starts_with("there is no such path"))
      return complain(
          "the program at " + options.admin.text() +
          " does not know this question: a gateway has sessions, a balancer pools and connections");
    return complain(why.empty() ? "the program answered " + std::to_string(said.status) : why);
  }
  if (!text && !json) return complain("what listens at " + options.admin.text() + " is no admin port");
  const std::string out = text ? said.body : show(options, *json);
  std::fwrite(out.data(), 1, out.size(), stdout);
  return std::fflush(stdout) == 0 ? 0 : complain("cannot write to stdout");
}

}  // namespace rejoin::ctl
