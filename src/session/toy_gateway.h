// For tests: the other end of client_session.h, as short as the rules of spec/resume.md allow. It has every
// session's game server in it, as a list of what it got, and can be told to make the mistakes that a checker
// must see.
//
// Not the gateway of the product (apps/gateway), and written without a look at it, so that the two can
// disagree.
#pragma once

#include <cassert>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/random.h"
#include "proto/resume_frame.h"
#include "session/conversation.h"

namespace rejoin::session {

enum class Mistake : std::uint8_t {
  none,
  acks_one_too_much,  // says "accepted" of a message that has not come
  replays_one_less,   // RESUMED and DATA begin one later than they should
  takes_used_epochs,  // a RESUME that was used takes over again
  hears_older_links,  // a link that was taken over is still read
};

class ToyGateway {
 public:
  struct Session {
    explicit Session(WindowLimits window, std::uint64_t sent = 0, std::uint64_t received = 0)
        : talk(window, sent, received) {}
    Conversation talk;
    std::string ticket;
    proto::SessionSecret secret{};
    std::uint32_t epoch = 1;
    int link = 0;
    std::uint16_t ended = 0;        // 0: alive
    std::deque<std::string> queue;  // read, and not taken by the game server yet
    std::vector<std::string> got;   // by the game server
    std::vector<std::string> identities;
    std::string reason;
  };
  struct Options {
    WindowLimits window{.bytes = 4096, .messages = 16};
    std::uint32_t grace_ms = 60'000, ping_ms = 0, dead_ms = 0, spread_ms = 100;
    std::vector<std::string> addresses;
    std::size_t ticket_bytes = 100;
    bool accept_at_once = true;  // the game server takes what comes
    Mistake mistake = Mistake::none;
  };
  struct Counts {
    int hellos = 0, resumes = 0, resumed = 0, refused = 0, used_epochs = 0;
  };

  /// `send` puts a frame on a link, `close` ends a link behind what was put on it.
  ToyGateway(Options options, Random& random, std::function<void(int, std::string)> send,
             std::function<void(int, std::uint16_t)> close)
      : options_(std::move(options)), random_(random), send_(std::move(send)), close_(std::move(close)) {}

  Options& options() { return options_; }
  Counts& counts() { return counts_; }
  std::map<std::string, std::unique_ptr<Session>>& sessions() { return sessions_; }
  Session* only() { return sessions_.size() == 1 ? sessions_.begin()->second.get() : nullptr; }
  Session* of(int link) {
    const auto at = links_.find(link);
    return at == links_.end() ? nullptr : at->second;
  }
  /// Told of each message that a game server took.
  std::function<void(Session&, const std::string&)> on_taken;
  /// What to do with a link before its opening frame is looked at: true, and it was answered.
  std::function<bool(int, const proto::FrameView&)> on_opening;

  /// The game server of a session says something. False: no room.
  bool produce(Session& session, Bytes message, bool text = false) {
    if (session.ended != 0 || !session.talk.out.has_room(message.size())) return false;
    const std::uint64_t seq = session.talk.out.push(message, text);
    if (session.link != 0) put_data(session, seq, text, message);
    return true;
  }
  /// The game server takes the next message that waits for it.
  void take_one(Session& session) {
    const std::string message = std::move(session.queue.front());
    session.queue.pop_front();
    session.talk.in.accept();
    session.talk.debt.owe(message.size());
    session.got.push_back(message);
    if (on_taken) on_taken(session, message);
  }
  /// An acknowledgement that is owed leaves.
  void ack(Session& session) {
    if (session.link == 0 || session.talk.ack_due() == AckDebt::Due::nothing) return;
    std::string frame;
    proto::append_ack(frame, acked(session));
    put(session, std::move(frame));
  }
  void ping(Session& session, std::uint64_t number) {
    std::string frame;
    proto::append_ping(frame, proto::FrameType::ping, number, acked(session));
    put(session, std::move(frame));
  }
  void end(Session& session, std::uint16_t code, Bytes reason) {
    session.ended = code;
    session.reason = std::string(reason);
    if (session.link == 0) return;
    std::string frame;
    proto::append_close(frame, {code, reason}, acked(session));
    put(session, std::move(frame));
  }
  void detach(int link, const proto::Detach& detach) {
    std::string frame;
    proto::append_detach(frame, detach, 0);
    send_(link, std::move(frame));
    const bool stays =
        detach.action == proto::DetachAction::move || detach.action == proto::DetachAction::login ||
        (detach.action == proto::DetachAction::again && detach.wait_ms == 0 && detach.address.empty());
    if (detach.action == proto::DetachAction::move) return;
    forget(link);
    if (!stays || !reopened_.insert(link).second) close_(link, detach.code);
  }

  void frame(int link, Bytes bytes) {
    Session* session = of(link);
    const auto view = proto::parse_frame(bytes);
    if (!view) return bad(link);
    if (session == nullptr || session->link != link) {
      if (session != nullptr && options_.mistake == Mistake::hears_older_links)
        return serve(*session, link, *view);
      return open(link, *view, bytes);
    }
    serve(*session, link, *view);
  }
  /// The link is gone.
  void lost(int link) {
    forget(link);
    reopened_.erase(link);
  }

 private:
  using FrameType = proto::FrameType;

  std::uint64_t acked(Session& session) {
    const std::uint64_t accepted = session.talk.in.accepted();
    session.talk.debt.told(accepted);
    return accepted + (options_.mistake == Mistake::acks_one_too_much && accepted > 2 ? 1 : 0);
  }
  void put(Session& session, std::string frame) { send_(session.link, std::move(frame)); }
  void put_data(Session& session, std::uint64_t seq, bool text, Bytes message) {
    std::string frame;
    proto::append_data(frame, text, seq, acked(session), message);
    put(session, std::move(frame));
  }
  void forget(int link) {
    Session* session = of(link);
    links_.erase(link);
    if (session != nullptr && session->link == link) session->link = 0;
  }
  void bad(int link) {
    ++counts_.refused;
    detach(link, {number(proto::LinkCode::bad_frame), proto::DetachAction::again, 1, 0, {}, "bad frame"});
  }

  void open(int link, const proto::FrameView& view, Bytes bytes) {
    if (on_opening && on_opening(link, view)) return;
    if (view.head.is(FrameType::hello)) return hello(link, view);
    if (view.head.is(FrameType::resume)) return resume(link, bytes);
    if (!view.unknown_kind()) bad(link);
  }
  void hello(int link, const proto::FrameView& view) {
    const auto hello = proto::parse_hello(view.body);
    if (!hello) return bad(link);
    ++counts_.hellos;
    auto session = std::make_unique<Session>(options_.window);
    std::string noise(options_.ticket_bytes, '\0');
    random_.fill(noise);
    for (char& c : noise) c = static_cast<char>('a' + (static_cast<unsigned char>(c) % 26));
    session->ticket = noise;
    random_.fill(session->secret);
    session->identities = {std::string(hello->identity), std::string(hello->application)};
    session->link = link;
    links_[link] = session.get();
    proto::Welcome welcome;
    welcome.secret = session->secret;
    welcome.ticket = session->ticket;
    welcome.grace_ms = options_.grace_ms;
    welcome.ping_ms = options_.ping_ms;
    welcome.dead_ms = options_.dead_ms;
    welcome.spread_ms = options_.spread_ms;
    welcome.window_bytes = options_.window.bytes;
    welcome.window_messages = options_.window.messages;
    for (const std::string& address : options_.addresses) welcome.addresses.push_back(address);
    std::string out;
    proto::append_welcome(out, welcome);
    send_(link, std::move(out));
    sessions_[session->ticket] = std::move(session);
  }

  void resume(int link, Bytes bytes) {
    ++counts_.resumes;
    const auto resume = proto::parse_resume(bytes);
    if (!resume) return bad(link);
    const auto found = sessions_.find(std::string(resume->ticket));
    const proto::Detach login{
        number(proto::LinkCode::login_needed), proto::DetachAction::login, 0, 0, {}, {}};
    if (found == sessions_.end() || !proof_holds(*resume, found->second->secret)) return detach(link, login);
    Session& session = *found->second;
    if (session.ended != 0)
      return detach(link, {session.ended, proto::DetachAction::login, 0, 0, {}, session.reason});
    const bool higher = resume->epoch > session.epoch;
    if (!higher && !(options_.mistake == Mistake::takes_used_epochs && resume->epoch == session.epoch)) {
      ++counts_.used_epochs;
      return detach(
          link, {number(proto::LinkCode::epoch_used), proto::DetachAction::again, 0, session.epoch, {}, {}});
    }
    SendWindow& out = session.talk.out;
    if (resume->received > out.sent()) return detach(link, login);
    session.epoch = resume->epoch;
    if (const int older = std::exchange(session.link, link); older != 0) {
      std::string frame;
      proto::append_detach(
          frame, {number(proto::LinkCode::replaced), proto::DetachAction::stop, 0, session.epoch, {}, {}}, 0);
      send_(older, std::move(frame));
      if (options_.mistake != Mistake::hears_older_links) links_.erase(older);
      close_(older, number(proto::LinkCode::replaced));
    }
    links_[link] = &session;
    ++counts_.resumed;
    std::uint64_t next = std::max(resume->received, out.acked()) + 1;
    if (options_.mistake == Mistake::replays_one_less && next <= out.sent()) ++next;
    session.talk.debt.new_link();
    std::string frame;
    proto::append_resumed(frame, {session.talk.in.read(), next, out.sent()}, acked(session));
    put(session, std::move(frame));
    for (SendWindow::Cursor at = out.at(next); out.more(at);) {
      const SendWindow::Held held = out.take(at);
      put_data(session, held.seq, held.text, held.payload);
    }
  }

  void serve(Session& session, int link, const proto::FrameView& view) {
    if (session.talk.out.acknowledge(view.head.ack) == SendWindow::Ack::beyond) return bad(link);
    switch (static_cast<FrameType>(view.head.type)) {
      case FrameType::data: {
        const auto seen = session.talk.in.observe(view.head.seq);
        if (seen == ReceiveCounts::Seen::ahead) return bad(link);
        if (seen == ReceiveCounts::Seen::duplicate) return;
        session.queue.emplace_back(view.body);
        if (session.queue.size() > options_.window.messages) return bad(link);
        if (options_.accept_at_once) take_one(session);
        if (session.talk.ack_due() == AckDebt::Due::now) ack(session);
        return;
      }
      case FrameType::ack:
      case FrameType::pong: return;
      case FrameType::ping: {
        std::string frame;
        proto::append_ping(frame, FrameType::pong, proto::parse_ping(view.body).value_or(0), acked(session));
        return put(session, std::move(frame));
      }
      case FrameType::close: {
        while (!session.queue.empty()) take_one(session);
        const auto close = proto::parse_close(view.body);
        if (!close) return bad(link);
        if (session.ended == 0) end(session, close->code, close->reason);
        forget(link);
        return close_(link, close->code);
      }
      default: break;
    }
    if (!view.unknown_kind()) bad(link);
  }

  Options options_;
  Random& random_;
  std::function<void(int, std::string)> send_;
  std::function<void(int, std::uint16_t)> close_;
  Counts counts_;
  std::map<std::string, std::unique_ptr<Session>> sessions_;
  std::map<int, Session*> links_;
  std::set<int> reopened_;
};

}  // namespace rejoin::session
