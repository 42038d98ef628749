#include "apps/gateway/arrivals.h"

#include <utility>
#include <vector>

#include "apps/gateway/session_parcel.h"
#include "apps/gateway/worker.h"

namespace rejoin::gateway {

using session::Known;

Arrivals::Asking::Asking(Worker& worker, const route::SessionId& of)
    : id(of), waiter(worker.world().ready, worker.world().timers, worker.stop_switch()) {}

Arrivals::Arrivals(Worker& worker, std::unique_ptr<io::PassChannel> channel)
    : worker_(worker), channel_(std::move(channel)) {}

Arrivals::~Arrivals() = default;

void Arrivals::ready() {
  channel_->set_events(this);
  MoveFrame up;
  up.kind = MoveFrame::Kind::ready;
  say(up);
}

void Arrivals::say(const MoveFrame& frame) { channel_->send(frame.bytes()); }

// --- session::SessionStore ---

Task<Status> Arrivals::begin(route::SessionId id) {
  Status begun = co_await worker_.sessions().memory().begin(id);
  co_return begun;
}

Task<Status> Arrivals::save(route::SessionId id, std::string saved) {
  Status done = co_await worker_.sessions().memory().save(id, std::move(saved));
  co_return done;
}

void Arrivals::end(const route::SessionId& id, const session::SessionEnd& how, Duration keep) {
  worker_.sessions().memory().end(id, how, keep);
}

Task<Result<Known>> Arrivals::find(route::SessionId id, session::Claim claim) {
  Known known = worker_.sessions().memory().look(id);
  if (!coming_ || known.state != Known::State::unknown) co_return known;
  Asking asking(worker_, id);
  asking_.push_back(&asking);
  MoveFrame want;
  want.kind = MoveFrame::Kind::want;
  want.id = id;
  want.number = claim.epoch;
  want.body = claim.resume;
  say(want);
  const TimePoint deadline = worker_.world().clock.now() + Duration(kMoveAskS);
  while (!asking.answer) {
    const Woken woken = co_await asking.waiter.until(deadline);
    if (woken != Woken::ready) break;
  }
  asking_.remove(&asking);
  if (!asking.answer) {
    co_return Error{ErrorKind::timed_out, Side::ours, Retry::yes,
                    "the process before this one does not answer"};
  }
  co_return std::move(*asking.answer);
}

void Arrivals::answer(const route::SessionId& id, const Result<Known>& known) {
  for (Asking* const asking : asking_) {
    if (asking->id != id || asking->answer) continue;
    if (known) {
      asking->answer.emplace(*known);
    } else {
      asking->answer.emplace(known.error());
    }
    asking->waiter.wake();
  }
}

// --- what the other process says ---

void Arrivals::on_passed(Bytes message, io::LooseSocket with) {
  const std::optional<MoveFrame> frame = MoveFrame::read(message);
  if (!frame) {
    worker_.world().log.error("the process before this one said what cannot be read");
    return;
  }
  switch (frame->kind) {
    case MoveFrame::Kind::offer: return on_offer(*frame, std::move(with));
    case MoveFrame::Kind::yours: {
      const auto at = offers_.find(frame->serial);
      if (at == offers_.end()) return;
      Offer offer = std::move(at->second);
      offers_.erase(at);
      return go_on(offer);
    }
    case MoveFrame::Kind::revoke: offers_.erase(frame->serial); return;
    case MoveFrame::Kind::not_here: return on_not_here(*frame);
    case MoveFrame::Kind::ended: {
      session::SessionEnd how;
      how.secret = frame->secret;
      how.code = frame->code;
      return worker_.sessions().memory().end(frame->id, how, frame->keep);
    }
    case MoveFrame::Kind::connection:
      if (with)
        worker_.serve_passed(channel_->fasten(std::move(with)), frame->client, frame->number, frame->body);
      return;
    case MoveFrame::Kind::done: return nothing_more_comes();
    case MoveFrame::Kind::ready:
    case MoveFrame::Kind::want:
    case MoveFrame::Kind::take:
    case MoveFrame::Kind::refuse: return;
  }
}

// The other process is dead, or has ended well. What it had offered and not taken back is nobody else's.
void Arrivals::on_channel_end() {
  std::map<std::uint32_t, Offer> left;
  left.swap(offers_);
  for (auto& [serial, offer] : left) go_on(offer);
  nothing_more_comes();
}

void Arrivals::nothing_more_comes() {
  if (!coming_) return;
  coming_ = false;
  std::vector<route::SessionId> ids;
  for (const Asking* const asking : asking_) ids.push_back(asking->id);
  for (const route::SessionId& id : ids) answer(id, worker_.sessions().memory().look(id));
  if (worker_.moves().in != 0 || worker_.moves().failed != 0)
    worker_.world().log.info("worker " + std::to_string(worker_.number()) + ": " +
                             std::to_string(worker_.moves().in) +
                             " sessions came from the process before this one");
}

void Arrivals::on_offer(const MoveFrame& frame, io::LooseSocket with) {
  MoveFrame reply;
  reply.id = frame.id;
  reply.serial = frame.serial;
  const std::string against = what_is_against(frame);
  reply.kind = against.empty() ? MoveFrame::Kind::take : MoveFrame::Kind::refuse;
  reply.body = against;
  const bool lacks = frame.number != 0 && !with;  // its socket: no descriptor was left for it
  if (lacks) {
    reply.kind = MoveFrame::Kind::refuse;
    reply.why = MoveFrame::Why::busy;
    reply.body = "no descriptor is left for its game server's connection";
    return say(reply);
  }
  if (against.empty()) offers_[frame.serial] = {frame.id, std::string(frame.body), std::move(with)};
  say(reply);
}

/// Empty: nothing.
std::string Arrivals::what_is_against(const MoveFrame& frame) {
  const auto parcel =
      SessionParcel::read(frame.body, worker_.sessions().rules(), worker_.world().clock.now());
  if (!parcel) return parcel.error().detail;
  if (!parcel->game.empty() && !worker_.games().fits(parcel->game, parcel->has_socket))
    return "its game server's connection is of another kind than [gateway] upstream";
  if (worker_.sessions().find(frame.id) != nullptr) return "it is here already";
  if (worker_.draining()) return "this process is ending";
  return {};
}

void Arrivals::go_on(Offer& offer) {
  io::Socket socket;
  if (offer.socket) socket = channel_->fasten(std::move(offer.socket));
  const Result<LiveSession*> arrived = worker_.sessions().arrive(offer.parcel, socket);
  if (arrived) {
    ++worker_.moves().in;
    if (worker_.draining()) (*arrived)->end(proto::LinkCode::restart, "this process is ending, too");
  } else {
    ++worker_.moves().failed;
    worker_.world().log.error("session " + offer.id.text() + " cannot go on here: " + arrived.error().detail);
  }
  answer(offer.id, Known());
}

void Arrivals::on_not_here(const MoveFrame& frame) {
  Known known = worker_.sessions().memory().look(frame.id);
  switch (frame.why) {
    case MoveFrame::Why::unknown:
    case MoveFrame::Why::lives: break;
    case MoveFrame::Why::ended:
      known.state = Known::State::ended;
      known.end.secret = frame.secret;
      known.end.code = frame.code;
      break;
    case MoveFrame::Why::not_proved: known.state = Known::State::not_proved; break;
    case MoveFrame::Why::epoch_used:
      known.state = Known::State::epoch_used;
      known.epoch = frame.number;
      break;
    case MoveFrame::Why::busy:
      return answer(frame.id, Error{ErrorKind::timed_out, Side::ours, Retry::yes, "it cannot come now"});
  }
  answer(frame.id, known);
}

}  // namespace rejoin::gateway
