// For tests of clients: a gateway without sockets around the calculator of session.h, with every session's
// game server in it as a list of what it got. Frames in, frames out; it can be told to make mistakes that a
// checker must see.
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
#include "base/random.h"
#include "proto/resume_frame.h"
#include "session/session.h"

namespace rejoin::session {

enum class Mistake : std::uint8_t {
  none,
  acks_one_too_much,    // says "accepted" of a message that has not come
  replays_one_less,     // RESUMED and DATA begin one later than they should
  forgets_at_takeover,  // what waits for the game server goes with the older link
};

class ToyGateway {
 public:
  struct Player {
    explicit Player(Session made) : session(std::move(made)) {}
    Session session;
    std::string ticket;
    int link = 0;
    std::uint16_t ended = 0;  // 0: alive
    std::string reason;
    std::deque<std::string> queue;  // read, and not taken by the game server yet
    std::vector<std::string> got;   // by the game server
    std::string identity, application;
  };
  struct Options {
    std::vector<std::string> addresses;
    std::size_t ticket_bytes = 100;
    bool accept_at_once = true;  // the game server takes what comes
    Mistake mistake = Mistake::none;
  };
  struct Counts {
    int hellos = 0, resumes = 0, resumed = 0, bad = 0, used_epochs = 0, too_fast = 0;
  };

  /// `send` puts a frame on a link, `close` ends a link behind what was put on it.
  ToyGateway(SessionRules rules, Random& random, std::function<void(int, std::string)> send,
             std::function<void(int, std::uint16_t)> close)
      : rules_(rules), random_(random), send_(std::move(send)), close_(std::move(close)) {}

  Options options;
  Counts counts;
  TimePoint now{};
  std::map<std::string, std::unique_ptr<Player>> players;  // by ticket
  /// Told of each message that a game server took.
  std::function<void(Player&, const std::string&)> on_taken;
  /// Before an opening frame is looked at: true, and it was answered.
  std::function<bool(int, const proto::FrameView&)> on_opening;

  const SessionRules& rules() const { return rules_; }
  Player* of(int link) {
    const auto at = links_.find(link);
    return at == links_.end() ? nullptr : at->second;
  }
  Player& add(Session session) {
    auto player = std::make_unique<Player>(std::move(session));
    player->ticket.resize(options.ticket_bytes);
    random_.fill(player->ticket);
    for (char& c : player->ticket) c = static_cast<char>('a' + static_cast<unsigned char>(c) % 26);
    Player& added = *player;
    players[added.ticket] = std::move(player);
    return added;
  }

  /// The game server says something. False: no room.
  bool produce(Player& player, Bytes message, bool text = false) {
    if (player.ended != 0 || player.session.say(message, text) != Said::sent) return false;
    if (player.link != 0) put_data(player, player.session.window().sent(), text, message);
    return true;
  }
  /// The game server takes the next message that waits for it.
  void take_one(Player& player) {
    const std::string message = std::move(player.queue.front());
    player.queue.pop_front();
    player.session.accepted(1, message.size(), now);
    player.got.push_back(message);
    if (on_taken) on_taken(player, message);
  }
  void ack(Player& player) {
    if (player.link == 0) return;
    std::string frame;
    proto::append_ack(frame, acked(player));
    send_(player.link, std::move(frame));
  }
  void ping(Player& player, std::uint64_t number) {
    std::string frame;
    proto::append_ping(frame, proto::FrameType::ping, number, acked(player));
    send_(player.link, std::move(frame));
  }
  /// What is due at `now`: acknowledgements, pings, links that are silent, sessions that are over.
  void tick() {
    for (auto& [ticket, player] : players) {
      for (Due due = player->session.on_time(now); due != Due::nothing; due = player->session.on_time(now)) {
        if (due == Due::ack) ack(*player);
        if (due == Due::ping) ping(*player, 1);
        if (due == Due::silent) detach(player->link, {number(proto::LinkCode::silent), kAgain, 0, 0, {}, {}});
        if (due == Due::expired) {
          player->ended = number(proto::LinkCode::login_needed);
          player->session.end();
        }
        if (due == Due::overflow) end(*player, number(proto::LinkCode::over_limit), "too slow");
      }
    }
  }
  void end(Player& player, std::uint16_t code, Bytes reason) {
    player.ended = code;
    player.reason = std::string(reason);
    const std::uint64_t ack = acked(player);
    player.session.end();
    if (player.link == 0) return;
    std::string frame;
    proto::append_close(frame, {code, reason}, ack);
    send_(player.link, std::move(frame));
  }
  /// Sends it, and does with the link what it says.
  void detach(int link, const proto::Detach& detach) {
    std::string frame;
    proto::append_detach(frame, detach, 0);
    send_(link, std::move(frame));
    if (detach.action == proto::DetachAction::move) return;
    forget(link);
    const bool may_open_anew = detach.action == proto::DetachAction::login ||
                               (detach.action == kAgain && detach.wait_ms == 0 && detach.address.empty());
    if (!may_open_anew || !reopened_.insert(link).second) close_(link, detach.code);
  }

  /// A frame came on a link.
  void frame(int link, Bytes bytes) {
    Player* player = of(link);
    const auto view = proto::parse_frame(bytes);
    if (!view) return bad(link);
    if (player == nullptr) return open(link, *view, bytes);
    player->session.heard(now);
    serve(*player, link, *view);
  }
  /// A link is gone.
  void lost(int link) {
    forget(link);
    reopened_.erase(link);
  }

 private:
  using FrameType = proto::FrameType;
  static constexpr auto kAgain = proto::DetachAction::again;

  std::uint64_t acked(Player& player) {
    const std::uint64_t accepted = player.session.ack();
    player.session.said(now);
    return accepted + (options.mistake == Mistake::acks_one_too_much && accepted > 2 ? 1 : 0);
  }
  void put_data(Player& player, std::uint64_t seq, bool text, Bytes message) {
    std::string frame;
    proto::append_data(frame, text, seq, acked(player), message);
    send_(player.link, std::move(frame));
  }
  void forget(int link) {
    Player* player = of(link);
    links_.erase(link);
    if (player == nullptr || player->link != link) return;
    player->link = 0;
    player->session.detach(now);
  }
  void bad(int link) {
    ++counts.bad;
    detach(link, {number(proto::LinkCode::bad_frame), kAgain, 1, 0, {}, "bad frame"});
  }

  void open(int link, const proto::FrameView& view, Bytes bytes) {
    if (on_opening && on_opening(link, view)) return;
    if (view.head.is(FrameType::hello)) return hello(link, view);
    if (view.head.is(FrameType::resume)) return resume(link, bytes);
    // What the client had sent before it heard that its link is to be opened anew.
    if (!view.unknown_kind() && !reopened_.contains(link)) bad(link);
  }
  void hello(int link, const proto::FrameView& view) {
    const auto hello = proto::parse_hello(view.body);
    if (!hello) return bad(link);
    ++counts.hellos;
    proto::Welcome welcome;
    random_.fill(welcome.secret);
    Player& player = add(
        Session(route::SessionId::make(random_, 0), route::TicketKind::proof, welcome.secret, rules_, now));
    player.identity = std::string(hello->identity);
    player.application = std::string(hello->application);
    player.link = link;
    links_[link] = &player;
    const auto ms = [](Duration time) { return static_cast<std::uint32_t>(time / 1ms); };
    welcome.ticket = player.ticket;
    welcome.grace_ms = ms(rules_.grace);
    welcome.ping_ms = ms(rules_.ping);
    welcome.dead_ms = ms(rules_.dead);
    welcome.spread_ms = ms(rules_.spread);
    welcome.window_bytes = rules_.window.bytes;
    welcome.window_messages = rules_.window.messages;
    for (const std::string& address : options.addresses) welcome.addresses.push_back(address);
    std::string out;
    proto::append_welcome(out, welcome);
    send_(link, std::move(out));
  }

  void resume(int link, Bytes bytes) {
    ++counts.resumes;
    const auto resume = proto::parse_resume(bytes);
    if (!resume) return bad(link);
    const auto found = players.find(std::string(resume->ticket));
    const proto::Detach login{
        number(proto::LinkCode::login_needed), proto::DetachAction::login, 0, 0, {}, {}};
    if (found == players.end() || !proof_holds(*resume, found->second->session.secret()))
      return detach(link, login);
    Player& player = *found->second;
    if (player.ended != 0)
      return detach(link, {player.ended, proto::DetachAction::login, 0, 0, {}, player.reason});
    ResumeVerdict verdict = player.session.resume(*resume, now);
    switch (verdict.kind) {
      case ResumeVerdict::Kind::take: return take(player, link, verdict);
      case ResumeVerdict::Kind::epoch_used:
        ++counts.used_epochs;
        return detach(link, {number(proto::LinkCode::epoch_used), kAgain, 0, player.session.epoch(), {}, {}});
      case ResumeVerdict::Kind::too_fast:
        ++counts.too_fast;
        return detach(link, {number(proto::LinkCode::too_fast), kAgain, 500, 0, {}, {}});
      case ResumeVerdict::Kind::unfit: return detach(link, login);
    }
  }
  void take(Player& player, int link, ResumeVerdict& verdict) {
    if (const int older = std::exchange(player.link, link); older != 0) {
      std::string frame;
      proto::append_detach(
          frame,
          {number(proto::LinkCode::replaced), proto::DetachAction::stop, 0, player.session.epoch(), {}, {}},
          0);
      send_(older, std::move(frame));
      links_.erase(older);
      if (options.mistake == Mistake::forgets_at_takeover) player.queue.clear();
      close_(older, number(proto::LinkCode::replaced));
    }
    links_[link] = &player;
    ++counts.resumed;
    const SendWindow& window = player.session.window();
    if (options.mistake == Mistake::replays_one_less && window.more(verdict.from)) {
      (void)window.take(verdict.from);
      ++verdict.resumed.next;
    }
    std::string frame;
    proto::append_resumed(frame, verdict.resumed, acked(player));
    send_(link, std::move(frame));
    while (window.more(verdict.from)) {
      const SendWindow::Held held = window.take(verdict.from);
      put_data(player, held.seq, held.text, held.payload);
    }
  }

  void serve(Player& player, int link, const proto::FrameView& view) {
    const FrameVerdict verdict = player.session.on_frame(view);
    switch (verdict.kind) {
      case FrameVerdict::Kind::nothing: return;
      case FrameVerdict::Kind::message:
        player.queue.emplace_back(verdict.message);
        if (options.accept_at_once) take_one(player);
        if (player.session.ack_due_now()) ack(player);
        return;
      case FrameVerdict::Kind::ping: {
        std::string frame;
        proto::append_ping(frame, FrameType::pong, verdict.number, acked(player));
        return send_(link, std::move(frame));
      }
      case FrameVerdict::Kind::close: {
        while (!player.queue.empty()) take_one(player);
        if (player.ended == 0) end(player, verdict.code, verdict.why);
        forget(link);
        return close_(link, verdict.code);
      }
      case FrameVerdict::Kind::bad:
      case FrameVerdict::Kind::over_limit: return bad(link);
    }
  }

  SessionRules rules_;
  Random& random_;
  std::function<void(int, std::string)> send_;
  std::function<void(int, std::uint16_t)> close_;
  std::map<int, Player*> links_;
  std::set<int> reopened_;
};

}  // namespace rejoin::session
