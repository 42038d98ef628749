// Read it from begin() down: links are told, their time passes, sessions are offered and taken.
#include "apps/gateway/departure.h"

#include <algorithm>

#include "apps/gateway/serve_player.h"
#include "apps/gateway/worker.h"

namespace rejoin::gateway {

using proto::DetachAction;
using proto::LinkCode;

proto::Detach come_again() {
  proto::Detach detach;
  detach.code = number(LinkCode::restart);
  detach.wait_ms = kMovedAgainMs.count();
  detach.reason = "the gateway is upgraded";
  return detach;
}

Departure::Departure(Worker& worker, std::unique_ptr<io::PassChannel> channel, const config::Upgrade& rules)
    : worker_(worker),
      channel_(std::move(channel)),
      rules_(rules),
      timer_([](void* self) { static_cast<Departure*>(self)->on_time(); }, this) {
  channel_->set_events(this);
}

// What is offered at this moment is the other process's, if there is one: this one ends.
Departure::~Departure() = default;

void Departure::say(const MoveFrame& frame, const io::LooseSocket* with) {
  channel_->send(frame.bytes(), with);
}

// --- what the other process says ---

void Departure::on_passed(Bytes message, io::LooseSocket) {
  if (phase_ == Phase::over || phase_ == Phase::failed) return;
  const std::optional<MoveFrame> frame = MoveFrame::read(message);
  if (!frame) {
    worker_.world().log.error("the new process said what cannot be read");
    return;
  }
  switch (frame->kind) {
    case MoveFrame::Kind::ready: return begin();
    case MoveFrame::Kind::want: return on_want(*frame);
    case MoveFrame::Kind::take: return taken(frame->serial);
    case MoveFrame::Kind::refuse: return refused(*frame);
    default: return;
  }
}

void Departure::on_channel_end() {
  const bool had_begun = under_way();
  if (phase_ == Phase::over || phase_ == Phase::failed) return;
  phase_ = Phase::failed;
  timer_.cancel();
  take_all_back();
  const std::string who = "worker " + std::to_string(worker_.number()) + ": the new process ";
  if (had_begun) {
    worker_.world().log.error(who + "has died: " + std::to_string(worker_.sessions().size()) +
                              " sessions go on here, those that it had taken are lost");
    worker_.accept_again();
  } else {
    worker_.world().log.error(who + "did not come up: all goes on here");
  }
}

void Departure::begin() {
  if (phase_ != Phase::waiting) return;
  phase_ = Phase::moving;
  began_ = worker_.world().clock.now();
  worker_.stop_accepting();
  worker_.sessions().for_each(
      [this](const LiveSession& session) { to_tell_.push_back(session.state().id()); });
  worker_.world().log.info("worker " + std::to_string(worker_.number()) + ": " +
                           std::to_string(to_tell_.size()) + " sessions move to the new process");
  on_time();
}

// --- links are told, evenly ---

void Departure::on_time() {
  const TimePoint now = worker_.world().clock.now();
  if (phase_ == Phase::moving) {
    tell_some(now);
    end_waits(now);
    push_some();
    look_at_offers(now);
    if (told_ == to_tell_.size() && waits_.empty()) sweep(now);
  }
  finish(now);
  if (!under_way()) return;
  worker_.world().timers.arm(timer_,
                             now + (all_in_hand_gone() ? Duration(kLingerLookMs) : Duration(kMoveStepMs)));
}

void Departure::tell_some(TimePoint now) {
  const double share =
      rules_.over == Duration(0) ? 1.0 : std::chrono::duration<double>(now - began_) / rules_.over;
  const auto by_now = static_cast<std::size_t>(static_cast<double>(to_tell_.size()) * std::min(share, 1.0));
  for (; told_ < by_now; ++told_) {
    LiveSession* const session = worker_.sessions().find(to_tell_[told_]);
    if (session != nullptr) take_up(*session, now);
  }
}

// Its turn has come.
void Departure::take_up(LiveSession& session, TimePoint now) {
  if (session.lasting() == Lasting::ends_with_link || session.links_count() == 0) return;
  const route::SessionId id = session.state().id();
  if (!taken_up_.insert(id).second) return;
  const bool can_dial_beside = session.state().kind() == route::TicketKind::proof && !hurried_;
  if (session.link() == nullptr || !can_dial_beside) return let_go(session);
  ++worker_.moves().told;
  session.ask_to_move(rules_.wait);
  waits_.emplace_back(now + rules_.wait, id);
}

void Departure::end_waits(TimePoint now) {
  while (!waits_.empty() && (hurried_ || waits_.front().first <= now)) {
    LiveSession* const session = worker_.sessions().find(waits_.front().second);
    waits_.pop_front();
    if (session != nullptr) let_go(*session);
  }
}

// Those that began after the others were counted, on connections from before.
void Departure::sweep(TimePoint now) {
  worker_.sessions().for_each([&](LiveSession& session) { take_up(session, now); });
}

// --- sessions are offered ---

void Departure::let_go(LiveSession& session) {
  const route::SessionId id = session.state().id();
  session.send_link_away(come_again());
  if (worker_.sessions().find(id) != nullptr) leaving_.insert(id);
}

void Departure::push_some() {
  for (std::set<route::SessionId>* const those : {&wanted_, &leaving_}) {
    for (auto at = those->begin(); at != those->end();) {
      if (exports_.size() >= kOffersMax || channel_->unsent() > kOfferedBytesMax) return;
      const route::SessionId id = *at;
      const bool gone = worker_.sessions().find(id) == nullptr;
      if (gone && those == &wanted_ && !is_exported(id)) not_here(id, MoveFrame::Why::unknown);
      at = gone || offer_if_it_can(id, those == &wanted_) ? those->erase(at) : std::next(at);
    }
  }
}

bool Departure::offer_if_it_can(const route::SessionId& id, bool wanted) {
  LiveSession& session = *worker_.sessions().find(id);
  if (session.link() != nullptr)
    session.send_link_away(come_again());  // it came back, on an older connection
  if (!session.may_leave()) return false;
  offer(session, wanted);
  return true;
}

void Departure::offer(LiveSession& session, bool wanted) {
  Export out;
  out.id = session.state().id();
  out.offered = worker_.world().clock.now();
  out.wanted = wanted;
  io::Socket socket = session.pack_up(out.parcel);
  if (socket) out.socket = channel_->loosen(std::move(socket));
  worker_.sessions().destroy(session);
  MoveFrame frame;
  frame.kind = MoveFrame::Kind::offer;
  frame.serial = ++serial_;
  frame.id = out.id;
  frame.number = out.socket ? 1 : 0;
  frame.body = out.parcel;
  say(frame, out.socket ? &out.socket : nullptr);
  exports_.emplace(serial_, std::move(out));
}

bool Departure::is_exported(const route::SessionId& id) const {
  return std::any_of(exports_.begin(), exports_.end(), [&](const auto& one) { return one.second.id == id; });
}

// From here on it is the other process's, whatever becomes of that.
void Departure::taken(std::uint32_t serial) {
  const auto at = exports_.find(serial);
  if (at == exports_.end()) return;  // it was taken back, and the other process has been told
  MoveFrame yours;
  yours.kind = MoveFrame::Kind::yours;
  yours.serial = serial;
  yours.id = at->second.id;
  say(yours);
  ++worker_.moves().out;
  exports_.erase(at);
}

void Departure::refused(const MoveFrame& frame) {
  const auto at = exports_.find(frame.serial);
  if (at == exports_.end()) return;
  Export back = std::move(at->second);
  exports_.erase(at);
  LiveSession* const session = take_back(back);
  const bool later = frame.why == MoveFrame::Why::busy;
  if (back.wanted) not_here(back.id, later ? MoveFrame::Why::busy : MoveFrame::Why::unknown);
  if (session == nullptr) return;
  if (later) {
    leaving_.insert(back.id);
    return;
  }
  // Its client would never reach it here: better that it knows.
  ++worker_.moves().failed;
  worker_.world().log.error("session " + back.id.text() + " cannot move: " + std::string(frame.body));
  session->end(LinkCode::restart, "the new process cannot go on with it");
}

void Departure::look_at_offers(TimePoint now) {
  // The oldest stands first.
  while (!exports_.empty() && exports_.begin()->second.offered + Duration(kOfferS) <= now) {
    MoveFrame revoke;
    revoke.kind = MoveFrame::Kind::revoke;
    revoke.serial = exports_.begin()->first;
    say(revoke);
    Export back = std::move(exports_.begin()->second);
    exports_.erase(exports_.begin());
    if (take_back(back) != nullptr) leaving_.insert(back.id);
    if (back.wanted) not_here(back.id, MoveFrame::Why::busy);
    if (std::exchange(said_late_, true)) continue;
    worker_.world().log.warn("worker " + std::to_string(worker_.number()) +
                             ": the new process does not take what it is offered");
  }
}

LiveSession* Departure::take_back(Export& back) {
  io::Socket socket;
  if (back.socket) socket = channel_->fasten(std::move(back.socket));
  const Result<LiveSession*> arrived = worker_.sessions().arrive(back.parcel, socket);
  if (arrived) return *arrived;
  ++worker_.moves().failed;
  worker_.world().log.error("session " + back.id.text() + " is lost: " + arrived.error().detail);
  return nullptr;
}

void Departure::take_all_back() {
  std::map<std::uint32_t, Export> all;
  all.swap(exports_);
  for (auto& [serial, back] : all) (void)take_back(back);
  wanted_.clear();
  leaving_.clear();
  waits_.clear();
}

// --- somebody is there who says that a session is theirs ---

void Departure::not_here(const route::SessionId& id, MoveFrame::Why why, std::uint32_t epoch) {
  MoveFrame frame;
  frame.kind = MoveFrame::Kind::not_here;
  frame.id = id;
  frame.why = why;
  frame.number = epoch;
  say(frame);
}

void Departure::on_want(const MoveFrame& want) {
  if (is_exported(want.id)) {
    for (auto& [serial, out] : exports_) out.wanted |= out.id == want.id;
    return;  // the answer is on its way
  }
  LiveSession* const session = worker_.sessions().find(want.id);
  if (session == nullptr) {
    const session::Known known = worker_.sessions().memory().look(want.id);
    if (known.state != session::Known::State::ended) return not_here(want.id, MoveFrame::Why::unknown);
    MoveFrame frame;
    frame.kind = MoveFrame::Kind::not_here;
    frame.id = want.id;
    frame.why = MoveFrame::Why::ended;
    frame.code = known.end.code;
    frame.secret = known.end.secret;
    return say(frame);
  }
  const bool plain = session->state().kind() == route::TicketKind::cookie;
  if (plain != want.body.empty()) return not_here(want.id, MoveFrame::Why::unknown);
  if (plain) return want_plain(*session);
  const auto resume = proto::parse_resume(want.body);
  if (!resume || !proof_holds(*resume, session->state().secret()))
    return not_here(want.id, MoveFrame::Why::not_proved);
  switch (session->state().judge(*resume)) {
    case session::ResumeVerdict::Kind::epoch_used:
      return not_here(want.id, MoveFrame::Why::epoch_used, session->state().epoch());
    case session::ResumeVerdict::Kind::unfit: return not_here(want.id, MoveFrame::Why::not_proved);
    case session::ResumeVerdict::Kind::take:
    case session::ResumeVerdict::Kind::too_fast: break;
  }
  proto::Detach replaced;
  replaced.code = number(LinkCode::replaced);
  replaced.action = DetachAction::stop;
  replaced.epoch = resume->epoch;
  replaced.reason = "another link has the session";
  session->send_link_away(replaced);
  taken_up_.insert(want.id);
  if (!offer_if_it_can(want.id, true)) wanted_.insert(want.id);
}

// Two tabs of a browser share one cookie: the second must not take the session from the first.
void Departure::want_plain(LiveSession& session) {
  const route::SessionId id = session.state().id();
  if (session.lasting() == Lasting::ends_with_link) return not_here(id, MoveFrame::Why::unknown);
  if (session.link() != nullptr) return worker_.spawn(when_its_link_is_dead(id));
  taken_up_.insert(id);
  if (!offer_if_it_can(id, true)) wanted_.insert(id);
}

Task<void> Departure::when_its_link_is_dead(route::SessionId id) {
  if (worker_.sessions().find(id) == nullptr) {
    if (!is_exported(id)) not_here(id, MoveFrame::Why::busy);
    co_return;
  }
  const bool lives = co_await link_lives(worker_, id);
  LiveSession* const session = worker_.sessions().find(id);
  if (!under_way()) co_return;
  if (lives) {
    not_here(id, MoveFrame::Why::lives);
  } else if (session != nullptr) {
    taken_up_.insert(id);
    session->send_link_away(come_again());
    if (worker_.sessions().find(id) != nullptr) wanted_.insert(id);
  } else if (!is_exported(id)) {
    not_here(id, MoveFrame::Why::busy);
  }
}

void Departure::pass_on(io::Socket socket, const Address& client, std::size_t listener, Bytes said) {
  ++worker_.moves().connections;
  MoveFrame frame;
  frame.kind = MoveFrame::Kind::connection;
  frame.client = client;
  frame.number = static_cast<std::uint32_t>(listener);
  frame.body = said;
  const io::LooseSocket loose = channel_->loosen(std::move(socket));
  say(frame, &loose);
}

// --- nothing is left ---

void Departure::hurry() {
  hurried_ = true;
  rules_.over = Duration(0);
  if (under_way()) on_time();
}

void Departure::let_be() {
  phase_ = Phase::failed;
  timer_.cancel();
  channel_->set_events(nullptr);
}

bool Departure::all_in_hand_gone() const {
  return told_ == to_tell_.size() && waits_.empty() && leaving_.empty() && wanted_.empty() &&
         exports_.empty();
}

/// Whoever could still make a session here, or come for one, has gone or has one.
bool Departure::nobody_is_coming() {
  if (worker_.shaking() != 0) return false;
  bool coming = false;
  worker_.for_each_link([&](const Link& link) {
    if (link.session() == nullptr && link.phase() == LinkPhase::open) coming = true;
  });
  return !coming;
}

void Departure::finish(TimePoint now) {
  if (phase_ == Phase::moving) {
    if (!all_in_hand_gone() || (!hurried_ && !nobody_is_coming())) return;
    worker_.sessions().memory().for_each(
        [&](const route::SessionId& id, const session::SessionEnd& how, TimePoint until) {
          MoveFrame frame;
          frame.kind = MoveFrame::Kind::ended;
          frame.id = id;
          frame.code = how.code;
          frame.secret = how.secret;
          frame.keep = until - now;
          say(frame);
        });
    MoveFrame done;
    done.kind = MoveFrame::Kind::done;
    say(done);
    phase_ = Phase::lingering;
    worker_.world().log.info("worker " + std::to_string(worker_.number()) + ": " +
                             std::to_string(worker_.moves().out) + " sessions have moved, " +
                             std::to_string(worker_.sessions().size()) + " cannot");
  }
  // What was said last must have left before we do.
  if (phase_ == Phase::lingering && channel_->unsent() == 0 &&
      (hurried_ || worker_.sessions().size() == 0 || now >= began_ + rules_.linger)) {
    phase_ = Phase::over;
    timer_.cancel();
    if (hurried_) worker_.drain();
  }
}

}  // namespace rejoin::gateway
