// The parts list of the client: address, names, jar, loop, and the calls one after the other.
#include "apps/connect/connect.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "apps/connect/call.h"
#include "apps/connect/jar_file.h"
#include "apps/connect/session_run.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/random.h"
#include "clients/cpp/src/system_resolver.h"
#include "io/epoll_loop.h"
#include "io/tls_network.h"

namespace rejoin::connect {
namespace {

constexpr int kUsageStatus = 2;

bool is_secure(const proto::Url& url) {
  return url.scheme == proto::Scheme::wss || url.scheme == proto::Scheme::tls;
}

/// What the user typed, checked. Error: bad_input, fit to be printed.
Result<proto::Url> usable_url(const std::string& text) {
  Result<proto::Url> url = proto::Url::parse(text);
  if (!url) return url;
  if (url->scheme == proto::Scheme::ws || url->scheme == proto::Scheme::tcp || is_secure(*url)) return url;
  return Error{
      ErrorKind::bad_input, Side::ours, Retry::no,
      std::string(to_string(url->scheme)) + ":// is not for long connections: use ws, wss, tcp or tls"};
}

/// Calls one after the other; how many did not do what was asked.
Task<void> make_calls(Run& run, int& failed) {
  const ConnectOptions& options = run.options;
  for (int i = 0; i < options.times && !run.stop.requested(); ++i) {
    Account account;
    account.number = i + 1;
    account.url = run.url.text();
    Address bind;
    if (!options.bind.empty())
      bind = options.bind[std::min(static_cast<std::size_t>(i), options.bind.size() - 1)];
    co_await make_call(run, bind, account);
    if (account.error) ++failed;
    if (options.cookie_jar_file.empty()) continue;
    // After each call: what was given stays, also if a later one never ends.
    const Status saved = save_jar(options.cookie_jar_file, run.jar, run.world.clock.unix_now());
    if (!saved) {
      std::fprintf(stderr, "rejoin connect: %s\n", to_string(saved.error()).c_str());
      ++failed;
    }
  }
}

int complain(const Error& error) {
  std::fprintf(stderr, "rejoin connect: %s\n", error.detail.c_str());
  return kUsageStatus;
}

}  // namespace

int run_connect(const ConnectOptions& options) {
  signal(SIGPIPE, SIG_IGN);
  if (!options.resume_file.empty()) return run_session(options);
  Result<proto::Url> url = usable_url(options.url);
  if (!url) return complain(url.error());
  proto::CookieJar jar;
  if (!options.cookie_jar_file.empty()) {
    const Status loaded = load_jar(options.cookie_jar_file, jar, SystemClock().unix_now());
    if (!loaded) return complain(loaded.error());
  }
  // Blocks: names are resolved before the loop starts.
  Result<std::vector<Address>> addresses = client::look_up(url->host, url->port);
  if (!addresses) {
    complain(addresses.error());
    return 1;
  }

  const std::unique_ptr<Log> log = make_stderr_log("connect", LogLevel::warn);
  Result<std::unique_ptr<io::EpollLoop>> loop = io::EpollLoop::make(*log);
  if (!loop) {
    complain(loop.error());
    return 1;
  }
  SystemRandom random;
  io::World world = (*loop)->world(random, *log);
  io::TlsContexts trust;
  if (is_secure(*url)) {
    auto context = io::TlsContext::make(io::TlsClientOptions{.ca_file = options.ca_file});
    if (!context) return complain(context.error());
    trust.client = std::move(*context);
  }
  io::TlsNetwork tls(world, trust);
  Lines lines(**loop, STDIN_FILENO);
  Stop stop;
  const std::unique_ptr<Reporter> reporter =
      options.output == Output::json ? make_json_reporter() : make_text_reporter();
  Run run{is_secure(*url) ? tls.world() : world,
          options,
          std::move(*url),
          std::move(*addresses),
          jar,
          *reporter,
          options.messages.empty() ? &lines : nullptr,
          stop};

  int failed = 0;
  Scope scope(world.ready);
  scope.spawn(make_calls(run, failed));
  while (scope.running() != 0) (*loop)->turn(1h);
  return failed == 0 ? 0 : 1;
}

}  // namespace rejoin::connect
