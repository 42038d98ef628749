// The life of a client's connection: dial, shake hands (ws://), talk until all that was asked has come,
// close.
#include "apps/connect/call.h"

#include "apps/connect/talk.h"
#include "base/limits.h"
#include "io/stream.h"
#include "proto/cookie.h"
#include "proto/http_head.h"
#include "proto/ws_handshake.h"

namespace rejoin::connect {
namespace {

using proto::HeadState;
using proto::ResponseHead;

TimePoint after(const Run& run, Duration time) { return run.world.clock.now() + time; }

// --- dialling ---

/// Tries the host's addresses in turn. Error: what the last one said.
Task<Status> dial(Run& run, const Address& bind, io::Stream& server) {
  Status last = Error{ErrorKind::unreachable, Side::server, Retry::no, "no address of the kind of --bind"};
  io::ConnectOptions options;
  options.bind = bind;
  options.server_name = run.url.host;
  for (const Address& to : run.addresses) {
    if (bind && bind.family != to.family) continue;
    const TimePoint deadline = after(run, run.options.timeout);
    last = co_await server.connect(to, options, deadline);
    if (last) break;
  }
  co_return last;
}

// --- the WebSocket handshake ---

void note_sent(std::string_view cookies, Account& account) {
  proto::CookieReader reader(cookies);
  while (const auto pair = reader.next()) {
    account.cookies_sent.push_back({std::string(pair->name), std::string(pair->value)});
  }
}

void take_cookies(Run& run, const ResponseHead& head, Account& account) {
  for (const proto::Field& field : head.all(proto::KnownField::set_cookie)) {
    const Bytes text = head.value(field);
    const proto::SetCookie cookie = proto::SetCookie::parse(text);
    ReceivedCookie& received = account.cookies_received.emplace_back();
    received.name = cookie.name;
    received.value = cookie.value;
    proto::CookieAttributes attributes(cookie.attributes);
    while (const auto attribute = attributes.next()) received.attributes.emplace_back(attribute->whole);
    run.jar.store(run.url, text, run.world.clock.unix_now());
  }
}

/// Reads the head of the answer into `arrived`; how many bytes it has. 1xx answers before it are passed over.
Task<Result<std::size_t>> hear_answer(io::Stream& server, Buffer& arrived, ResponseHead& head,
                                      TimePoint deadline) {
  for (;;) {
    if (!arrived.empty()) {
      const proto::HeadVerdict verdict = head.feed(arrived.view());
      if (verdict.state == HeadState::refused) {
        co_return Error{ErrorKind::bad_input, Side::server, Retry::no,
                        "the answer is no HTTP: " + std::string(verdict.reason)};
      }
      if (verdict.state == HeadState::complete) {
        if (!head.interim()) co_return std::size_t{verdict.consumed};
        arrived.consume(verdict.consumed);
        arrived.compact();
        head = ResponseHead();
        continue;
      }
    }
    Status more = co_await server.read_into(arrived, deadline);
    if (!more) co_return std::move(more.error());
  }
}

/// After it `arrived` has what came behind the answer.
Task<Status> shake_hands(Run& run, io::Stream& server, Buffer& arrived, Account& account) {
  const std::string authority = run.url.authority();
  const std::string cookies = run.jar.header_for(run.url, run.world.clock.unix_now());
  note_sent(cookies, account);
  run.reporter.connected(account);

  const proto::HandshakeKey key = proto::make_handshake_key(run.world.random);
  proto::UpgradeRequest request;
  request.target = run.url.target;
  request.host = authority;
  request.cookies = cookies;
  Buffer out = run.world.buffers.borrow();
  Status written = proto::write_upgrade_request(out, request, key);
  const TimePoint deadline = after(run, run.options.timeout);
  const Bytes bytes = out.view();
  if (written) written = co_await server.write_all(bytes, deadline);
  if (!written) co_return written;

  ResponseHead head;
  Result<std::size_t> head_bytes = co_await hear_answer(server, arrived, head, deadline);
  if (!head_bytes) {
    head_bytes.error().detail = "handshake: " + head_bytes.error().detail;
    co_return std::move(head_bytes.error());
  }
  account.status = head.status();
  take_cookies(run, head, account);
  run.reporter.answered(account);
  proto::AcceptHasher hasher;
  const Result<Bytes> right = proto::check_upgrade_response(head, key, {}, hasher);
  if (!right) {
    if (head.status() == 101) co_return right.error();
    co_return Error{ErrorKind::refused, Side::server, Retry::no,
                    "answered " + std::to_string(head.status()) + " " + std::string(head.reason())};
  }
  arrived.consume(*head_bytes);
  co_return Status{};
}

// --- talking ---

/// How far a talk has come, against what was asked for.
class Progress {
 public:
  Progress(const Run& run, const Account& account)
      : run_(run), account_(account), said_(run.options.messages.size()), last_step_(run.world.clock.now()) {}

  void said_one() {
    ++said_;
    step();
  }
  /// Something went on: the time for the next thing begins.
  void step() { last_step_ = run_.world.clock.now(); }
  TimePoint deadline() const { return last_step_ + run_.options.timeout; }
  std::size_t wanted() const {
    return run_.options.receive ? static_cast<std::size_t>(*run_.options.receive) : 1 + said_;
  }
  bool heard_all() const { return account_.messages.size() >= wanted(); }
  /// Lines may still come, and nobody said how many answers to wait for.
  bool input_open() const { return run_.lines != nullptr && !run_.lines->ended() && !run_.options.receive; }
  bool done() const { return heard_all() && !input_open(); }
  std::string missing() const {
    return std::to_string(account_.messages.size()) + " of " + std::to_string(wanted()) +
           " messages had come";
  }

 private:
  const Run& run_;
  const Account& account_;
  std::size_t said_;
  TimePoint last_step_;
};

void take_message(Run& run, std::string text, Account& account) {
  if (account.messages.empty()) account.server = greeting_member(text, "server");
  account.messages.push_back(std::move(text));
  run.reporter.received(account);
}

enum class Next : unsigned char { go_on, over };

/// One thing that was heard.
Next take_heard(Run& run, Heard heard, const Progress& progress, Account& account) {
  switch (heard.kind) {
    case Heard::Kind::message: take_message(run, std::move(heard.text), account); return Next::go_on;
    case Heard::Kind::close:
      account.close_code = heard.code;
      if (!progress.done()) {
        account.error = "the server closed with " + std::to_string(heard.code) +
                        (heard.text.empty() ? "" : " (" + heard.text + ")") + " when " + progress.missing();
      }
      return Next::over;
    case Heard::Kind::refused:
      if (heard.code != 0) account.close_code = heard.code;
      account.error = "the server broke a rule: " + heard.text;
      return Next::over;
    case Heard::Kind::ended:
      if (account.status) account.close_code = number(proto::CloseCode::abnormal);
      if (account.status || !progress.done()) account.error = "the server hung up when " + progress.missing();
      return Next::over;
  }
  return Next::over;
}

void hear_lines(Run& run, Talk& talk, Progress& progress) {
  if (run.lines == nullptr) return;
  Lines::Events events;
  events.on_line = [&](std::string_view line) {
    talk.say(line);
    progress.said_one();
    if (talk.unsent() > limits::kConnectUnsentHighBytes) run.lines->pause();
    talk.nudge();
  };
  events.on_end = [&] { talk.nudge(); };
  run.lines->tell(std::move(events));
}

void forget_lines(Run& run) {
  if (run.lines == nullptr) return;
  run.lines->pause();
  run.lines->tell({});
}

/// May lines that were held back be read now?
bool lines_wanted(const Run& run, const Talk& talk) {
  return run.lines != nullptr && !run.lines->ended() && !run.lines->reading() &&
         talk.unsent() <= limits::kConnectUnsentHighBytes / 2;
}

/// Until all that was asked for has come and the goodbye was answered, or something is wrong: account.error
/// says what.
Task<void> talk_on(Run& run, Talk& talk, Progress& progress, Account& account) {
  bool leaving = false;
  for (;;) {
    if (!leaving && lines_wanted(run, talk)) run.lines->resume();
    const Status moved = talk.pump();
    while (std::optional<Heard> heard = talk.next()) {
      progress.step();
      const Next next = take_heard(run, std::move(*heard), progress, account);
      if (next == Next::go_on) continue;
      (void)talk.pump();  // our half of the closing handshake
      co_return;
    }
    if (!moved) {
      if (account.status) account.close_code = number(proto::CloseCode::abnormal);
      account.error = to_string(moved.error()) + " when " + progress.missing();
      co_return;
    }
    if (progress.done() && !leaving) {
      leaving = true;
      progress.step();
      forget_lines(run);
      talk.say_goodbye(proto::CloseCode::normal);
      continue;
    }
    if (!leaving && lines_wanted(run, talk)) continue;
    // A person at the keyboard may take their time; a server that owes an answer may not.
    const bool patient = !leaving && progress.heard_all();
    const TimePoint deadline = patient ? kNever : progress.deadline();
    const Woken woken = co_await talk.news(deadline);
    if (woken == Woken::ready) continue;
    if (woken == Woken::stopped) {
      account.error = "stopped";
    } else if (leaving) {
      account.error = "no answer to our goodbye in time";
    } else {
      account.error = "timed out when " + progress.missing();
    }
    co_return;
  }
}

Task<void> converse(Run& run, Talk& talk, Account& account) {
  Progress progress(run, account);
  for (const std::string& message : run.options.messages) talk.say(message);
  hear_lines(run, talk, progress);
  co_await talk_on(run, talk, progress, account);
  forget_lines(run);
}

}  // namespace

Task<void> make_call(Run& run, Address bind, Account& account) {
  const bool websocket = run.url.scheme == proto::Scheme::ws || run.url.scheme == proto::Scheme::wss;
  io::Stream server(run.world, Side::server, run.stop);
  Status open = co_await dial(run, bind, server);
  if (open) {
    account.local = server.socket().local_address();
    account.peer = server.socket().peer_address();
  }
  Buffer arrived = run.world.buffers.borrow();
  if (open && websocket) open = co_await shake_hands(run, server, arrived, account);
  if (open && !websocket) run.reporter.connected(account);
  if (!open) {
    account.error = to_string(open.error());
  } else {
    Talk talk(run.world, server.release(), websocket ? Transport::websocket : Transport::tcp, run.stop);
    const MutableBytes behind(arrived.data(), arrived.size());
    talk.arrived(behind);
    arrived.release();
    co_await converse(run, talk, account);
  }
  run.reporter.ended(account);
}

}  // namespace rejoin::connect
