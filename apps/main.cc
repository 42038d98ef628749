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
  sub->add_option("url", options->url, "ws://HOST:PORT/PATH or tcp://HOST:PORT; with TLS wss:// or tls://")
      ->required()
      ->type_name("URL");
  sub->add_option("--cookie-jar", options->cookie_jar_file, "Keep cookies here between runs")
      ->type_name("FILE");
  sub->add_option("--ca", options->ca_file,
                  "Who may have signed the server's certificate, PEM (default: the system's authorities)")
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

/// What all questions of `rejoin ctl` share while the line is read.
struct CtlLine {
  std::shared_ptr<ctl::CtlOptions> options = std::make_shared<ctl::CtlOptions>();
  std::string admin = "127.0.0.1:9090", over = "30s", end_after, move_over;
};

/// One question: its own options by `bind`; `read` is called once the line was understood.
void add_ctl_question(CLI::App& ctl, Run& run, const std::shared_ptr<CtlLine>& line, ctl::Verb verb,
                      const std::string& name, const std::string& says,
                      const std::function<void(CLI::App&)>& bind = {},
                      const std::function<void()>& read = {}) {
  CLI::App* sub = ctl.add_subcommand(name, says);
  if (verb != ctl::Verb::metrics) {
    sub->add_flag_callback(
        "--json", [line] { line->options->output = ctl::Output::json; }, "The answer as it is");
  }
  if (bind) bind(*sub);
  sub->fallthrough();  // --admin may stand behind the question, too
  sub->callback([line, verb, read, &run] {
    line->options->verb = verb;
    if (read) read();
    run = [line] {
      const auto address = Address::parse(line->admin);
      if (!address) return kUsageError;  // it was checked
      line->options->admin = *address;
      return ctl::run_ctl(*line->options);
    };
  });
}

void add_limit(CLI::App& it, const std::shared_ptr<CtlLine>& line) {
  it.add_option("--limit", line->options->limit, "At most so many (default 100)")
      ->check(CLI::Range(0, 1000))
      ->type_name("N");
}

/// What changes a balancer while it runs.
void add_ctl_operations(CLI::App& sub, Run& run, const std::shared_ptr<CtlLine>& line) {
  using ctl::Verb;
  ctl::CtlOptions& options = *line->options;
  add_ctl_question(
      sub, run, line, Verb::server, "server", "Balancer: say something of one server",
      [&options](CLI::App& it) {
        it.add_option("order", options.order, "drain, maintenance, ready, weight, add or remove")
            ->required()
            ->check(CLI::IsMember({"drain", "maintenance", "ready", "weight", "add", "remove"}))
            ->type_name("ORDER");
        it.add_option("server", options.target, "Which")->required()->type_name("POOL/NAME");
        it.add_option("value", options.value, "weight: a number; add: an address")->type_name("VALUE");
        it.add_option("--deadline", options.deadline, "drain: its own clients come back for so long")
            ->type_name("TIME");
        it.add_option("--weight", options.weight, "add: its weight (default 1)")->type_name("N");
        it.add_flag("--close", options.close, "drain, maintenance, remove: end its open tunnels, too");
      });
  add_ctl_question(sub, run, line, Verb::reload, "reload", "Balancer: read the configuration again");
  add_ctl_question(
      sub, run, line, Verb::upgrade, "upgrade",
      "Start the program anew: it takes the listeners over, and a gateway's sessions with their game "
      "servers' "
      "connections",
      [&](CLI::App& it) {
        it.add_option("--over", line->move_over,
                      "Gateway: ask the clients to move evenly within this time (default: [gateway] "
                      "upgrade.over)")
            ->type_name("DURATION");
      },
      [line] {
        if (!line->move_over.empty()) line->options->move_over = duration_option("--over", line->move_over);
      });
}

/// Questions that only a balancer answers.
void add_ctl_of_balancer(CLI::App& sub, Run& run, const std::shared_ptr<CtlLine>& line) {
  using ctl::Verb;
  ctl::CtlOptions& options = *line->options;
  add_ctl_question(
      sub, run, line, Verb::pools, "pools", "Balancer: list pools, or show one with its servers",
      [&options](CLI::App& it) { it.add_option("name", options.pool, "Only this pool")->type_name("POOL"); });
  add_ctl_question(sub, run, line, Verb::servers, "servers", "Balancer: list servers",
                   [&options](CLI::App& it) {
                     it.add_option("--pool", options.pool, "Only those of this pool")->type_name("POOL");
                   });
  add_ctl_question(sub, run, line, Verb::listeners, "listeners", "Balancer: list listeners");
  add_ctl_question(
      sub, run, line, Verb::connections, "connections", "Balancer: list tunnels", [&](CLI::App& it) {
        add_limit(it, line);
        it.add_option("--after", options.after, "Those behind this one")->type_name("ID");
        it.add_option("--pool", options.pool, "Only of this pool")->type_name("POOL");
        it.add_option("--server", options.server, "Only to servers of this name")->type_name("SERVER");
        it.add_option("--listener", options.listener, "Only of this listener")->type_name("NAME");
        it.add_option("--client", options.client, "Only from this address")->type_name("IP");
      });
}

/// Questions that only a gateway answers.
void add_ctl_of_gateway(CLI::App& sub, Run& run, const std::shared_ptr<CtlLine>& line) {
  using ctl::Verb;
  ctl::CtlOptions& options = *line->options;
  add_ctl_question(sub, run, line, Verb::sessions, "sessions",
                   "Gateway: list sessions, and those that ended lately", [&](CLI::App& it) {
                     add_limit(it, line);
                     it.add_option("--phase", options.phase,
                                   "attached, detached or unconfirmed (default all)")
                         ->type_name("PHASE");
                   });
  add_ctl_question(sub, run, line, Verb::session, "session", "Gateway: show one session",
                   [&options](CLI::App& it) {
                     it.add_option("id", options.id, "32 hex digits, as `sessions` shows them")
                         ->required()
                         ->type_name("ID");
                   });
  add_ctl_question(
      sub, run, line, Verb::drain, "drain",
      "Gateway: take no new sessions; those that live stay, and may be come back to",
      [&](CLI::App& it) {
        it.add_option("--end-after", line->end_after,
                      "End what is left then; those clients log in elsewhere (default: never)")
            ->type_name("DURATION");
        it.add_option("--over", line->over, "Spread these ends evenly over this time (default 30s)")
            ->type_name("DURATION");
      },
      [line] {
        line->options->over = duration_option("--over", line->over);
        if (!line->end_after.empty())
          line->options->end_after = duration_option("--end-after", line->end_after);
      });
  add_ctl_question(sub, run, line, Verb::undrain, "undrain", "Gateway: take new sessions again");
}

void add_ctl(CLI::App& app, Run& run) {
  const auto line = std::make_shared<CtlLine>();
  ctl::CtlOptions& options = *line->options;
  CLI::App* sub = app.add_subcommand("ctl", "Look at a running balancer or gateway, and change it");
  sub->add_option("--admin", line->admin, "Its [admin] listen (default 127.0.0.1:9090)")
      ->type_name("IP:PORT")
      ->check([](const std::string& text) {
        const auto address = Address::parse(text);
        return address ? std::string() : address.error().detail;
      });
  sub->add_option(
         "--token", options.token_source,
         "Where its [admin] token is: file:PATH or env:NAME (default env:REJOIN_ADMIN_TOKEN, if set)")
      ->type_name("SOURCE");
  sub->require_subcommand(1);
  using ctl::Verb;
  add_ctl_question(*sub, run, line, Verb::status, "status", "The program at one glance");
  add_ctl_question(*sub, run, line, Verb::metrics, "metrics", "Print all numbers, as Prometheus reads them");
  add_ctl_question(
      *sub, run, line, Verb::end, "end",
      "End one session (gateway: its client is told, with the reason) or one tunnel (balancer)",
      [&options](CLI::App& it) {
        it.add_option("id", options.id, "32 hex digits as `sessions`, or 16 as `connections` shows them")
            ->required()
            ->type_name("ID");
        it.add_option("--reason", options.reason, "Told to a session's client")->type_name("TEXT");
      });
  add_ctl_of_balancer(*sub, run, line);
  add_ctl_operations(*sub, run, line);
  add_ctl_of_gateway(*sub, run, line);
  sub->footer(
      "Exit status: 0 done, 1 the program could not be asked or said no, 2 wrong usage.\n"
      "Examples:\n"
      "  rejoin ctl status\n"
      "  rejoin ctl servers --pool gateways\n"
      "  rejoin ctl connections --client 192.0.2.7\n"
      "  rejoin ctl server drain gateways/g1 --deadline 10m --close\n"
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
  sub->add_flag("--web", options->web,
                "A page to play with in a browser, in the place of the acts; until Ctrl-C");
  sub->add_option("--listen", options->web_at, "Where --web serves it (default 127.0.0.1:8088)")
      ->type_name("IP:PORT");
  // The demo starts itself as its own parts.
  sub->add_option("--game-server", options->game_server_at)->group("");
  sub->add_option("--arena-server", options->arena_server_at)->group("");
  sub->add_option("--access-network", options->access_network_at)->group("");
  sub->add_flag("--verbose", *verbose, "Also the logs of the balancer and the gateways");
  sub->footer(
      "Exit status: 0 only if every claim held.\n"
      "Example:\n"
      "  rejoin demo --web\n"
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

/// What stands where a sub-command of `app` should: behind the options, and their values. Empty: nothing.
std::string_view command_word(const CLI::App& app, int argc, char** argv, int from) {
  for (int i = from; i < argc; ++i) {
    const std::string word = argv[i];
    if (!word.starts_with('-')) return argv[i];
    const CLI::Option* const option = app.get_option_no_throw(word);
    if (option != nullptr && option->get_items_expected_min() > 0) ++i;
  }
  return {};
}

/// The same of a command that has commands of its own: `rejoin ctl statsu`.
void name_mistyped_inner_command(const CLI::App& app, int argc, char** argv) {
  const CLI::App* const sub = app.get_subcommand(std::string(argv[1]));
  if (sub->get_subcommands({}).empty()) return;
  const std::string_view word = command_word(*sub, argc, argv, 2);
  if (!word.empty()) name_mistyped_command(*sub, word);
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
      "  rejoin ctl status                               how is the running program?\n"
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
    if (argc > 2 && argv[1][0] != '-') name_mistyped_inner_command(app, argc, argv);
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsageError;
  }
  return run ? run() : kUsageError;
}

}  // namespace
}  // namespace rejoin

int main(int argc, char** argv) { return rejoin::run_command_line(argc, argv); }
