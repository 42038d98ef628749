// The command line: which program, with which options. The only unit that includes CLI11 (seconds of
// compiling).
//
// Each sub-command is one add_*() below, which binds options to the program's struct and hands that to its
// run_*().
#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "apps/balancer/balancer.h"
#include "apps/check/check.h"
#include "apps/config/diagnostic.h"
#include "apps/config/nearest.h"
#include "apps/config/units.h"
#include "apps/connect/connect.h"
#include "apps/ctl/ctl.h"
#include "apps/demo/demo.h"
#include "apps/gateway/gateway.h"

namespace rejoin {
namespace {

constexpr int kUsageError = 2;

// A sub-command whose folder is not written yet has no REJOIN_HAS_* (apps/CMakeLists.txt).

/// What was asked for, called after the whole line was understood.
using Run = std::function<int()>;

#ifdef REJOIN_HAS_BALANCER
void add_balancer(CLI::App& app, Run& run) {
  auto options = std::make_shared<balancer::BalancerOptions>();
  CLI::App* sub = app.add_subcommand("balancer", "Take connections and bring each client back to its server");
  sub->add_option("-c,--config", options->config_file, "Configuration (TOML); see `rejoin check`")
      ->required()
      ->type_name("FILE");
  sub->footer("Example:\n  rejoin balancer -c examples/balancer.toml");
  sub->callback([options, &run] { run = [options] { return balancer::run_balancer(*options); }; });
}
#endif

#ifdef REJOIN_HAS_GATEWAY
void add_gateway(CLI::App& app, Run& run) {
  auto options = std::make_shared<gateway::GatewayOptions>();
  CLI::App* sub = app.add_subcommand("gateway", "Hold clients' sessions in front of a game server");
  sub->add_option("-c,--config", options->config_file, "Configuration (TOML); see `rejoin check`")
      ->required()
      ->type_name("FILE");
  sub->footer("Example:\n  rejoin gateway -c examples/gateway.toml");
  sub->callback([options, &run] { run = [options] { return gateway::run_gateway(*options); }; });
}
#endif

#ifdef REJOIN_HAS_CHECK
void add_check(CLI::App& app, Run& run) {
  auto options = std::make_shared<check::CheckOptions>();
  auto wants_reference = std::make_shared<bool>(false);
  CLI::App* sub =
      app.add_subcommand("check", "Say whether a configuration is good, and what would make it so");
  CLI::Option* file =
      sub->add_option("-c,--config", options->config_file, "Configuration (TOML)")->type_name("FILE");
  CLI::Option* reference =
      sub->add_flag("--reference", *wants_reference, "Print all keys with their defaults, as Markdown");
  reference->excludes(file);
  sub->footer(
      "Exit status: 0 good (warnings are on stderr), 2 not usable.\n"
      "Examples:\n"
      "  rejoin check -c play.toml\n"
      "  rejoin check --reference");
  sub->callback([options, wants_reference, file, &run] {
    if (file->count() == 0 && !*wants_reference) throw CLI::RequiredError("-c FILE or --reference");
    if (*wants_reference) options->task = check::Task::reference;
    run = [options] { return check::run_check(*options); };
  });
}
#endif

#ifdef REJOIN_HAS_CONNECT
void add_connect(CLI::App& app, Run& run) {
  struct Typed {  // options whose text needs reading
    std::vector<std::string> bind;
    std::string timeout = "5s";
    int receive = 0;
    bool json = false;
  };
  auto options = std::make_shared<connect::ConnectOptions>();
  auto typed = std::make_shared<Typed>();
  CLI::App* sub = app.add_subcommand("connect", "Connect as a client, and print cookies and messages");
  sub->add_option("url", options->url,
                  "ws://HOST:PORT/PATH or tcp://HOST:PORT; with --resume wss and tls, too")
      ->required()
      ->type_name("URL");
  sub->add_option("--cookie-jar", options->cookie_jar_file, "Keep cookies here between runs")
      ->type_name("FILE");
  sub->add_option("--times", options->times, "Connections, one after the other (default 1)")
      ->check(CLI::Range(1, 1'000'000))
      ->type_name("N");
  sub->add_option("--bind", typed->bind, "Connect from this address; repeated: the i-th for connection i")
      ->type_name("ADDRESS")
      ->allow_extra_args(false);
  sub->add_option("--message", options->messages, "Send this text, may be repeated (default: lines of stdin)")
      ->type_name("TEXT")
      ->allow_extra_args(false);
  CLI::Option* receive =
      sub->add_option("--receive", typed->receive, "Messages to wait for (default 1 + number of --message)")
          ->check(CLI::Range(0, 1'000'000))
          ->type_name("N");
  sub->add_option("--timeout", typed->timeout, "For each step (default 5s)")->type_name("DURATION");
  sub->add_flag("--json", typed->json, "One JSON object a line and connection");
  CLI::Option* resume =
      sub->add_option(
             "--resume", options->resume_file,
             "Speak rejoin.v1: keep the session here, survive broken links, and go on with it next time")
          ->type_name("FILE");
  sub->add_option("--identity", options->identity, "Who you are, told at the login")
      ->needs(resume)
      ->type_name("TEXT");
  sub->add_flag("--end", options->end_session,
                "End the session when all is done; else it waits for the next run")
      ->needs(resume);
  sub->add_flag("--advertised", options->use_advertised, "The gateway's own addresses may be dialled")
      ->needs(resume);
  sub->footer(
      "Examples:\n"
      "  rejoin connect ws://127.0.0.1:8080/play --message hello\n"
      "  rejoin connect ws://127.0.0.1:8080/play --times 2 --bind 127.0.0.5 --bind 127.0.0.6 --message hi\n"
      "  rejoin connect tcp://127.0.0.1:8001 --json --cookie-jar jar.txt < lines.txt\n"
      "  rejoin connect ws://127.0.0.1:8080/play --resume me.session --bind 127.0.0.5 --bind 127.0.0.6 "
      "--times 2 "
      "--message hi");
  sub->callback([options, typed, receive, &run] {
    for (const std::string& text : typed->bind) {
      auto address = Address::parse_ip(text);
      if (!address) address = Address::parse(text);
      if (!address) throw CLI::ValidationError("--bind", address.error().detail);
      options->bind.push_back(*address);
    }
    const auto timeout = config::parse_duration(typed->timeout);
    if (!timeout || *timeout <= Duration(0)) {
      throw CLI::ValidationError("--timeout", config::duration_hint(typed->timeout));
    }
    options->timeout = *timeout;
    if (receive->count() > 0) options->receive = typed->receive;
    if (typed->json) options->output = connect::Output::json;
    run = [options] { return connect::run_connect(*options); };
  });
}
#endif

#ifdef REJOIN_HAS_CTL
Duration duration_option(const std::string& name, const std::string& text) {
  const auto time = config::parse_duration(text);
  if (!time || *time < Duration(0)) throw CLI::ValidationError(name, config::duration_hint(text));
  return *time;
}

/// The admin port, and how answers are shown: the same for every question.
void add_ctl_question(CLI::App& ctl, Run& run, std::shared_ptr<ctl::CtlOptions> options,
                      std::shared_ptr<std::string> admin, ctl::Verb verb, const std::string& name,
                      const std::string& says, const std::function<void(CLI::App&)>& bind,
                      const std::function<void()>& read) {
  CLI::App* sub = ctl.add_subcommand(name, says);
  if (verb != ctl::Verb::metrics) {
    sub->add_flag_callback(
        "--json", [options] { options->output = ctl::Output::json; }, "The gateway's answer as it is");
  }
  bind(*sub);
  sub->fallthrough();  // --admin may stand behind the question, too
  sub->callback([options, admin, verb, read, &run] {
    options->verb = verb;
    read();
    run = [options, admin] {
      const auto address = Address::parse(*admin);
      if (!address) return kUsageError;  // it was checked
      options->admin = *address;
      return ctl::run_ctl(*options);
    };
  });
}

void add_ctl(CLI::App& app, Run& run) {
  struct Typed {
    std::string over = "30s", end_after, move_over;
  };
  auto options = std::make_shared<ctl::CtlOptions>();
  auto typed = std::make_shared<Typed>();
  auto admin = std::make_shared<std::string>("127.0.0.1:9090");
  CLI::App* sub = app.add_subcommand("ctl", "Look at a running gateway's sessions; end one; drain it");
  sub->add_option("--admin", *admin, "Its [admin] listen (default 127.0.0.1:9090)")
      ->type_name("IP:PORT")
      ->check([](const std::string& text) {
        const auto address = Address::parse(text);
        return address ? std::string() : address.error().detail;
      });
  sub->require_subcommand(1);
  const auto nothing = [] {};
  const auto id = [options](CLI::App& it) {
    it.add_option("id", options->id, "32 hex digits, as `sessions` shows them")->required()->type_name("ID");
  };
  using ctl::Verb;
  add_ctl_question(
      *sub, run, options, admin, Verb::sessions, "sessions", "List sessions, and those that ended lately",
      [options](CLI::App& it) {
        it.add_option("--limit", options->limit, "At most so many (default 100)")
            ->check(CLI::Range(0, 1000))
            ->type_name("N");
        it.add_option("--phase", options->phase, "attached, detached or unconfirmed (default all)")
            ->type_name("PHASE");
      },
      nothing);
  add_ctl_question(*sub, run, options, admin, Verb::session, "session", "Show one session", id, nothing);
  add_ctl_question(
      *sub, run, options, admin, Verb::end, "end", "End one session: its client is told, with the reason",
      [options, id](CLI::App& it) {
        id(it);
        it.add_option("--reason", options->reason, "Told to the client")->type_name("TEXT");
      },
      nothing);
  add_ctl_question(
      *sub, run, options, admin, Verb::drain, "drain",
      "Take no new sessions; those that live stay, and may be come back to",
      [typed](CLI::App& it) {
        it.add_option("--end-after", typed->end_after,
                      "End what is left then; those clients log in elsewhere (default: never)")
            ->type_name("DURATION");
        it.add_option("--over", typed->over, "Spread these ends evenly over this time (default 30s)")
            ->type_name("DURATION");
      },
      [options, typed] {
        options->over = duration_option("--over", typed->over);
        if (!typed->end_after.empty()) options->end_after = duration_option("--end-after", typed->end_after);
      });
  add_ctl_question(
      *sub, run, options, admin, Verb::upgrade, "upgrade",
      "Start the gateway's program anew: sessions and game servers' connections go over, and nobody notices",
      [typed](CLI::App& it) {
        it.add_option("--over", typed->move_over,
                      "Ask the clients to move evenly within this time (default: [gateway] upgrade.over)")
            ->type_name("DURATION");
      },
      [options, typed] {
        if (!typed->move_over.empty()) options->move_over = duration_option("--over", typed->move_over);
      });
  add_ctl_question(
      *sub, run, options, admin, Verb::undrain, "undrain", "Take new sessions again", [](CLI::App&) {},
      nothing);
  add_ctl_question(
      *sub, run, options, admin, Verb::metrics, "metrics", "Print all numbers, as Prometheus reads them",
      [](CLI::App&) {}, nothing);
  sub->footer(
      "Exit status: 0 done, 1 the gateway could not be asked or said no, 2 wrong usage.\n"
      "Examples:\n"
      "  rejoin ctl sessions\n"
      "  rejoin ctl sessions --phase detached --limit 10\n"
      "  rejoin ctl end 007a5bd33a6e4bd0a6b3a1c5f27d5a11 --reason \"banned\"\n"
      "  rejoin ctl drain                               before maintenance: wait until nobody is left\n"
      "  rejoin ctl drain --end-after 10m --over 1m     then end what is left, a minute long\n"
      "  rejoin ctl --admin 127.0.0.1:9191 metrics");
}
#endif

#ifdef REJOIN_HAS_DEMO
void add_demo(CLI::App& app, Run& run) {
  auto options = std::make_shared<demo::DemoOptions>();
  auto verbose = std::make_shared<bool>(false);
  CLI::App* sub =
      app.add_subcommand("demo", "Show it: two gateways, a balancer, and a client whose address changes");
  const std::map<std::string, demo::ShownAffinity> words{{"insert", demo::ShownAffinity::insert},
                                                         {"rewrite", demo::ShownAffinity::rewrite},
                                                         {"prefix", demo::ShownAffinity::prefix},
                                                         {"source-ip", demo::ShownAffinity::source_ip},
                                                         {"all", demo::ShownAffinity::all}};
  auto word = std::make_shared<std::string>("all");
  sub->add_option("--affinity", *word, "insert, rewrite, prefix, source-ip or all (default all)")
      ->type_name("KIND");
  const std::map<std::string, demo::ShownActs> acts{{"both", demo::ShownActs::both},
                                                    {"way-back", demo::ShownActs::way_back},
                                                    {"scene", demo::ShownActs::scene}};
  auto act = std::make_shared<std::string>("both");
  sub->add_option("--act", *act,
                  "way-back (cookies), scene (sessions that outlive links) or both (default both)")
      ->type_name("ACT");
  sub->add_option("--game-server", options->game_server_at)->group("");  // the demo starts itself so
  sub->add_flag("--verbose", *verbose, "Also the logs of the balancer and the gateways");
  sub->footer(
      "Exit status: 0 only if every claim held.\n"
      "Example:\n"
      "  rejoin demo --affinity insert\n"
      "  rejoin demo --act scene");
  sub->callback([options, verbose, word, words, act, acts, &run] {
    const auto played = acts.find(*act);
    if (played == acts.end()) throw CLI::ValidationError("--act", "write way-back, scene or both");
    options->acts = played->second;
    const auto chosen = words.find(*word);
    if (chosen == words.end()) {
      throw CLI::ValidationError("--affinity", "write insert, rewrite, prefix, source-ip or all");
    }
    options->affinity = chosen->second;
    if (*verbose) options->detail = demo::Detail::verbose;
    run = [options] { return demo::run_demo(*options); };
  });
}
#endif

/// CLI11 says of a mistyped sub-command only that one is missing.
void name_mistyped_command(const CLI::App& app, std::string_view typed) {
  std::vector<std::string_view> commands;
  for (const CLI::App* sub : app.get_subcommands({})) commands.push_back(sub->get_name());
  if (typed.starts_with('-') || std::find(commands.begin(), commands.end(), typed) != commands.end()) return;
  const std::string_view near = config::nearest(typed, commands);
  std::string message = config::in_quotes(typed) + " is not a command";
  if (!near.empty()) message += "; did you mean " + config::in_quotes(near) + "?";
  throw CLI::ValidationError(message);
}

int run_command_line(int argc, char** argv) {
  CLI::App app("Rejoin keeps players in the game when their connection breaks.", "rejoin");
  app.set_version_flag("--version", std::string("rejoin " REJOIN_VERSION));
  app.require_subcommand(1);
  app.footer(
      "Examples:\n"
      "  rejoin demo                                     see what it does\n"
      "  rejoin check -c examples/all.toml               is the configuration good?\n"
      "  rejoin balancer -c examples/balancer.toml\n"
      "  rejoin gateway -c examples/gateway.toml\n"
      "  rejoin connect ws://127.0.0.1:8080/play --message hello\n"
      "  rejoin ctl sessions                             who is on this gateway?\n"
      "`rejoin COMMAND --help` says more. All keys of the configuration: docs/configuration.md.");
  Run run;
#ifdef REJOIN_HAS_BALANCER
  add_balancer(app, run);
#endif
#ifdef REJOIN_HAS_GATEWAY
  add_gateway(app, run);
#endif
#ifdef REJOIN_HAS_CONNECT
  add_connect(app, run);
#endif
#ifdef REJOIN_HAS_CTL
  add_ctl(app, run);
#endif
#ifdef REJOIN_HAS_CHECK
  add_check(app, run);
#endif
#ifdef REJOIN_HAS_DEMO
  add_demo(app, run);
#endif
  try {
    if (argc > 1) name_mistyped_command(app, argv[1]);
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsageError;
  }
  return run ? run() : kUsageError;
}

}  // namespace
}  // namespace rejoin

int main(int argc, char** argv) { return rejoin::run_command_line(argc, argv); }
