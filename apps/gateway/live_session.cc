#include "apps/gateway/live_session.h"

#include <algorithm>

#include "apps/gateway/session_table.h"
#include "apps/gateway/worker.h"
#include "base/limits.h"
#include "proto/ws_frame.h"

namespace rejoin::gateway {

using proto::DetachAction;
using proto::LinkCode;
using session::Due;
using session::FrameVerdict;
using session::Phase;

LiveSession::LiveSession(Worker& worker, session::Session state, const Address& client, Lasting lasting)
    : worker_(worker),
      lasting_(lasting),
      state_(std::move(state)),
      client_(client),
      timer_([](void* self) { static_cast<LiveSession*>(self)->on_time(); }, this) {
  const config::ClientRate& rate = worker.rules().rate;
  if (rate.messages != 0 || rate.bytes != 0) rate_ = std::make_unique<Rate>();
}

SessionTable& LiveSession::table() { return worker_.sessions(); }

LiveSession::~LiveSession() { table().account(accounted_bytes_, 0); }

// --- links come ---

// The one that it had.
Link* LiveSession::set_link(Link* link) {
  if ((link_ == nullptr) != (link == nullptr)) table().count_with_link(link != nullptr ? 1 : -1);
  return std::exchange(link_, link);
}

void LiveSession::take_link(Link& link, const session::SendWindow::Cursor& from, LinkMode mode) {
  Link* const older = set_link(&link);
  client_ = link.client();
  ++links_;
  if (older != nullptr) {
    ++table().counts().replaced;
    proto::Detach replaced;
    replaced.code = number(LinkCode::replaced);
    replaced.action = DetachAction::stop;
    replaced.epoch = state_.epoch();
    replaced.reason = "another link has the session";
    older->dismiss(replaced);
  }
  link.attach(*this, from, mode);
  arm();
}

void LiveSession::welcome(Link& link) {
  std::string ticket;
  ticket_renewal_ = table().seal_ticket(state_, ticket);
  const session::SessionRules& rules = state_.rules();
  proto::Welcome welcome;
  welcome.secret = state_.secret();
  welcome.ticket = ticket;
  const auto ms = [](Duration time) {
    return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
  };
  welcome.grace_ms = ms(rules.grace);
  welcome.ping_ms = ms(rules.ping);
  welcome.dead_ms = ms(rules.dead);
  welcome.window_bytes = rules.window.bytes;
  welcome.window_messages = rules.window.messages;
  welcome.spread_ms = ms(rules.spread);
  for (const std::string& url : worker_.rules().advertise) welcome.addresses.push_back(url);
  std::string frame;
  proto::append_welcome(frame, welcome);
  take_link(link, state_.window().end(), LinkMode::framed);
  link.tell(frame);
  state_.said(worker_.world().clock.now());
}

void LiveSession::resumed(Link& link, const session::ResumeVerdict& verdict) {
  ++table().counts().resumed;
  table().counts().replayed += verdict.resumed.last + 1 - verdict.resumed.next;
  take_link(link, verdict.from, LinkMode::framed);
  std::string frame;
  proto::append_resumed(frame, verdict.resumed, state_.ack());
  link.tell(frame);
  state_.said(worker_.world().clock.now());
  if (!game_ && !game_over_) begin_game({});  // its WELCOME came, though the answer to it was lost
}

void LiveSession::attach_plain(Link& link, const session::SendWindow::Cursor& from,
                               const std::optional<upstream::Echo::SeenCookie>& cookie) {
  take_link(link, from, LinkMode::plain);
  if (!game_ && !game_over_) begin_game(cookie);
}

void LiveSession::begin_game(const std::optional<upstream::Echo::SeenCookie>& cookie) {
  upstream::Player player;
  player.client = client_;
  player.local = link_ != nullptr ? link_->local() : Address();
  player.session = state_.id().text();
  player.cookie = cookie;
  game_ = worker_.games().make(*this);
  game_->start(player);
}

// --- its link tells ---

void LiveSession::heard() { state_.heard(worker_.world().clock.now()); }

void LiveSession::on_frame(Bytes bytes) {
  const auto frame = proto::parse_frame(bytes);
  if (!frame) {
    worker_.bad_frame(*link_, "no frame of rejoin.v1");
    return;
  }
  const bool unconfirmed = state_.phase() == Phase::unconfirmed;
  const FrameVerdict verdict = state_.on_frame(*frame, unsent_to_game());
  if (verdict.freed) room_again();
  switch (verdict.kind) {
    case FrameVerdict::Kind::nothing: break;
    case FrameVerdict::Kind::message:
      if (unconfirmed) begin_game({});
      to_game({verdict.message, verdict.text ? upstream::MessageKind::text : upstream::MessageKind::binary});
      return;
    case FrameVerdict::Kind::ping: {
      std::string pong;
      proto::append_ping(pong, proto::FrameType::pong, verdict.number, state_.ack());
      link_->tell(pong);
      state_.said(worker_.world().clock.now());
      break;
    }
    case FrameVerdict::Kind::close:
      if (closing()) {
        end(static_cast<LinkCode>(closing_code_), "");
      } else {
        // Its own code is what it is answered with, and told if it comes back to hear that.
        ++table().counts().closed_by_client;
        end(proto::is_wire_close_code(verdict.code) ? static_cast<LinkCode>(verdict.code) : LinkCode::normal,
            "closed by the client", EndCause::closed);
      }
      return;
    case FrameVerdict::Kind::bad: worker_.bad_frame(*link_, verdict.why); return;
    case FrameVerdict::Kind::over_limit: worker_.too_much(*link_, verdict.why); return;
  }
  if (unconfirmed && state_.phase() != Phase::unconfirmed) begin_game({});
}

void LiveSession::on_plain(const upstream::Message& message) {
  const proto::FrameHead numbered{static_cast<std::uint8_t>(proto::FrameType::data), 0,
                                  static_cast<std::uint32_t>(state_.received() + 1),
                                  static_cast<std::uint32_t>(state_.window().acked())};
  if (state_.on_frame({numbered, message.bytes}).kind != FrameVerdict::Kind::message) {
    worker_.too_much(*link_, "more than the game server takes");
    return;
  }
  to_game(message);
}

void LiveSession::to_game(const upstream::Message& message) {
  if (rate_ && !within_rate(message.bytes.size())) {
    ++table().counts().too_fast;
    proto::Detach detach;
    detach.code = number(LinkCode::too_fast);
    detach.wait_ms = limits::kTooFastWaitMs;
    detach.reason = "too fast";
    // It was counted as read: the game server gets it, and the client waits before it goes on.
    link_->dismiss(detach, LinkEnd::refused);
    Link* const link = set_link(nullptr);
    link_lost(*link, LinkEnd::refused);
    if (lasting_ == Lasting::ends_with_link) return;
  }
  taking_bytes_ += static_cast<std::uint32_t>(message.bytes.size());
  if (game_ && !game_over_) game_->say(message);
}

// Two seconds' worth may come at once.
bool LiveSession::within_rate(std::size_t bytes) {
  const TimePoint now = worker_.world().clock.now();
  const config::ClientRate& rules = worker_.rules().rate;
  const auto spend = [now](TimePoint& paid, double amount, double per_second) {
    paid = std::max(paid, now - 2s);
    paid += std::chrono::duration_cast<Duration>(std::chrono::duration<double>(amount / per_second));
    return paid <= now;
  };
  bool within = true;
  if (rules.messages != 0) within &= spend(rate_->messages, 1, rules.messages);
  if (rules.bytes != 0)
    within &= spend(rate_->bytes, static_cast<double>(bytes), static_cast<double>(rules.bytes));
  return within;
}

void LiveSession::sent(const session::SendWindow::Cursor& next) {
  state_.said(worker_.world().clock.now());
  if (state_.kind() == route::TicketKind::cookie) {
    state_.forget_taken(next);
    room_again();
  }
}

void LiveSession::tell_ack() {
  std::string frame;
  proto::append_ack(frame, state_.ack());
  if (link_ != nullptr) link_->tell(frame);  // none: it is being dismissed, with DETACH to bear the count
  state_.said(worker_.world().clock.now());
}

// Behind the last message. A plain client gets its close frame; one of the resume protocol answers, and may
// come back to hear it again.
void LiveSession::tell_close(Link& link) {
  if (state_.kind() == route::TicketKind::cookie) {
    end(static_cast<LinkCode>(closing_code_), proto::to_string(static_cast<LinkCode>(closing_code_)));
    return;
  }
  std::string frame;
  proto::append_close(frame, {closing_code_, proto::to_string(static_cast<LinkCode>(closing_code_))},
                      state_.ack());
  link.tell(frame);
  state_.said(worker_.world().clock.now());
}

void LiveSession::turn_ended() {
  account();
  arm();
}

void LiveSession::link_lost(Link& link, LinkEnd how) {
  if (link_ != nullptr && link_ != &link) return;
  set_link(nullptr);
  if (state_.phase() == Phase::ended) {
    finish_if_over();
    return;
  }
  if (how == LinkEnd::silent) ++table().counts().silent;
  ++table().counts().detached;
  state_.detach(worker_.world().clock.now());
  if (lasting_ == Lasting::ends_with_link) {
    // A client that said FIN has said all that it will say.
    end(LinkCode::session_ended, "its link ended", EndCause::link_ended);
    return;
  }
  account();
  arm();
}

// --- the game server tells ---

void LiveSession::game_said(const upstream::Message& message) {
  ++table().counts().messages_out;
  const bool text = message.kind == upstream::MessageKind::text;
  // Over the budget of all sessions nobody's window grows, but an empty one may take a message.
  const bool over_budget = table().over_budget() && state_.window().held_messages() != 0;
  const session::Said said = over_budget ? session::Said::full : state_.say(message.bytes, text);
  switch (said) {
    case session::Said::sent:
      if (link_ != nullptr) {
        link_->more();
      } else {
        account();
      }
      return;
    case session::Said::full:
      ++table().counts().stalled;
      stalled_ = std::make_unique<Stalled>(Stalled{std::string(message.bytes), message.kind});
      game_->set_reading(false);
      state_.stalled(worker_.world().clock.now());
      arm();
      return;
    case session::Said::too_large:
      worker_.tell(client_, "the game server's message is larger than the window");
      close_for(LinkCode::over_limit);
      return;
  }
}

void LiveSession::room_again() {
  if (!stalled_ || (table().over_budget() && state_.window().held_messages() != 0)) return;
  const bool text = stalled_->kind == upstream::MessageKind::text;
  if (state_.say(stalled_->bytes, text) != session::Said::sent) return;
  stalled_.reset();
  state_.flowing();
  if (link_ != nullptr) link_->more();
  if (game_ && !game_over_) game_->set_reading(true);
}

void LiveSession::game_took(std::size_t count) {
  // Bytes are told apart from each other by nobody: what is left when all are taken is nothing.
  const std::uint64_t pending = state_.pending();
  const std::size_t bytes = count >= pending ? taking_bytes_ : taking_bytes_ * count / pending;
  taking_bytes_ -= static_cast<std::uint32_t>(bytes);
  state_.accepted(count, bytes, worker_.world().clock.now());
  if (link_ == nullptr) return;
  link_->read_on();
  if (link_ != nullptr && state_.ack_due_now()) link_->more();
  // What the link says at the end of its turn bears the acknowledgement, as a rule. A timer for it would fire
  // in vain, a fifth of a second later, for each message.
  if (link_ == nullptr || !link_->turn_goes_on()) arm();
}

void LiveSession::game_ended(upstream::GameEnd how, const Error& why) {
  game_over_ = true;
  if (finished_) {
    finish_if_over();
    return;
  }
  worker_.tell(client_,
               "the game server's connection ended: " + std::string(to_string(how)) + ": " + why.detail);
  const bool too_large = how == upstream::GameEnd::invalid && why.kind == ErrorKind::too_large;
  close_for(how == upstream::GameEnd::finished ? LinkCode::session_ended
            : too_large                        ? LinkCode::over_limit
                                               : LinkCode::game_server_gone);
}

// What the game server said last is still delivered, and CLOSE behind it; a detached client has its grace to
// come for it.
void LiveSession::close_for(LinkCode code) {
  if (closing() || state_.phase() == Phase::ended) return;
  closing_code_ = number(code);
  state_.closing(worker_.world().clock.now());
  if (game_ && !game_over_) {
    finished_ = true;
    game_->finish();
  }
  if (link_ != nullptr) link_->more();
  arm();
}

// --- it goes to the next process ---

void LiveSession::send_link_away(const proto::Detach& detach, LinkEnd why) {
  if (link_ == nullptr) return;
  Link* const link = set_link(nullptr);
  // Who acknowledges nothing could not be told again what its window held.
  if (state_.kind() == route::TicketKind::cookie) link->fetch_all();
  link->dismiss(detach, why);
  link_lost(*link, why);
}

void LiveSession::ask_to_move(Duration wait) {
  proto::Detach move;
  move.code = number(LinkCode::restart);
  move.action = DetachAction::move;
  move.wait_ms =
      static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::milliseconds>(wait).count());
  move.reason = "the gateway is upgraded";
  std::string frame;
  proto::append_detach(frame, move, state_.ack());
  link_->tell(frame);
  state_.said(worker_.world().clock.now());
}

// One that never had a link is about to get its first.
bool LiveSession::may_leave() const {
  return state_.phase() != Phase::ended && link_ == nullptr && links_ != 0 &&
         lasting_ == Lasting::outlives_links && (!game_ || game_over_ || game_->may_leave());
}

io::Socket LiveSession::pack_up(std::string& parcel) {
  const TimePoint now = worker_.world().clock.now();
  SessionParcel out;
  out.session = &state_;
  out.client = client_;
  out.links = links_;
  out.taking_bytes = taking_bytes_;
  out.ticket_renewal = ticket_renewal_;
  out.closing_code = closing_code_;
  out.game_over = game_over_;
  out.finished = finished_;
  if (stalled_) {
    out.has_stalled = true;
    out.stalled_kind = stalled_->kind;
    out.stalled = stalled_->bytes;
  }
  if (rate_) {
    out.rate_messages = rate_->messages;
    out.rate_bytes = rate_->bytes;
  }
  std::string game;
  io::Socket socket;
  if (game_ && !game_over_) {
    worker_.games().save_kind(game);
    socket = game_->leave(game);
    game_over_ = true;  // for us
  }
  out.game = game;
  out.has_socket = static_cast<bool>(socket);
  out.write(parcel, now);
  return socket;
}

bool LiveSession::arrive(const SessionParcel& parcel, io::Socket& socket) {
  if (!parcel.game.empty()) {
    game_ = worker_.games().adopt(*this, parcel.game, socket);
    if (!game_) return false;
  }
  links_ = parcel.links;
  taking_bytes_ = parcel.taking_bytes;
  ticket_renewal_ = parcel.ticket_renewal;
  closing_code_ = parcel.closing_code;
  game_over_ = parcel.game_over;
  finished_ = parcel.finished;
  if (parcel.has_stalled)
    stalled_ = std::make_unique<Stalled>(Stalled{std::string(parcel.stalled), parcel.stalled_kind});
  if (rate_) {
    rate_->messages = parcel.rate_messages;
    rate_->bytes = parcel.rate_bytes;
  }
  account();
  arm();
  return true;
}

// --- it ends ---

EndCause LiveSession::cause_of_closing() const {
  switch (static_cast<LinkCode>(closing_code_)) {
    case LinkCode::session_ended: return EndCause::game_over;
    case LinkCode::over_limit: return EndCause::over_limit;
    default: return EndCause::game_lost;
  }
}

void LiveSession::end(LinkCode code, Bytes reason, EndCause cause) {
  if (state_.phase() == Phase::ended) return;
  if (closing()) cause = cause_of_closing();
  state_.end();
  table().ended(*this, code, reason, cause);
  stalled_.reset();
  if (link_ != nullptr) {
    Link* const link = set_link(nullptr);
    link->close_session(number(code), reason, side_of(cause));
  }
  if (game_ && !game_over_ && !finished_) {
    finished_ = true;
    game_->finish();
  }
  finish_if_over();
}

// Its client never heard of the session, or never said so: a DETACH, since there is nothing to close.
void LiveSession::forget_unconfirmed() {
  proto::Detach detach;
  detach.code = number(LinkCode::login_needed);
  detach.action = DetachAction::login;
  detach.reason = "WELCOME was not answered";
  Link* const link = set_link(nullptr);
  link->dismiss(detach);
  end(LinkCode::login_needed, detach.reason, EndCause::unanswered);
}

void LiveSession::end_told(LinkCode code, Bytes reason, EndCause cause) {
  if (link_ != nullptr) link_->fetch_all();
  end(code, reason, cause);
}

void LiveSession::end_by_drain() {
  if (state_.phase() == Phase::ended) return;
  if (link_ != nullptr) {
    Link* const link = set_link(nullptr);
    link->fetch_all();
    proto::Detach detach;
    detach.code =
        number(state_.kind() == route::TicketKind::proof ? LinkCode::restart : LinkCode::going_away);
    detach.wait_ms = limits::kTooFastWaitMs;
    detach.reason = "the gateway is going away";
    link->dismiss(detach);
  }
  end(LinkCode::restart, "");
}

// Not at once: this may stand on the stack of the game server or the link.
void LiveSession::finish_if_over() {
  if (state_.phase() != Phase::ended || (game_ && !game_over_)) return;
  armed_for_ = worker_.world().clock.now();
  worker_.world().timers.arm(timer_, armed_for_);
}

void LiveSession::cancel() {
  if (link_ != nullptr) {
    Link* const link = set_link(nullptr);
    link->forget_session();
    link->cancel();
  }
  if (game_ && !game_over_) game_->cancel();
  table().destroy(*this);
}

// --- time ---

void LiveSession::on_time() {
  armed_for_ = kNever;
  if (state_.phase() == Phase::ended) {
    table().destroy(*this);
    return;
  }
  const TimePoint now = worker_.world().clock.now();
  if (link_ != nullptr) {
    // Whom we do not read cannot be heard: kLinkStallS judges both sides then.
    if (link_->paused()) state_.heard(now);
    // A tab that sleeps, a radio that is off: what it owes is asked for before it is judged.
    for (Due due = state_.on_time(now); due != Due::nothing; due = state_.on_time(now)) {
      if (due == Due::ack) {
        tell_ack();
      } else if (due == Due::ping && closing() && state_.window().held_messages() == 0) {
        end(static_cast<LinkCode>(closing_code_), "");  // it has all, and does not answer CLOSE
        return;
      } else if (due == Due::ping) {
        ++table().counts().pings;
        renew_ticket();
        if (state_.kind() == route::TicketKind::cookie) {
          if (!link_->ping())
            state_.heard(now);  // plain TCP has no sign of life: TCP's own keep-alive finds it
        } else {
          std::string ping;
          proto::append_ping(ping, proto::FrameType::ping, links_, state_.ack());
          link_->tell(ping);
        }
        state_.said(now);
      } else if (due == Due::silent) {
        Link* const link = link_;
        worker_.silent(*link);
        return;
      } else {
        if (due == Due::overflow) {
          overflow();
        } else if (closing()) {
          end(static_cast<LinkCode>(closing_code_), "");
        } else {
          forget_unconfirmed();
        }
        return;
      }
    }
  } else {
    const Due due = state_.on_time(now);
    if (due == Due::overflow) {
      overflow();
      return;
    }
    if (due == Due::expired) {
      ++table().counts().expired;
      end(LinkCode::login_needed, "nobody came back", EndCause::expired);
      return;
    }
  }
  arm();
}

// What is in the window is still the client's, with or without a link, and CLOSE behind it.
void LiveSession::overflow() {
  ++table().counts().overflowed;
  stalled_.reset();
  state_.flowing();
  close_for(LinkCode::over_limit);
}

void LiveSession::renew_ticket() {
  if (state_.kind() != route::TicketKind::proof || ticket_renewal_ == 0) return;
  if (worker_.world().clock.unix_now() < static_cast<UnixSeconds>(ticket_renewal_)) return;
  std::string ticket, frame;
  ticket_renewal_ = table().seal_ticket(state_, ticket);
  proto::append_ticket(frame, ticket, state_.ack());
  link_->tell(frame);
}

// The wheel is asked only when something is due earlier than it knows of, and the timer is not even looked
// at: it lies among what a message does not touch.
void LiveSession::arm() {
  if (state_.phase() == Phase::ended) return;
  const TimePoint due = state_.deadline();
  if (due >= armed_for_ && armed_for_ != kNever) return;
  armed_for_ = due;
  worker_.world().timers.arm(timer_, due);
}

void LiveSession::account() {
  const auto bytes = static_cast<std::uint32_t>(state_.memory_bytes());
  if (bytes == accounted_bytes_) return;
  table().account(accounted_bytes_, bytes);
  accounted_bytes_ = bytes;
}

}  // namespace rejoin::gateway
