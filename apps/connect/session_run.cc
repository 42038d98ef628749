// Built on nothing but the public client library (rejoin/client.h), in its mode for programs with a loop of
// their own: stdin and the client are two descriptors of one loop.
#include "apps/connect/session_run.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <deque>

#include "apps/connect/account.h"
#include "apps/connect/jar_file.h"
#include "apps/connect/lines.h"
#include "apps/connect/small_file.h"
#include "base/limits.h"
#include "base/log.h"
#include "io/epoll_loop.h"
#include "proto/cookie.h"
#include "proto/cookie_jar.h"
#include "proto/url.h"
#include "proto/utf8.h"
#include "rejoin/client.h"

namespace rejoin::connect {
namespace {

constexpr int kUsageStatus = 2;
constexpr std::string_view kWhat = "session";
using Kind = Client::State::Kind;

int complain(const std::string& detail) {
  std::fprintf(stderr, "rejoin connect: %s\n", detail.c_str());
  return kUsageStatus;
}

/// One run on the session, from the dial to the leave-taking.
class SessionRun {
 public:
  SessionRun(const ConnectOptions& options, io::EpollLoop& loop, SessionReporter& reporter, Lines* lines,
             int number)
      : options_(options), loop_(loop), reporter_(reporter), lines_(lines) {
    account_.number = number;
    account_.url = options.url;
    for (const std::string& message : options.messages) waiting_.push_back(message);
  }

  /// Exit status.
  int run(const Address& bind, bool last) {
    Client::Options options;
    options.url = options_.url;
    options.identity = options_.identity;
    options.ca_file = options_.ca_file;
    options.use_advertised_addresses = options_.use_advertised;
    options.own_thread = false;
    options.save_whole = true;
    if (bind) options.bind = bind.ip_text();
    const Status read = read_files(options);
    if (!read) return complain(read.error().detail);
    Client::Made made = Client::make(options, handlers());
    if (!made) return complain(made.error);
    client_ = std::move(made.client);
    last_ = last;
    const int descriptor = client_->descriptor();
    loop_.watch(descriptor, [this] { client_->process(); });
    client_->start();
    if (lines_ != nullptr && !lines_->ended()) hear_lines();
    talk();
    if (lines_ != nullptr) lines_->pause();
    loop_.unwatch(descriptor);
    leave();
    return account_.error ? 1 : 0;
  }

 private:
  Status read_files(Client::Options& options) {
    auto saved = read_small_file(kWhat, options_.resume_file, limits::kSavedSessionBytesMax);
    if (!saved) return saved.error();
    if (*saved) options.saved = std::move(**saved);
    resumes_ = !options.saved.empty();
    if (options_.cookie_jar_file.empty()) return {};
    proto::CookieJar jar;
    const Status loaded = load_jar(options_.cookie_jar_file, jar, loop_.unix_now());
    if (loaded) options.cookies = jar.save(loop_.unix_now());
    return loaded;
  }

  Client::Handlers handlers() {
    Client::Handlers on;
    on.message = [this](std::string_view message, Client::Kind) { hear(message); };
    on.state = [this](const Client::State& state) { hear(state); };
    on.writable = [this] { say(); };
    on.save = [this](std::string_view saved) { store(saved); };
    return on;
  }

  // --- what is heard ---

  void hear(std::string_view message) {
    account_.messages.emplace_back(message);
    if (!account_.server) account_.server = greeting_member(message, "server");
    reporter_.received(account_);
    store(client_->snapshot());
    step();
  }

  void hear(const Client::State& state) {
    step();
    switch (state.kind) {
      case Kind::connecting: return;
      case Kind::open:
      case Kind::resumed: {
        resumes_ = state.kind == Kind::resumed;
        account_.links.push_back({resumes_, state.url, state.local, state.peer, state.epoch, state.dials,
                                  state.round_trips, state.took_ms, state.whole, state.to_come,
                                  state.sent_again});
        note_cookies();
        reporter_.linked(account_);
        say();
        return;
      }
      case Kind::reconnecting:
      case Kind::lost: reporter_.lost(account_, state.reason); return;
      case Kind::ended:
        ended_ = true;
        if (state.code != 0) account_.end_code = state.code;
        if (!leaving_) account_.error = state.reason;
        return;
    }
  }

  void note_cookies() {
    const Result<proto::Url> url = proto::Url::parse(account_.links.back().url);
    proto::CookieJar jar;
    account_.cookies.clear();
    if (!url || !jar.load(client_->cookies(), loop_.unix_now())) return;
    const std::string field = jar.header_for(*url, loop_.unix_now());
    proto::CookieReader reader(field);
    while (const auto pair = reader.next())
      account_.cookies.push_back({std::string(pair->name), std::string(pair->value)});
  }

  // --- what is said ---

  void hear_lines() {
    lines_->tell({[this](std::string_view line) {
                    waiting_.emplace_back(line);
                    say();
                    if (waiting_.size() > kLinesWaitingMax) lines_->pause();
                  },
                  [this] { step(); }});
    lines_->resume();
  }

  void say() {
    while (!waiting_.empty()) {
      const std::string& next = waiting_.front();
      const Client::Sent sent =
          client_->send(next, proto::is_utf8(next) ? Client::Kind::text : Client::Kind::binary);
      if (sent == Client::Sent::window_full) return;
      if (!Client::taken(sent))
        account_.error = "a message was not taken: it is too large, or the session has ended";
      if (!Client::taken(sent)) return;
      ++said_;
      waiting_.pop_front();
      step();
    }
    if (lines_ != nullptr && !lines_->ended() && !lines_->reading() && client_ != nullptr) hear_lines();
  }

  // --- until all that was asked for has come ---

  void step() { last_step_ = SystemClock().now(); }

  std::size_t wanted() const {
    if (options_.receive) return static_cast<std::size_t>(*options_.receive);
    return said_ + (resumes_ ? 0 : 1);  // a new session is greeted
  }
  bool said_all() const { return waiting_.empty() && (lines_ == nullptr || lines_->ended()); }
  bool done() const {
    return ended_ || account_.error.has_value() ||
           (!account_.links.empty() && said_all() && account_.messages.size() >= wanted() &&
            client_->statistics().unacknowledged == 0);
  }

  void turn() {
    const int timeout = client_->timeout_ms();
    const Duration wait =
        timeout < 0 ? Duration(1s) : std::min<Duration>(std::chrono::milliseconds(timeout), 1s);
    loop_.turn(std::min<Duration>(wait, 100ms));
    client_->process();
  }

  void talk() {
    step();
    while (!done()) {
      turn();
      // A person at the keyboard may take their time; a server that owes an answer may not.
      const bool patient = lines_ != nullptr && !lines_->ended() && !account_.links.empty();
      if (patient || SystemClock().now() - last_step_ < options_.timeout) continue;
      account_.error = "timed out: " + std::to_string(account_.messages.size()) + " of " +
                       std::to_string(wanted()) + " messages came, " + std::to_string(waiting_.size()) +
                       " were not sent";
    }
  }

  void leave() {
    leaving_ = true;
    if (!ended_ && options_.end_session && last_) {
      client_->close();
      step();
      while (!ended_ && SystemClock().now() - last_step_ < limits::kSayCloseS + limits::kCloseReplyS) turn();
    } else if (!ended_) {
      store(client_->snapshot());
    }
    const Client::Statistics statistics = client_->statistics();
    account_.sent = statistics.sent;
    account_.sent_again = statistics.sent_again;
    account_.duplicates_dropped = statistics.duplicates_dropped;
    if (!options_.cookie_jar_file.empty()) {
      const Status saved = replace_small_file("cookie jar", options_.cookie_jar_file, client_->cookies());
      if (!saved && !account_.error) account_.error = saved.error().detail;
    }
    client_.reset();
    reporter_.ended(account_);
  }

  void store(std::string_view saved) {
    const Status stored = saved.empty() ? remove_small_file(kWhat, options_.resume_file)
                                        : replace_small_file(kWhat, options_.resume_file, saved);
    if (!stored) account_.error = stored.error().detail;
  }

  static constexpr std::size_t kLinesWaitingMax = 1000;

  const ConnectOptions& options_;
  io::EpollLoop& loop_;
  SessionReporter& reporter_;
  Lines* lines_;
  SessionAccount account_;
  std::unique_ptr<Client> client_;
  std::deque<std::string> waiting_;
  std::size_t said_ = 0;
  TimePoint last_step_{};
  bool resumes_ = false, ended_ = false, leaving_ = false, last_ = false;
};

}  // namespace

int run_session(const ConnectOptions& options) {
  NullLog log;
  Result<std::unique_ptr<io::EpollLoop>> loop = io::EpollLoop::make(log);
  if (!loop) return complain(loop.error().detail);
  Lines lines(**loop, STDIN_FILENO);
  const std::unique_ptr<SessionReporter> reporter =
      options.output == Output::json ? make_json_session_reporter() : make_text_session_reporter();
  int status = 0;
  for (int i = 0; i < options.times && status != kUsageStatus; ++i) {
    Address bind;
    if (!options.bind.empty())
      bind = options.bind[std::min(static_cast<std::size_t>(i), options.bind.size() - 1)];
    SessionRun run(options, **loop, *reporter, options.messages.empty() ? &lines : nullptr, i + 1);
    status = std::max(status, run.run(bind, i + 1 == options.times));
  }
  return status;
}

}  // namespace rejoin::connect
