#include "session/client_session.h"

#include <algorithm>
#include <cassert>
#include <limits>
#include <utility>

#include "base/limits.h"
#include "proto/utf8.h"

namespace rejoin::session {
namespace {

using proto::DetachAction;
using proto::FrameType;
using proto::FrameView;
using proto::LinkCode;

Duration of_ms(std::uint32_t ms) { return std::chrono::milliseconds(ms); }

/// A link's DETACH, CLOSE or close code, in words: the gateway's own, or the code's.
std::string words(std::uint16_t code, Bytes reason) {
  if (!reason.empty()) return std::string(reason);
  return std::string(to_string(static_cast<LinkCode>(code)));
}

std::optional<Terms> terms_of(const proto::Welcome& welcome) {
  if (welcome.window_bytes == 0 || welcome.window_messages == 0) return std::nullopt;
  Terms terms;
  terms.grace = of_ms(welcome.grace_ms);
  terms.ping = of_ms(welcome.ping_ms);
  terms.dead = of_ms(welcome.dead_ms);
  terms.spread = of_ms(welcome.spread_ms);
  terms.window.bytes = welcome.window_bytes;
  terms.window.messages = welcome.window_messages;
  for (const Bytes address : welcome.addresses) terms.addresses.emplace_back(address);
  return terms;
}

}  // namespace

// To use less than all of it is ours to choose.
WindowLimits own_window(const Terms& terms) {
  return {std::min(terms.window.bytes, limits::kClientWindowBytesMax), terms.window.messages};
}

Result<ClientSession> ClientSession::make(Bytes identity, Bytes application) {
  constexpr std::size_t kOverhead = proto::FrameHead::kBytes + 1 + 2 + 2;
  if (identity.size() + application.size() > limits::kHelloBytesMax - kOverhead) {
    return Error{ErrorKind::too_large, Side::ours, Retry::no,
                 "identity and application bytes do not fit into a HELLO of " +
                     std::to_string(limits::kHelloBytesMax) + " bytes"};
  }
  return ClientSession(identity, application);
}

// --- links ---

ClientSession::Link* ClientSession::find(LinkNumber number) {
  const auto at =
      std::find_if(links_.begin(), links_.end(), [&](const Link& link) { return link.number == number; });
  return at == links_.end() ? nullptr : &*at;
}

bool ClientSession::knows(LinkNumber link) const {
  return link == parting_ ||
         std::any_of(links_.begin(), links_.end(), [&](const Link& known) { return known.number == link; });
}

void ClientSession::drop(LinkNumber number) {
  std::erase_if(links_, [&](const Link& link) { return link.number == number; });
  if (live_ == number) live_ = 0;
  if (parting_ == number) parting_ = 0;
}

bool ClientSession::owes_resume() const {
  return (phase_ == Phase::kept || phase_ == Phase::closing) && live_ != 0 && epoch_ > live_epoch_;
}

Opening ClientSession::open(LinkNumber number) {
  assert(phase_ != Phase::ended && number != live_);
  Opening opening;
  opening.kind = phase_ == Phase::fresh ? Opening::Kind::hello : Opening::Kind::resume;
  Link* known = find(number);
  const bool reopened = known != nullptr;
  if (known == nullptr) known = &links_.emplace_back(Link{number, 0, opening.kind, false});
  if (opening.kind == Opening::Kind::hello) {
    *known = {number, 1, opening.kind, reopened};
    // Two HELLOs would be two sessions.
    std::erase_if(links_, [&](const Link& link) { return link.number != number; });
    proto::append_hello(opening.frame, {proto::kResumeVersion, identity_, application_});
    return opening;
  }
  ++epoch_;
  *known = {number, epoch_, opening.kind, reopened};
  proto::Resume resume;
  resume.ticket = ticket_;
  resume.epoch = epoch_;
  resume.received = memory_ == Memory::forgotten ? 0 : conversation_.in.read();
  proto::append_resume(opening.frame, resume, secret_);
  return opening;
}

Heard ClientSession::lost(LinkNumber number, std::uint16_t code) {
  if (find(number) == nullptr) {
    drop(number);
    return {};
  }
  drop(number);
  if (code != proto::number(LinkCode::bad_frame) || !count_bad()) return {};
  return lose(number, code, "the gateway finds bad frames, link after link");
}

Heard ClientSession::heard(LinkNumber number, Bytes bytes) {
  Link* link = find(number);
  if (link == nullptr) return {};  // an older link: what it still says was said to the newer one, too
  const std::optional<FrameView> frame = proto::parse_frame(bytes);
  if (!frame) return bad(number, "a frame of an unknown type, or no frame at all");
  if (number == live_) return take_live(*link, *frame);
  switch (static_cast<FrameType>(frame->head.type)) {
    case FrameType::welcome: return take_welcome(*link, *frame);
    case FrameType::resumed: return take_resumed(*link, *frame);
    case FrameType::detach: return take_detach(*link, *frame);
    default: break;
  }
  if (frame->unknown_kind()) return {};
  return bad(number, proto::frame_name(frame->head.type) + " on a link that is not open");
}

Heard ClientSession::take_welcome(Link& link, const FrameView& frame) {
  const std::optional<proto::Welcome> welcome = proto::parse_welcome(frame.body);
  if (!welcome) return bad(link.number, "WELCOME cannot be read");
  if (link.opened_with != Opening::Kind::hello) return bad(link.number, "WELCOME in answer to RESUME");
  if (welcome->version != proto::kResumeVersion) {
    return end(number(LinkCode::version), "the gateway speaks another version of rejoin");
  }
  constexpr std::size_t kTicketMax = limits::kResumeBytesMax - proto::FrameHead::kBytes - 2 - 4 - 8 - 32;
  if (welcome->ticket.empty() || welcome->ticket.size() > kTicketMax) {
    return bad(link.number, "WELCOME with a ticket that no RESUME can bear");
  }
  std::optional<Terms> terms = terms_of(*welcome);
  if (!terms) return bad(link.number, "WELCOME with a window for nothing");
  terms_ = std::move(*terms);
  ticket_ = std::string(welcome->ticket);
  secret_ = welcome->secret;
  epoch_ = live_epoch_ = 1;
  phase_ = Phase::kept;
  memory_ = Memory::whole;
  conversation_ = Conversation(own_window(terms_));
  cursor_ = conversation_.out.end();
  written_ = 0;
  become_live(link);
  Heard heard;
  heard.kind = Heard::Kind::opened;
  tell_room(heard);
  return heard;
}

void ClientSession::become_live(const Link& link) {
  const LinkNumber number = link.number;
  live_ = number;
  live_epoch_ = link.epoch;
  const std::uint32_t epoch = link.epoch;
  // Dials that were begun later than this one go on: of two the later one wins. What older links still say, a
  // late answer as well, is not heard.
  std::erase_if(links_, [&](const Link& other) { return other.number != number && other.epoch <= epoch; });
  conversation_.debt.new_link();
  ack_first_ = true;
  said_close_ = false;
  asked_for_room_ = false;
  ping_due_ = false;
  pong_.reset();
}

// --- RESUMED ---

Heard ClientSession::take_resumed(Link& link, const FrameView& frame) {
  const std::optional<proto::Resumed> resumed = proto::parse_resumed(frame.body);
  if (!resumed) return bad(link.number, "RESUMED cannot be read");
  if (link.opened_with != Opening::Kind::resume) return bad(link.number, "RESUMED in answer to HELLO");
  Heard heard;
  heard.kind = Heard::Kind::resumed;
  if (!take_counts(*resumed, frame.head.ack, heard)) {
    return lose(link.number, number(LinkCode::login_needed), "the gateway's counts do not fit ours");
  }
  heard.to_come = resumed->last + 1 - resumed->next;
  heard.sent_again = written_ > resumed->received ? written_ - resumed->received : 0;
  cursor_ = conversation_.out.at(std::max(resumed->received, conversation_.out.acked()) + 1);
  become_live(link);
  ++counts_.resumes;
  tell_room(heard);
  if (wanted_) want_room(*wanted_);
  return heard;
}

/// False: they are not of one session. Sets heard.whole.
bool ClientSession::take_counts(const proto::Resumed& resumed, std::uint32_t ack, Heard& heard) {
  SendWindow& out = conversation_.out;
  ReceiveCounts& in = conversation_.in;
  if (resumed.next == 0 || resumed.last + 1 < resumed.next) return false;
  const bool knows_ours = resumed.received >= out.acked() && resumed.received <= out.sent();
  const bool knows_theirs = resumed.next <= in.read() + 1;
  if (memory_ == Memory::forgotten || (memory_ == Memory::doubtful && !(knows_ours && knows_theirs))) {
    if (memory_ == Memory::doubtful && resumed.received < out.acked()) return false;
    // What we do not remember to have sent was sent; what we do not remember to have got was acknowledged,
    // and will not come again.
    if (memory_ == Memory::forgotten || resumed.received > out.sent()) {
      out.restart(resumed.received);
      forgotten_until_ = resumed.received;
    }
    if (memory_ == Memory::forgotten || !knows_theirs) {
      in.restart(resumed.next - 1);
      conversation_.debt = AckDebt(in.read());
    }
    written_ = std::min(written_, out.sent());
    heard.whole = false;
  } else if (!(knows_ours && knows_theirs)) {
    return false;
  }
  const std::uint64_t acked = unwrap(ack, std::max(out.acked(), forgotten_until_));
  if (acked > resumed.received) return false;  // accepted and not received: that cannot be
  (void)out.acknowledge_count(acked);
  if (acked >= forgotten_until_) forgotten_until_ = 0;
  memory_ = Memory::whole;
  return true;
}

// --- DETACH ---

Heard ClientSession::take_detach(Link& link, const FrameView& frame) {
  const std::optional<proto::Detach> detach = proto::parse_detach(frame.body);
  if (!detach) return bad(link.number, "DETACH cannot be read");
  const bool beside = live_ != 0 && live_ != link.number;
  if (detach->code == number(LinkCode::bad_frame) && count_bad() && !beside) {
    return lose(link.number, detach->code, "the gateway finds bad frames, link after link");
  }
  switch (detach->action) {
    case DetachAction::login: return take_login(link, *detach);
    case DetachAction::stop: return take_stop(link, *detach);
    case DetachAction::again: break;
    case DetachAction::move: break;
  }
  Heard heard;
  heard.code = detach->code;
  heard.wait = of_ms(detach->wait_ms);
  heard.address = std::string(detach->address);
  heard.reason = words(detach->code, detach->reason);
  if (detach->action == DetachAction::move && link.number == live_) {
    heard.kind = Heard::Kind::move;
    return heard;
  }
  heard.kind = Heard::Kind::sent_away;
  if (phase_ != Phase::fresh) epoch_ = std::max(epoch_, detach->epoch);  // 4412: count on from there
  const bool at_once = detach->action == DetachAction::again && detach->wait_ms == 0 &&
                       detach->address.empty() && detach->code != number(LinkCode::bad_frame);
  part_with(link, at_once, heard);
  return heard;
}

/// The link is over, or takes one more opening frame.
void ClientSession::part_with(const Link& link, bool may_reopen, Heard& heard) {
  heard.reopen = may_reopen && !link.reopened;
  if (live_ == link.number) live_ = 0;
  if (!heard.reopen) drop(link.number);
}

Heard ClientSession::take_login(Link& link, const proto::Detach& detach) {
  if (live_ != 0 && live_ != link.number) {  // the session lives, on another link: this dial went astray
    Heard heard;
    heard.kind = Heard::Kind::sent_away;
    heard.code = detach.code;
    heard.reason = words(detach.code, detach.reason);
    drop(link.number);
    return heard;
  }
  if (phase_ == Phase::closing) return end(close_code_, close_reason_);
  // Who we are was refused, or the session has ended while we were away and we are told how.
  if (phase_ == Phase::fresh || detach.code != number(LinkCode::login_needed)) {
    return end(detach.code, words(detach.code, detach.reason));
  }
  Heard heard;
  heard.kind = Heard::Kind::lost;
  heard.code = detach.code;
  heard.reason = words(detach.code, detach.reason);
  const Link kept = link;
  part_with(kept, true, heard);
  forget_session();
  if (heard.reopen) links_.push_back(kept);
  return heard;
}

Heard ClientSession::take_stop(Link& link, const proto::Detach& detach) {
  if (detach.code == number(LinkCode::replaced) && detach.epoch <= epoch_) {  // by a dial of our own
    drop(link.number);
    return {};
  }
  return end(detach.code, words(detach.code, detach.reason));
}

// --- the live link ---

Heard ClientSession::take_live(Link& link, const FrameView& frame) {
  Heard heard;
  // A gateway that sends us away may not know the session any more, and RESUMED says it again.
  if (frame.head.is(FrameType::detach)) return take_detach(link, frame);
  if (!take_ack(frame.head.ack, heard)) return bad(link.number, "an acknowledgement of what was never sent");
  switch (static_cast<FrameType>(frame.head.type)) {
    case FrameType::data: {
      Heard data = take_data(link, frame);
      data.room = heard.room;
      return data;
    }
    case FrameType::ack: return heard;
    case FrameType::ping:
    case FrameType::pong: {
      const std::optional<std::uint64_t> value = proto::parse_ping(frame.body);
      if (!value) return bad(link.number, "PING or PONG without a number");
      if (frame.head.is(FrameType::ping)) {
        pong_ = *value;
        return heard;
      }
      heard.kind = Heard::Kind::pong;
      heard.number = *value;
      return heard;
    }
    case FrameType::ticket: {
      const std::optional<Bytes> ticket = proto::parse_ticket(frame.body);
      if (!ticket || ticket->empty()) return bad(link.number, "TICKET cannot be read");
      ticket_ = std::string(*ticket);
      heard.kind = Heard::Kind::renewed;
      return heard;
    }
    case FrameType::close: return take_close(link, frame);
    default: break;
  }
  if (frame.unknown_kind()) return heard;
  return bad(link.number, proto::frame_name(frame.head.type) + " on an open link");
}

bool ClientSession::take_ack(std::uint32_t wire, Heard& heard) {
  const SendWindow::Ack ack = conversation_.out.acknowledge(wire);
  const bool settled = forgotten_until_ != 0 && unwrap(wire, forgotten_until_) >= forgotten_until_;
  if (settled) forgotten_until_ = 0;
  if (ack == SendWindow::Ack::freed || settled) {
    bad_in_a_row_ = 0;
    tell_room(heard);
  }
  return ack != SendWindow::Ack::beyond;
}

Heard ClientSession::take_data(Link& link, const FrameView& frame) {
  Heard heard;
  ReceiveCounts& in = conversation_.in;
  // Judged before it counts as read: what is bad has not come.
  heard.text = (frame.head.flags & proto::kFlagText) != 0;
  const bool is_new = unwrap(frame.head.seq, in.read() + 1) == in.read() + 1;
  if (is_new && heard.text && !proto::is_utf8(frame.body)) return bad(link.number, "text that is not UTF-8");
  if (is_new && frame.body.size() > terms_.window.bytes) {
    return bad(link.number, "a message that is larger than the window", LinkCode::over_limit);
  }
  switch (in.observe(frame.head.seq)) {
    case ReceiveCounts::Seen::ahead: return bad(link.number, "DATA out of order: some is missing before it");
    case ReceiveCounts::Seen::duplicate: ++counts_.duplicates; return heard;
    case ReceiveCounts::Seen::expected: break;
  }
  bad_in_a_row_ = 0;
  ++counts_.received;
  heard.kind = Heard::Kind::message;
  heard.bytes = frame.body;
  return heard;
}

void ClientSession::accepted(std::size_t bytes) {
  if (conversation_.in.pending() == 0) return;  // the application ended the session in its own call
  conversation_.in.accept();
  conversation_.debt.owe(bytes);
}

Heard ClientSession::take_close(Link& link, const FrameView& frame) {
  const std::optional<proto::Close> close = proto::parse_close(frame.body);
  if (!close) return bad(link.number, "CLOSE cannot be read");
  const bool answer_owed = !said_close_;
  const LinkNumber number = link.number;
  Heard heard = phase_ == Phase::closing ? end(close_code_, close_reason_)
                                         : end(close->code, words(close->code, close->reason));
  if (answer_owed) {
    parting_ = number;
    close_code_ = close->code;
    close_reason_.clear();
  }
  return heard;
}

// --- how it goes wrong ---

/// True when it was one too many.
bool ClientSession::count_bad() {
  ++counts_.bad_frames;
  return ++bad_in_a_row_ >= limits::kBadFramesMax;
}

Heard ClientSession::bad(LinkNumber link, std::string_view why, LinkCode code) {
  const bool beside = live_ != 0 && live_ != link;
  drop(link);
  if (count_bad() && !beside) return lose(link, number(code), why);
  Heard heard;
  heard.kind = Heard::Kind::bad_frame;
  heard.code = number(code);
  heard.reason = std::string(why);
  return heard;
}

/// The session cannot be gone on with: all links go, and a HELLO is next.
Heard ClientSession::lose(LinkNumber link, std::uint16_t code, std::string_view why) {
  drop(link);
  if (phase_ == Phase::closing) return end(close_code_, close_reason_);
  Heard heard;
  heard.kind = phase_ == Phase::fresh ? Heard::Kind::sent_away : Heard::Kind::lost;
  heard.code = code;
  heard.reason = std::string(why);
  forget_session();
  return heard;
}

void ClientSession::forget_session() {
  links_.clear();
  live_ = parting_ = 0;
  live_epoch_ = epoch_ = 0;
  bad_in_a_row_ = 0;
  ticket_.clear();
  secret_.fill(0);
  conversation_ = Conversation(WindowLimits{});
  written_ = forgotten_until_ = 0;
  memory_ = Memory::whole;
  phase_ = Phase::fresh;
  ack_first_ = ack_now_ = ping_due_ = asked_for_room_ = said_close_ = false;
  pong_.reset();
}

Heard ClientSession::end(std::uint16_t code, std::string_view why) {
  Heard heard;
  heard.kind = Heard::Kind::ended;
  heard.code = code;
  heard.reason = std::string(why);
  abandon();
  return heard;
}

void ClientSession::abandon() {
  forget_session();
  wanted_.reset();
  phase_ = Phase::ended;
}

void ClientSession::close(std::uint16_t code, Bytes reason) {
  if (phase_ == Phase::closing || phase_ == Phase::ended) return;
  if (phase_ == Phase::fresh) {
    abandon();
    return;
  }
  phase_ = Phase::closing;
  close_code_ = code;
  close_reason_ = std::string(reason);
  wanted_.reset();
}

// --- messages ---

bool ClientSession::has_room(std::size_t bytes) const {
  return phase_ == Phase::kept && certain() && forgotten_until_ == 0 && conversation_.out.has_room(bytes);
}

ClientSession::Sent ClientSession::send(Bytes payload, bool text) {
  if (phase_ == Phase::closing || phase_ == Phase::ended) return Sent::ended;
  if (text && !proto::is_utf8(payload)) return Sent::not_text;
  // Before WELCOME nobody knows how large the window is.
  if (phase_ == Phase::kept && payload.size() > own_window(terms_).bytes) return Sent::too_large;
  if (!has_room(payload.size())) {
    want_room(payload.size());
    return Sent::no_room;
  }
  conversation_.out.push(payload, text);
  ++counts_.sent;
  return Sent::taken;
}

void ClientSession::want_room(std::size_t bytes) {
  if (phase_ == Phase::closing || phase_ == Phase::ended) return;
  wanted_ = std::min(wanted_.value_or(bytes), bytes);
  if (live_ == 0 || has_room(*wanted_) || std::exchange(asked_for_room_, true)) return;
  const bool for_liveness = ping_due_;
  (void)ping();
  ping_waits_ = !for_liveness;  // behind what has room: so its PONG bears more
}

void ClientSession::tell_room(Heard& heard) {
  if (!wanted_ || !has_room(std::min<std::size_t>(*wanted_, own_window(terms_).bytes))) return;
  wanted_.reset();
  asked_for_room_ = false;
  heard.room = true;
}

std::uint64_t ClientSession::ping() {
  ping_due_ = true;
  ping_waits_ = false;
  return ++ping_number_;
}

bool ClientSession::next_frame(LinkNumber link, std::string& frame) {
  frame.clear();
  if (link == 0) return false;
  if (link == parting_) {
    proto::append_close(frame, {close_code_, close_reason_}, 0);
    parting_ = 0;
    return true;
  }
  if (link != live_) return false;
  SendWindow& out = conversation_.out;
  const std::uint64_t ack = conversation_.in.accepted();
  if (std::exchange(ack_first_, false)) {
    proto::append_ack(frame, ack);
  } else if (pong_) {
    proto::append_ping(frame, FrameType::pong, *pong_, ack);
    pong_.reset();
  } else if (ping_due_ && !(ping_waits_ && out.more(cursor_))) {
    ping_due_ = false;
    proto::append_ping(frame, FrameType::ping, ping_number_, ack);
  } else if (out.more(cursor_)) {
    const SendWindow::Held held = out.take(cursor_);
    if (held.seq <= written_) ++counts_.sent_again;
    written_ = std::max(written_, held.seq);
    proto::append_data(frame, held.text, held.seq, ack, held.payload);
  } else if (phase_ == Phase::closing && certain() && !said_close_) {
    said_close_ = true;
    proto::append_close(frame, {close_code_, close_reason_}, ack);
  } else if (ack_now_ || conversation_.ack_due() == AckDebt::Due::now) {
    ack_now_ = false;
    if (conversation_.ack_due() == AckDebt::Due::nothing) return false;
    proto::append_ack(frame, ack);
  } else {
    return false;
  }
  ack_now_ = false;
  conversation_.debt.told(ack);
  return true;
}

}  // namespace rejoin::session
