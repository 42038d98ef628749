// The gateway without its network: session::Session holds to the conversations of spec/vectors/.
//
// What apps/gateway does around that calculator (openings, the game server's connection, how a session ended)
// is done here by hand, as little of it as the conversations need.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "session/session.h"
#include "tests/conform/conversation.h"

namespace rejoin::conform {
namespace {

using proto::DetachAction;
using proto::FrameType;
using proto::LinkCode;
using session::Due;
using session::FrameVerdict;
using session::Phase;
using session::ResumeVerdict;
using session::Said;
using session::Session;

constexpr unsigned kNoLink = 0;

Duration ms(const Json& number) { return std::chrono::milliseconds(number.get<int>()); }

session::SessionRules rules_of(const Json& given) {
  session::SessionRules rules;
  rules.grace = ms(given.at("grace"));
  rules.ping = ms(given.at("ping"));
  rules.dead = ms(given.at("dead"));
  rules.pause_max = ms(given.at("pause"));
  rules.spread = ms(given.at("spread"));
  rules.window = {given.at("window_bytes"), given.at("window_messages")};
  return rules;
}

proto::Detach detach_of(std::uint16_t code, DetachAction action) {
  proto::Detach detach;
  detach.code = code;
  detach.action = action;
  return detach;
}
proto::Detach detach_of(LinkCode code, DetachAction action) { return detach_of(number(code), action); }

void put(std::string& out, std::uint64_t value, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

/// A detached session with such counts, all acknowledged and accepted (Session::save() has the form).
std::string saved_session(const Json& counts, const proto::SessionSecret& secret) {
  std::string out;
  put(out, 1, 1);  // the form
  put(out, static_cast<std::uint64_t>(route::TicketKind::proof), 1);
  out.append(16, 'i');  // its id
  out.append(secret.data(), secret.size());
  put(out, counts.at("epoch").get<std::uint64_t>(), 4);
  put(out, u64(counts.at("read")), 8);
  put(out, u64(counts.at("read")), 8);
  put(out, u64(counts.at("sent")), 8);
  put(out, 0, 4);  // messages that are held
  return out;
}

class Gateway final : public Subject {
 public:
  explicit Gateway(const Json& given)
      : given_(given), rules_(rules_of(given)), secret_(secret_of(given.at("secret"))) {
    tickets_ = given.at("tickets").get<std::vector<std::string>>();
    const Json& counts = given.at("session");
    if (counts.is_null()) return;
    session_.emplace(Session::restore(saved_session(counts, secret_), rules_, now_).value());
    game_.connected = true;
  }

  void step(const Json& step, Bytes frame, Deeds& deeds) override {
    deeds_ = &deeds;
    const std::string what = step.at("do");
    if (what == "receive") {
      receive(step.at("link"), frame);
    } else if (what == "broke") {
      broke(step.at("link"));
    } else if (what == "pass") {
      pass(ms(step.at("ms")));
    } else if (what == "game") {
      game_.waiting.push_back(message_of(step.at("message")));
      send();
    } else if (what == "accept") {
      accept(step.at("count"));
    } else if (what == "game_ends") {
      game_gone(LinkCode::session_ended);
    } else if (what == "game_breaks") {
      game_gone(LinkCode::game_server_gone);
    } else if (what == "end") {
      operator_ends(step.at("code"));
    } else if (what == "detach") {
      operator_detaches(step);
    } else if (what == "renew") {
      renew(step.at("ticket"));
    } else {
      ADD_FAILURE() << "no word for " << what;
    }
  }

 private:
  /// What the session means to the game server, and what that has to say.
  struct Game {
    bool connected = false;
    std::deque<std::size_t> taking;      // bytes of each message that it has not accepted
    std::deque<Message> waiting;         // said, and no room for it yet
    std::optional<std::uint16_t> close;  // what the client is told behind all of that
    unsigned close_told_on = kNoLink;    // on this link it was
  };
  /// A link that is not the session's: its opening frame is awaited.
  struct Opening {
    int refused = 0;
    TimePoint until{};
  };

  // --- links ---
  void receive(unsigned link, Bytes frame) {
    if (closed_.contains(link)) return;
    if (link == live_) return on_live(frame);
    openings_.try_emplace(link, Opening{0, now_ + limits::kOpeningFrameS});
    on_opening(link, frame);
  }
  void broke(unsigned link) {
    if (link == live_) lose_link();
    openings_.erase(link);
    closed_.insert(link);
  }
  void lose_link() {
    live_ = kNoLink;
    moved_at_ = kNever;
    session_->detach(now_);
  }
  void close(unsigned link, std::uint16_t code) {
    openings_.erase(link);
    if (closed_.insert(link).second) deeds_->close(link, code);
  }
  /// A frame on whatever link. What leaves on the live one bears the acknowledgement.
  void write(unsigned link, Bytes frame) {
    deeds_->frame(link, frame);
    if (link == live_) session_->said(now_);
  }
  void write_detach(unsigned link, const proto::Detach& detach) {
    std::string frame;
    proto::append_detach(frame, detach, link == live_ ? session_->ack() : 0);
    write(link, frame);
  }
  /// The link ends, the session does not.
  void send_away(unsigned link, const proto::Detach& detach) {
    write_detach(link, detach);
    if (link == live_) lose_link();
    close(link, detach.code);
  }

  // --- opening frames ---
  void on_opening(unsigned link, Bytes frame) {
    const auto view = proto::parse_frame(frame);
    if (view && view->head.is(FrameType::hello)) {
      if (const auto hello = proto::parse_hello(view->body)) return on_hello(link, *hello);
    } else if (const auto resume = proto::parse_resume(frame)) {
      return on_resume(link, *resume);
    }
    send_away(link, detach_of(LinkCode::bad_frame, DetachAction::again));
  }

  /// The conversation is with one session at a time: a new one takes the place of what was.
  void on_hello(unsigned link, const proto::Hello& hello) {
    if (hello.version == 0) return send_away(link, detach_of(LinkCode::version, DetachAction::stop));
    session_.emplace(route::SessionId{}, route::TicketKind::proof, secret_, rules_, now_);
    game_ = {};
    live_ = link;
    openings_.erase(link);
    cursor_ = session_->window().end();
    proto::Welcome welcome;
    welcome.secret = secret_;
    welcome.ticket = tickets_.back();
    welcome.grace_ms = given_.at("grace");
    welcome.ping_ms = given_.at("ping");
    welcome.dead_ms = given_.at("dead");
    welcome.window_bytes = given_.at("window_bytes");
    welcome.window_messages = given_.at("window_messages");
    welcome.spread_ms = given_.at("spread");
    std::string frame;
    proto::append_welcome(frame, welcome);
    write(link, frame);
  }

  void on_resume(unsigned link, const proto::Resume& resume) {
    const bool known =
        session_ && std::find(tickets_.begin(), tickets_.end(), resume.ticket) != tickets_.end();
    if (!known || !proof_holds(resume, secret_)) {
      return refuse(link, detach_of(LinkCode::login_needed, DetachAction::login));
    }
    if (session_->phase() == Phase::ended) {
      const std::uint16_t code = now_ < ended_until_ ? ended_code_ : number(LinkCode::login_needed);
      return refuse(link, detach_of(code, DetachAction::login));
    }
    const ResumeVerdict verdict = session_->resume(resume, now_);
    switch (verdict.kind) {
      case ResumeVerdict::Kind::take: return take_over(link, verdict);
      case ResumeVerdict::Kind::epoch_used: {
        proto::Detach used = detach_of(LinkCode::epoch_used, DetachAction::again);
        used.epoch = session_->epoch();
        return refuse(link, used);
      }
      case ResumeVerdict::Kind::too_fast:
        return send_away(link, detach_of(LinkCode::too_fast, DetachAction::again));
      case ResumeVerdict::Kind::unfit:
        return refuse(link, detach_of(LinkCode::login_needed, DetachAction::login));
    }
  }

  /// A refused opening frame need not cost a dial: the link takes one more.
  void refuse(unsigned link, const proto::Detach& detach) {
    Opening& opening = openings_.at(link);
    if (++opening.refused == limits::kOpeningsPerLink) return send_away(link, detach);
    opening.until = now_ + limits::kOpeningFrameS;
    write_detach(link, detach);
  }

  void take_over(unsigned link, const ResumeVerdict& verdict) {
    // The older link is none of the session's any more before its last word is said: that word is no
    // acknowledgement of the session, and its end no detaching.
    const unsigned older = std::exchange(live_, link);
    moved_at_ = kNever;
    openings_.erase(link);
    if (older != kNoLink) {
      proto::Detach replaced = detach_of(LinkCode::replaced, DetachAction::stop);
      replaced.epoch = session_->epoch();
      send_away(older, replaced);
    }
    cursor_ = verdict.from;
    std::string frame;
    proto::append_resumed(frame, verdict.resumed, session_->ack());
    write(link, frame);
    confirm();
    send();
  }

  // --- what the client says ---
  void on_live(Bytes frame) {
    session_->heard(now_);
    const auto view = proto::parse_frame(frame);
    if (!view) return send_away(live_, detach_of(LinkCode::bad_frame, DetachAction::again));
    const std::size_t waiting = std::accumulate(game_.taking.begin(), game_.taking.end(), std::size_t{0});
    const FrameVerdict verdict = session_->on_frame(*view, waiting);
    confirm();
    if (verdict.freed) send();
    switch (verdict.kind) {
      case FrameVerdict::Kind::nothing: break;
      case FrameVerdict::Kind::message: to_game(verdict); break;
      case FrameVerdict::Kind::ping: write_ping(FrameType::pong, verdict.number); break;
      case FrameVerdict::Kind::close: on_close(verdict.code); break;
      case FrameVerdict::Kind::bad:
        send_away(live_, detach_of(LinkCode::bad_frame, DetachAction::again));
        break;
      case FrameVerdict::Kind::over_limit:
        send_away(live_, detach_of(LinkCode::over_limit, DetachAction::again));
        break;
    }
  }
  /// The game server is dialled once, when the client has shown that WELCOME came.
  void confirm() {
    if (session_->phase() != Phase::attached || game_.connected || game_.close) return;
    game_.connected = true;
    deeds_->game("open");
  }
  void to_game(const FrameVerdict& verdict) {
    if (!game_.connected) return;
    deeds_->game_message(verdict.text, verdict.message);
    game_.taking.push_back(verdict.message.size());
    if (given_.at("accept") == "at once") accept(1);
  }
  /// Two CLOSEs that cross answer each other.
  void on_close(std::uint16_t code) {
    if (!game_.close) write_close(code);
    finish(game_.close.value_or(code));
  }

  // --- what the client is told ---
  /// What the game server said, as far as there is room; its end behind it.
  void send() {
    while (!game_.waiting.empty()) {
      const Message& message = game_.waiting.front();
      const Said said = session_->say(message.bytes, message.text);
      if (said == Said::too_large) return part_with_game(number(LinkCode::over_limit));
      if (said == Said::full) {
        session_->stalled(now_);
        break;
      }
      session_->flowing();
      game_.waiting.pop_front();
    }
    if (live_ == kNoLink) return;
    while (session_->window().more(cursor_)) {
      const session::SendWindow::Held held = session_->window().take(cursor_);
      std::string frame;
      proto::append_data(frame, held.text, held.seq, session_->ack(), held.payload);
      write(live_, frame);
    }
    if (!game_.close || !game_.waiting.empty() || game_.close_told_on == live_) return;
    game_.close_told_on = live_;
    write_close(*game_.close);
  }
  void write_ack() {
    std::string frame;
    proto::append_ack(frame, session_->ack());
    write(live_, frame);
  }
  void write_ping(FrameType ping_or_pong, std::uint64_t number) {
    std::string frame;
    proto::append_ping(frame, ping_or_pong, number, session_->ack());
    write(live_, frame);
  }
  void write_close(std::uint16_t code) {
    std::string frame;
    proto::append_close(frame, {code, ""}, session_->ack());
    write(live_, frame);
  }

  // --- the game server ---
  void accept(std::size_t count) {
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < count; ++i) {
      bytes += game_.taking.front();
      game_.taking.pop_front();
    }
    session_->accepted(count, bytes, now_);
    if (live_ != kNoLink && session_->ack_due_now()) write_ack();
  }
  /// Its connection has ended: the client hears so behind its last message.
  void game_gone(LinkCode code) {
    game_.connected = false;
    say_farewell(number(code));
  }
  /// We end it: what had no room is dropped.
  void part_with_game(std::uint16_t code) {
    disconnect_game();
    game_.waiting.clear();
    session_->flowing();
    say_farewell(code);
  }
  void say_farewell(std::uint16_t code) {
    game_.close = code;
    session_->closing(now_);
    send();
  }
  void disconnect_game() {
    if (std::exchange(game_.connected, false)) deeds_->game("close");
  }

  // --- the operator ---
  void operator_ends(std::uint16_t code) {
    if (live_ == kNoLink) return finish(code);
    part_with_game(code);
  }
  void operator_detaches(const Json& step) {
    const bool move = step.at("action") == "move";
    proto::Detach detach =
        detach_of(step.at("code").get<std::uint16_t>(), move ? DetachAction::move : DetachAction::again);
    const std::string address = step.at("address");
    detach.address = address;
    detach.wait_ms = step.at("wait");
    if (!move) return send_away(live_, detach);
    write_detach(live_, detach);  // it serves on
    moved_at_ = now_ + ms(step.at("wait"));
    moved_code_ = detach.code;
  }
  void renew(const std::string& ticket) {
    tickets_.push_back(ticket);
    std::string frame;
    proto::append_ticket(frame, ticket, session_->ack());
    write(live_, frame);
  }

  /// The session is over. How, is told for `grace` to who proves that it was theirs. With 4401 that is what
  /// is told of any session that is not known.
  void finish(std::uint16_t code) {
    disconnect_game();
    deeds_->told("ended", {{"code", code}});
    if (const unsigned link = live_; link != kNoLink) {
      lose_link();
      close(link, code);
    }
    session_->end();
    ended_code_ = code;
    ended_until_ = now_ + rules_.grace;
  }

  // --- time ---
  /// Goes from timer to timer.
  void pass(Duration time) {
    const TimePoint end = now_ + time;
    for (TimePoint next = deadline(); next <= end; next = deadline()) {
      now_ = std::max(now_, next);
      on_time();
    }
    now_ = end;
  }
  TimePoint deadline() const {
    TimePoint first = moved_at_;
    if (session_) first = std::min(first, session_->deadline());
    for (const auto& [link, opening] : openings_) first = std::min(first, opening.until);
    return first;
  }
  void on_time() {
    const auto late = [this](const auto& entry) { return entry.second.until <= now_; };
    for (auto at = openings_.begin(); (at = std::find_if(at, openings_.end(), late)) != openings_.end();) {
      const unsigned link = (at++)->first;
      close(link, number(LinkCode::silent));
    }
    if (moved_at_ <= now_) {
      const unsigned link = live_;
      lose_link();
      close(link, moved_code_);
    }
    if (session_ && session_->deadline() <= now_) on_session_time();
  }
  void on_session_time() {
    const bool unconfirmed = session_->phase() == Phase::unconfirmed;
    switch (session_->on_time(now_)) {
      case Due::nothing:
        ADD_FAILURE() << "a deadline at which nothing is due";
        session_->end();  // or time would stand still for ever
        break;
      case Due::ack: write_ack(); break;
      case Due::ping: write_ping(FrameType::ping, ++pings_); break;
      case Due::silent: send_away(live_, detach_of(LinkCode::silent, DetachAction::again)); break;
      case Due::expired:
        // An unconfirmed session may have its link still. CLOSE would be the end of a session that the client
        // was never in.
        if (unconfirmed && live_ != kNoLink) {
          send_away(live_, detach_of(LinkCode::login_needed, DetachAction::login));
        }
        finish(number(LinkCode::login_needed));
        break;
      case Due::overflow: part_with_game(number(LinkCode::over_limit)); break;
    }
  }

  const Json& given_;
  const session::SessionRules rules_;
  const proto::SessionSecret secret_;
  std::vector<std::string> tickets_;
  TimePoint now_{3600s};
  std::optional<Session> session_;  // stays when it has ended, to be told from one that never was
  Game game_;
  unsigned live_ = kNoLink;
  session::SendWindow::Cursor cursor_;  // where the live link stands
  std::map<unsigned, Opening> openings_;
  std::set<unsigned> closed_;
  TimePoint moved_at_ = kNever;  // the live link was told to move, and is closed then
  std::uint16_t moved_code_ = 0;
  std::uint16_t ended_code_ = 0;
  TimePoint ended_until_{};
  std::uint64_t pings_ = 0;
  Deeds* deeds_ = nullptr;
};

TEST(GatewayConversations, the_session_holds_them) {
  const Json vectors = read_vectors("conversations.json");
  const proto::SessionSecret secret = secret_of(vectors.at("secret"));
  int played = 0;
  for (const Json& conversation : vectors.at("conversations")) {
    if (conversation.at("role") != "gateway") continue;
    ++played;
    Gateway gateway(conversation.at("given"));
    EXPECT_EQ(play(conversation, secret, gateway), "");
  }
  EXPECT_GE(played, 48);
}

}  // namespace
}  // namespace rejoin::conform
