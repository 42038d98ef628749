#include "apps/gateway/link.h"

#include <algorithm>
#include <cassert>
#include <limits>

#include "apps/gateway/live_session.h"
#include "apps/gateway/opening.h"
#include "apps/gateway/worker.h"
#include "base/limits.h"

namespace rejoin::gateway {

LinkWatch::LinkWatch(Link& watched) : link(&watched) {
  assert(watched.watch() == nullptr);
  watched.set_watch(this);
}
LinkWatch::~LinkWatch() {
  if (link != nullptr) link->set_watch(nullptr);
}

Link::Link(Worker& worker, io::Socket socket, const Address& client, LinkMode mode)
    : opened_(worker.world().clock.now()),
      client_(client),
      timer_([](void* self) { static_cast<Link*>(self)->on_time(); }, this),
      worker_(worker),
      socket_(std::move(socket)),
      mode_(mode) {}

Link::~Link() {
  if (watch_ != nullptr) watch_->link = nullptr;
  if (flushing_) worker_.no_flush(flush_ticket_);
}

void Link::start(MutableBytes arrived) {
  socket_.set_events(this);
  if (session_ == nullptr && phase_ == LinkPhase::open) arm(limits::kOpeningFrameS);
  if (!arrived.empty()) {
    receiving_ = true;
    take(arrived);
    receiving_ = false;
  }
  if (!flush()) return;
  (void)receive();
}

void Link::attach(LiveSession& session, const session::SendWindow::Cursor& from, LinkMode mode) {
  session_ = &session;
  next_ = from;
  if (notes_) notes_->got(session.state(), from, session.links_count() > 1);
  mode_ = mode;
  bound_messages(mode);
  disarm();
  more();
}

void Link::forget_session() {
  if (notes_ && session_ != nullptr) notes_->lost(session_->state(), next_);
  session_ = nullptr;
}

void Link::more() {
  if (receiving_ || flushing_) return;
  flushing_ = true;
  flush_ticket_ = worker_.flush_soon(*this);
}

void Link::tell(Bytes frame) {
  put_message(upstream::MessageKind::binary, frame, {});
  more();
}

// --- what comes in ---

void Link::on_ready(io::Ready ready) {
  if (ready.writable && !outbox_.empty()) {
    if (!flush()) return;
  }
  if (ready.readable) (void)receive();
}

bool Link::receive() {
  for (int reads = 0; reads < limits::kReadsPerTurnMax; ++reads) {
    if (paused_ || client_ended_ || !socket_.may_read()) return true;
    const io::ReadResult read = socket_.read();
    switch (read.state) {
      case io::ReadResult::State::got: break;
      case io::ReadResult::State::would_block: return true;
      case io::ReadResult::State::ended: return receive_end();
      case io::ReadResult::State::failed:
        end(phase_ == LinkPhase::parting ? why_ : LinkEnd::broken);
        return false;
    }
    if (phase_ != LinkPhase::parting) {
      receiving_ = true;
      if (session_ != nullptr) session_->heard();
      take(read.bytes);
      receiving_ = false;
    } else {
      ignored_ += static_cast<std::uint32_t>(read.bytes.size());
      if (ignored_ > limits::kLingerBytesMax) {
        end(why_);
        return false;
      }
    }
    if (!flush()) return false;
  }
  // More may be there, and the loop will not tell of it again: let the others have their turn first.
  if (socket_.may_read()) socket_.read_again();
  return true;
}

bool Link::receive_end() {
  client_ended_ = true;
  if (phase_ != LinkPhase::parting && !take_end()) return false;
  return flush();
}

void Link::on_message(const upstream::Message& message) {
  if (phase_ != LinkPhase::open) return;
  ++worker_.counts().messages;
  switch (mode_) {
    case LinkMode::plain: session_->on_plain(message); return;
    case LinkMode::framed:
    case LinkMode::opening:
    case LinkMode::waiting: break;
    case LinkMode::undecided:
      if (!begins_with_opening_frame(message.bytes)) {
        worker_.open_plain(*this);
        if (session_ != nullptr) session_->on_plain(message);
        return;
      }
      mode_ = LinkMode::opening;
      break;
  }
  if (message.kind == upstream::MessageKind::text && websocket()) {
    worker_.bad_frame(*this, "frames travel in binary messages");
  } else if (mode_ == LinkMode::framed) {
    session_->on_frame(message.bytes);
  } else if (mode_ == LinkMode::opening) {
    on_opening(message.bytes);
  } else {
    worker_.bad_frame(*this, "more was sent before the opening frame was answered");
  }
}

void Link::on_opening(Bytes frame) {
  ++openings_;
  mode_ = LinkMode::waiting;
  open_session(worker_, *this, frame);
}

// A plain client that takes nothing, or whose game server takes nothing, is not read. A client of the resume
// protocol always is: its window bounds what can come, and unread acknowledgements would be a deadlock.
void Link::judge_reading() {
  if (phase_ != LinkPhase::open) return;
  if (session_ == nullptr) {
    if (outbox_.size() > limits::kLinkUnsentHighBytes) worker_.too_much(*this, "pings, and nothing is read");
    return;
  }
  if (mode_ == LinkMode::framed) {
    if (outbox_.size() <= limits::kLinkUnsentHighBytes + worker_.rules().session.window_bytes) return;
    worker_.too_much(*this, "signs of life are asked for and not read");
    return;
  }
  const std::size_t most = std::max(outbox_.size(), session_->unsent_to_game());
  if (!paused_ && most > limits::kLinkUnsentHighBytes) {
    paused_ = true;
    ++worker_.counts().pauses;
  } else if (paused_ && most <= limits::kLinkUnsentHighBytes / 2) {
    paused_ = false;
    socket_.read_again();  // what was not read meanwhile is not told of again
  }
}

void Link::read_on() {
  if (mode_ == LinkMode::plain) judge_reading();  // only plain clients are ever paused
}

// --- what goes out ---

// From the session's window into the outbox, until that has `outbox_max` bytes: what waits in the window
// costs nothing twice. True when something was put.
bool Link::fetch(std::size_t outbox_max) {
  if (session_ == nullptr || phase_ != LinkPhase::open) return false;
  const session::Session& state = session_->state();
  const session::SendWindow& window = state.window();
  const bool framed = mode_ == LinkMode::framed;
  bool any = false;
  while (outbox_.size() < outbox_max && window.more(next_)) {
    const session::SendWindow::Held held = window.take(next_);
    if (framed) {
      const proto::FrameHeadBytes head = proto::data_head(held.text, held.seq, state.ack());
      put_message(upstream::MessageKind::binary, Bytes(head.data(), head.size()), held.payload);
    } else {
      put_message(held.text ? upstream::MessageKind::text : upstream::MessageKind::binary, {}, held.payload);
    }
    any = true;
  }
  if (any) session_->sent(next_);
  if (!any && framed && state.ack_due_now()) {
    session_->tell_ack();
    any = true;
  }
  if (session_ != nullptr && !window.more(next_) && session_->closing() && !said_close_) {
    said_close_ = true;
    session_->tell_close(*this);
    any = true;
  }
  return any;
}

void Link::fetch_all() {
  while (fetch(std::numeric_limits<std::size_t>::max())) {
  }
}

void Link::fetch_last() {
  if (session_ != nullptr && session_->lasting() == Lasting::ends_with_link) fetch_all();
}

// All that one turn says leaves here, in one call to the kernel.
bool Link::flush() {
  for (bool more_to_come = true; more_to_come;) {
    receiving_ = true;  // what is said while it fetches is fetched at once
    (void)fetch(limits::kLinkFetchBytes);
    receiving_ = false;
    const std::size_t before = outbox_.size();
    if (outbox_.flush(socket_) != 0) {
      end(phase_ == LinkPhase::parting ? why_ : LinkEnd::broken);
      return false;
    }
    if (phase_ == LinkPhase::open) watch_progress(before);
    if (phase_ == LinkPhase::closing && outbox_.size() < before) arm(limits::kCloseReplyS);
    more_to_come = outbox_.empty() && phase_ == LinkPhase::open && session_ != nullptr &&
                   session_->state().window().more(next_);
  }
  if (phase_ == LinkPhase::open) {
    if (session_ != nullptr) session_->turn_ended();
    judge_reading();
    return true;
  }
  if (!outbox_.empty() || phase_ == LinkPhase::closing) return true;
  if (client_ended_) {
    end(why_);
    return false;
  }
  if (!said_fin_) {
    // Closing over bytes that we have not read would send a RST, which throws away our last word before it is
    // read.
    said_fin_ = true;
    socket_.shutdown_write();
    arm(limits::kLingerMs);
  }
  return true;
}

void Link::watch_progress(std::size_t before) {
  if (session_ == nullptr) return;  // the timer bounds its opening
  if (outbox_.empty()) {
    disarm();
  } else if (!timed_ || outbox_.size() < before) {
    arm(limits::kLinkStallS);
  }
}

// --- how it ends ---

void Link::refuse_opening(const proto::Detach& detach) {
  if (phase_ != LinkPhase::open) return;
  std::string frame;
  proto::append_detach(frame, detach, 0);
  const bool at_once =
      detach.action == proto::DetachAction::again && detach.wait_ms == 0 && detach.address.empty();
  if ((at_once || detach.action == proto::DetachAction::login) && openings_ < limits::kOpeningsPerLink) {
    tell(frame);
    mode_ = LinkMode::opening;
    arm(limits::kOpeningFrameS);
    return;
  }
  tell(frame);
  note_told(detach.code, detach.reason);
  say_goodbye(detach.code, detach.reason, LinkEnd::refused);
}

void Link::dismiss(const proto::Detach& detach, LinkEnd why) {
  if (phase_ != LinkPhase::open) {
    forget_session();  // it parts already, and the session may be gone before it has
    return;
  }
  const std::uint64_t ack = session_ != nullptr ? session_->state().ack() : 0;
  if (mode_ != LinkMode::plain && mode_ != LinkMode::undecided) {
    std::string frame;
    proto::append_detach(frame, detach, ack);
    tell(frame);
  }
  forget_session();
  note_told(detach.code, detach.reason);
  say_goodbye(detach.code, detach.reason, why);
  more();
}

void Link::close_session(std::uint16_t code, Bytes reason, Side by) {
  if (phase_ != LinkPhase::open) return forget_session();
  if (mode_ == LinkMode::framed && !said_close_) {
    said_close_ = true;
    std::string frame;
    proto::append_close(frame, {code, reason}, session_ != nullptr ? session_->state().ack() : 0);
    tell(frame);
  }
  forget_session();
  if (notes_) notes_->told(code, reason, by);
  say_goodbye(code, reason, LinkEnd::dismissed);
  more();
}

void Link::cancel(LinkEnd why) { end(why); }

io::Socket Link::give_away() {
  disarm();
  socket_.set_events(nullptr);
  io::Socket socket = std::move(socket_);
  give_back(LinkEnd::moved);
  return socket;
}

void Link::refuse_long_frame(Bytes why) {
  if (mode_ == LinkMode::framed) {
    worker_.too_much(*this, why);
  } else {
    worker_.bad_frame(*this, why);
  }
}

void Link::await_close_frame(LinkEnd why) {
  phase_ = LinkPhase::closing;
  why_ = why;
  paused_ = false;  // nothing that is read makes us say more
  arm(limits::kCloseReplyS);
}

void Link::part(LinkEnd why) {
  phase_ = LinkPhase::parting;
  why_ = why;
  paused_ = false;
  arm(limits::kCloseReplyS);
}

void Link::on_time() {
  timed_ = false;
  if (phase_ != LinkPhase::open) {
    end(why_);
  } else if (session_ != nullptr) {
    end(LinkEnd::stalled);
  } else {
    worker_.opening_late(*this);
    (void)flush();
  }
}

void Link::arm(Duration time) {
  timed_ = true;
  worker_.world().timers.arm(timer_, worker_.world().clock.now() + time);
}

void Link::disarm() {
  if (timed_) timer_.cancel();
  timed_ = false;
}

BufferPool& Link::blocks() { return worker_.world().buffers; }

void Link::end(LinkEnd how) {
  disarm();
  const bool orderly = outbox_.empty() && how != LinkEnd::broken && how != LinkEnd::cancelled &&
                       how != LinkEnd::stalled && how != LinkEnd::silent;
  if (orderly) {
    socket_.close();
  } else {
    socket_.reset();
  }
  give_back(how);
}

bool begins_with_opening_frame(Bytes message) {
  const auto frame = proto::parse_frame(message);
  if (!frame || frame->head.seq != 0 || frame->head.ack != 0) return false;
  if (frame->head.is(proto::FrameType::resume)) return proto::parse_resume(message).has_value();
  return frame->head.is(proto::FrameType::hello) && proto::parse_hello(frame->body).has_value();
}

}  // namespace rejoin::gateway
