// The parts list of `rejoin ctl`: a loop, one question, and how its answer is shown.
#include "apps/ctl/ctl.h"

#include <signal.h>

#include <cstdio>

#include "apps/config/units.h"
#include "apps/ctl/admin_call.h"
#include "apps/ctl/show.h"
#include "base/log.h"
#include "base/random.h"
#include "io/epoll_loop.h"
#include "watch/admin_server.h"

namespace rejoin::ctl {
namespace {

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
  return complain("cannot ask the gateway at " + options.admin.text() + ": " + why.detail +
                  "\n  Its configuration needs a table [admin] with listen = \"" + options.admin.text() +
                  "\"; or name its admin port with --admin IP:PORT.");
}

std::string show(const CtlOptions& options, const watch::Json& answer) {
  if (options.output == Output::json) return write_json(answer) + "\n";
  switch (options.verb) {
    case Verb::sessions: return sessions_text(answer);
    case Verb::session:
    case Verb::end: return session_text(answer);
    case Verb::drain:
    case Verb::undrain: return drain_text(answer);
    case Verb::upgrade: return upgrade_text(answer);
    case Verb::metrics: break;
  }
  return {};
}

}  // namespace

int run_ctl(const CtlOptions& options) {
  signal(SIGPIPE, SIG_IGN);
  const std::unique_ptr<Log> log = make_stderr_log("ctl", LogLevel::warn);
  Result<std::unique_ptr<io::EpollLoop>> loop = io::EpollLoop::make(*log);
  if (!loop) return complain(to_string(loop.error()));
  SystemRandom random;
  io::World world = (*loop)->world(random, *log);
  Stop stop;
  std::optional<Result<AdminAnswer>> answer;
  {
    Scope scope(world.ready);
    scope.spawn(ask(world, call_of(options), stop, answer));
    while (scope.running() != 0) (*loop)->turn(1h);
  }
  if (!*answer) return unreachable(options, answer->error());
  const AdminAnswer& said = **answer;

  const bool text = options.verb == Verb::metrics && said.status == 200;
  const std::optional<watch::Json> json = text ? std::nullopt : watch::parse_json(said.body);
  if (said.status != 200) {
    const std::string why = json ? (*json)["error"].text().value_or("") : "";
    if (json && why.empty() && (*json)["phase"].text() == "ended")
      return complain("it has ended already: " + (*json)["reason"].text().value_or("?"));
    return complain(why.empty() ? "the gateway answered " + std::to_string(said.status) : why);
  }
  if (!text && !json) return complain("what listens at " + options.admin.text() + " is no admin port");
  const std::string out = text ? said.body : show(options, *json);
  std::fwrite(out.data(), 1, out.size(), stdout);
  return std::fflush(stdout) == 0 ? 0 : complain("cannot write to stdout");
}

}  // namespace rejoin::ctl
