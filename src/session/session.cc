#include "session/session.h"

#include <algorithm>
#include <cassert>

#include "base/limits.h"
#include "base/pack.h"
#include "proto/utf8.h"

namespace rejoin::session {

using proto::FrameType;
using route::TicketKind;

namespace {

/// What stands around a message on its way to a game server, at most: a WebSocket's head. And what may stand
/// before the first: a PROXY header.
constexpr std::size_t kFramingBytesMax = 16;
constexpr std::size_t kPreambleBytesMax = 1024;

}  // namespace

std::string_view to_string(Phase phase) {
  switch (phase) {
    case Phase::unconfirmed: return "unconfirmed";
    case Phase::attached: return "attached";
    case Phase::detached: return "detached";
    case Phase::ended: return "ended";
  }
  return "?";
}

Session::Session(const route::SessionId& id, TicketKind kind, const proto::SessionSecret& secret,
                 const SessionRules& rules, TimePoint now)
    : rules_(rules),
      talk_(rules.window),
      heard_(now),
      said_(now),
      kind_(kind),
      phase_(kind == TicketKind::proof ? Phase::unconfirmed : Phase::attached),
      born_(now),
      since_(now),
      resumes_paid_(now - Duration(limits::kResumeEveryMs) * limits::kResumesInARowMax),
      id_(id),
      secret_(secret) {}

// --- links come and go ---

// A bucket of kResumesInARowMax that fills by one each kResumeEveryMs, kept as the moment up to which resumes
// are paid for.
bool Session::spend_resume(TimePoint now) {
  const Duration each(limits::kResumeEveryMs);
  resumes_paid_ = std::max(resumes_paid_, now - each * limits::kResumesInARowMax);
  if (resumes_paid_ + each > now) return false;
  resumes_paid_ += each;
  return true;
}

ResumeVerdict::Kind Session::judge(const proto::Resume& resume) const {
  if (resume.epoch <= epoch_) return ResumeVerdict::Kind::epoch_used;
  return resume.received > talk_.out.sent() ? ResumeVerdict::Kind::unfit : ResumeVerdict::Kind::take;
}

ResumeVerdict Session::resume(const proto::Resume& resume, TimePoint now) {
  ResumeVerdict verdict;
  verdict.kind = judge(resume);
  if (verdict.kind == ResumeVerdict::Kind::epoch_used) return verdict;
  if (!spend_resume(now)) {
    verdict.kind = ResumeVerdict::Kind::too_fast;
    return verdict;
  }
  if (verdict.kind == ResumeVerdict::Kind::unfit) return verdict;

  epoch_ = resume.epoch;
  verdict.kind = ResumeVerdict::Kind::take;
  verdict.from = come_back(now);
  // What the client has is not what it has acknowledged: `received` says where to go on, and frees nothing.
  const std::uint64_t next = std::max(resume.received, talk_.out.acked()) + 1;
  verdict.from = talk_.out.at(next);
  verdict.resumed = {talk_.in.read(), next, talk_.out.sent()};
  return verdict;
}

SendWindow::Cursor Session::come_back(TimePoint now) {
  phase_ = Phase::attached;
  since_ = heard_ = said_ = now;
  owed_ = kNever;
  pinged_ = false;
  talk_.debt.new_link();
  return talk_.out.at(talk_.out.acked() + 1);
}

void Session::detach(TimePoint now) {
  if (phase_ != Phase::attached) return;
  phase_ = Phase::detached;
  since_ = now;
  owed_ = kNever;
  shrink();
}

// --- what the client says ---

FrameVerdict Session::on_frame(const proto::FrameView& frame, std::size_t waiting) {
  FrameVerdict verdict;
  const SendWindow::Ack ack = talk_.out.acknowledge(frame.head.ack);
  if (ack == SendWindow::Ack::beyond) {
    verdict.kind = FrameVerdict::Kind::bad;
    verdict.why = "acknowledges what was never sent";
    return verdict;
  }
  verdict.freed = ack == SendWindow::Ack::freed;
  if (phase_ == Phase::unconfirmed) phase_ = Phase::attached;
  if (frame.head.is(FrameType::data)) return on_data(frame, verdict, waiting);
  if (frame.head.is(FrameType::ack) || frame.unknown_kind()) return verdict;

  if (frame.head.is(FrameType::ping) || frame.head.is(FrameType::pong)) {
    const auto number = proto::parse_ping(frame.body);
    if (number && frame.head.is(FrameType::ping)) verdict.kind = FrameVerdict::Kind::ping;
    if (number) {
      verdict.number = *number;
      return verdict;
    }
  } else if (frame.head.is(FrameType::close)) {
    if (const auto close = proto::parse_close(frame.body)) {
      verdict.kind = FrameVerdict::Kind::close;
      verdict.code = close->code;
      verdict.why = close->reason;
      return verdict;
    }
  }
  verdict.kind = FrameVerdict::Kind::bad;
  verdict.why = "a frame that a client does not send here";
  return verdict;
}

FrameVerdict Session::on_data(const proto::FrameView& frame, FrameVerdict verdict, std::size_t waiting) {
  // Judged before it counts as read: what is refused must come again. Bytes that wait for the game server are
  // bounded by messages here, and by bytes at its connection.
  const bool too_long = kind_ == TicketKind::proof && frame.body.size() > rules_.window.bytes;
  const bool one_too_many = talk_.in.pending() >= rules_.window.messages &&
                            unwrap(frame.head.seq, talk_.in.read() + 1) == talk_.in.read() + 1;
  // With what each message's framing may take on the way to the game server: an honest client is never
  // refused.
  const bool too_much = kind_ == TicketKind::proof && talk_.in.pending() != 0 &&
                        waiting + frame.body.size() >
                            rules_.window.bytes + talk_.in.pending() * kFramingBytesMax + kPreambleBytesMax;
  if (too_long || one_too_many || too_much) {
    verdict.kind = FrameVerdict::Kind::over_limit;
    verdict.why = "more than the window";
    return verdict;
  }
  const bool text = (frame.head.flags & proto::kFlagText) != 0;
  if (text && !proto::is_utf8(frame.body)) {
    verdict.kind = FrameVerdict::Kind::bad;
    verdict.why = "text that is not UTF-8";
    return verdict;
  }
  switch (talk_.in.observe(frame.head.seq)) {
    case ReceiveCounts::Seen::duplicate: ++duplicates_; return verdict;
    case ReceiveCounts::Seen::ahead:
      verdict.kind = FrameVerdict::Kind::bad;
      verdict.why = "a message before it is missing";
      return verdict;
    case ReceiveCounts::Seen::expected: break;
  }
  verdict.kind = FrameVerdict::Kind::message;
  verdict.message = frame.body;
  verdict.text = text;
  return verdict;
}

void Session::accepted(std::size_t count, std::size_t bytes, TimePoint now) {
  talk_.in.accept(count);
  if (kind_ == TicketKind::cookie) return;  // it knows no acknowledgements
  talk_.debt.owe(bytes);
  if (owed_ == kNever) owed_ = now;
}

// --- what the client is told ---

Said Session::say(Bytes message, bool text) {
  // A plain client was told of no window: what is alone in it may be of any size.
  const bool alone = kind_ == TicketKind::cookie && talk_.out.held_messages() == 0;
  if (kind_ == TicketKind::proof && message.size() > rules_.window.bytes) return Said::too_large;
  if (!alone && !talk_.out.has_room(message.size())) return Said::full;
  talk_.out.push(message, text);
  return Said::sent;
}

void Session::stalled(TimePoint now) {
  if (stalled_ == kNever) stalled_ = now;
}

void Session::forget_taken(const SendWindow::Cursor& cursor) {
  if (kind_ == TicketKind::cookie) talk_.out.acknowledge_count(cursor.next - 1);
}

void Session::said(TimePoint now) {
  said_ = now;
  owed_ = kNever;
  talk_.debt.told(talk_.in.accepted());
}

// --- time ---

TimePoint Session::deadline() const {
  TimePoint first = kNever;
  switch (phase_) {
    case Phase::ended: return kNever;
    case Phase::unconfirmed: first = born_ + Duration(limits::kUnconfirmedS); break;
    case Phase::detached: first = since_ + rules_.grace; break;
    case Phase::attached:
      first = heard_ + rules_.dead;
      if (!pinged_) first = std::min(first, std::min(heard_, said_) + rules_.ping);
      if (owed_ != kNever) first = std::min(first, owed_ + Duration(limits::kAckDelayMs));
      break;
  }
  if (closing_ != kNever) first = std::min(first, closing_ + rules_.grace);
  if (stalled_ != kNever) {
    first = std::min(first, rules_.overflow == Overflow::pause ? stalled_ + rules_.pause_max : stalled_);
  }
  return first;
}

Due Session::on_time(TimePoint now) {
  if (phase_ == Phase::ended || now < deadline()) return Due::nothing;
  if (stalled_ != kNever && (rules_.overflow == Overflow::expire || now >= stalled_ + rules_.pause_max)) {
    return Due::overflow;
  }
  if (phase_ != Phase::attached || (closing_ != kNever && now >= closing_ + rules_.grace))
    return Due::expired;
  if (now >= heard_ + rules_.dead) return Due::silent;
  if (owed_ != kNever && now >= owed_ + Duration(limits::kAckDelayMs)) return Due::ack;
  pinged_ = true;  // one at a time: the next when something was heard, or the link is lost
  return Due::ping;
}

// --- for a store ---

namespace {

constexpr std::uint8_t kSavedForm = 1;

void put_u64(std::string& out, std::uint64_t value) {
  char bytes[8];
  store_u64(bytes, value);
  out.append(bytes, sizeof bytes);
}
void put_u32(std::string& out, std::uint32_t value) {
  char bytes[4];
  store_u32(bytes, value);
  out.append(bytes, sizeof bytes);
}

// Reads from the front; `ok` turns false, and everything after it is zero, when something is missing.
struct SavedReader {
  Bytes rest;
  bool ok = true;

  Bytes take(std::size_t count) {
    if (rest.size() < count) ok = false;
    if (!ok) return {};
    const Bytes out = rest.substr(0, count);
    rest.remove_prefix(count);
    return out;
  }
  std::uint64_t u64() {
    const Bytes at = take(8);
    return ok ? load_u64(at.data()) : 0;
  }
  std::uint32_t u32() {
    const Bytes at = take(4);
    return ok ? load_u32(at.data()) : 0;
  }
  std::uint8_t u8() {
    const Bytes at = take(1);
    return ok ? static_cast<std::uint8_t>(at[0]) : std::uint8_t{0};
  }
};

}  // namespace

void Session::save(std::string& out) const {
  out.push_back(static_cast<char>(kSavedForm));
  out.push_back(static_cast<char>(kind_));
  out.append(as_bytes(id_.bytes));
  out.append(secret_.data(), secret_.size());
  put_u32(out, epoch_);
  put_u64(out, talk_.in.read());
  put_u64(out, talk_.in.accepted());
  put_u64(out, talk_.out.acked());
  put_u32(out, static_cast<std::uint32_t>(talk_.out.held_messages()));
  for (SendWindow::Cursor cursor = talk_.out.at(talk_.out.acked() + 1); talk_.out.more(cursor);) {
    const SendWindow::Held held = talk_.out.take(cursor);
    out.push_back(held.text ? '\1' : '\0');
    put_u32(out, static_cast<std::uint32_t>(held.payload.size()));
    out.append(held.payload);
  }
}

std::optional<Session> Session::restore(Bytes saved, const SessionRules& rules, TimePoint now) {
  SavedReader in{saved};
  const std::uint8_t form = in.u8(), kind = in.u8();
  const Bytes id_bytes = in.take(16), secret_bytes = in.take(sizeof(proto::SessionSecret));
  const std::uint32_t epoch = in.u32();
  const std::uint64_t read = in.u64(), accepted = in.u64(), acked = in.u64();
  const std::uint32_t held = in.u32();
  const bool known_kind = kind == static_cast<std::uint8_t>(TicketKind::proof) ||
                          kind == static_cast<std::uint8_t>(TicketKind::cookie);
  if (!in.ok || form != kSavedForm || !known_kind || accepted > read || epoch == 0) return std::nullopt;

  route::SessionId id;
  std::copy(id_bytes.begin(), id_bytes.end(), reinterpret_cast<char*>(id.bytes.data()));
  proto::SessionSecret secret;
  std::copy(secret_bytes.begin(), secret_bytes.end(), secret.begin());
  std::optional<Session> out(std::in_place, id, static_cast<TicketKind>(kind), secret, rules, now);
  out->epoch_ = epoch;
  out->phase_ = Phase::detached;
  out->talk_.out.restart(acked);
  out->talk_.in.restart(accepted);
  for (std::uint64_t i = accepted; i < read; ++i) {
    out->talk_.in.observe(static_cast<std::uint32_t>(i + 1));
  }
  // What the rules of this gateway have no room for is kept all the same: it was promised.
  out->talk_.out.set_limits({UINT32_MAX, UINT32_MAX});
  for (std::uint32_t i = 0; i < held; ++i) {
    const bool text = in.u8() != 0;
    const Bytes payload = in.take(in.u32());
    if (!in.ok) return std::nullopt;
    out->talk_.out.push(payload, text);
  }
  out->talk_.out.set_limits(rules.window);
  if (!in.rest.empty()) return std::nullopt;
  return out;
}

// --- for the next process of this gateway ---

namespace {

constexpr std::uint8_t kWholeForm = 1;
/// A moment travels as how long ago it was, as clocks of two processes may count from different beginnings.
constexpr std::uint64_t kNeverWas = UINT64_MAX;

std::uint64_t age_of(TimePoint moment, TimePoint now) {
  if (moment == kNever) return kNeverWas;
  return static_cast<std::uint64_t>(std::max(now - moment, Duration(0)).count());
}
TimePoint moment_of(std::uint64_t age, TimePoint now) {
  if (age == kNeverWas) return kNever;
  return now - Duration(static_cast<Duration::rep>(std::min<std::uint64_t>(age, INT64_MAX / 4)));
}

}  // namespace

void Session::save_whole(std::string& out, TimePoint now) const {
  Packer pack(out);
  std::string saved;
  save(saved);
  pack.u8(kWholeForm);
  pack.bytes(saved);
  pack.flag(phase_ == Phase::unconfirmed);
  for (const TimePoint moment : {born_, since_, closing_, stalled_, resumes_paid_})
    pack.u64(age_of(moment, now));
  pack.u32(duplicates_);
}

std::optional<Session> Session::restore_whole(Bytes saved, const SessionRules& rules, TimePoint now) {
  Unpacker in(saved);
  if (in.u8() != kWholeForm) return std::nullopt;
  std::optional<Session> out = restore(in.bytes(), rules, now);
  const bool unconfirmed = in.flag();
  std::uint64_t ages[5];
  for (std::uint64_t& age : ages) age = in.u64();
  const std::uint32_t duplicates = in.u32();
  if (!out || !in.done()) return std::nullopt;
  if (unconfirmed) out->phase_ = Phase::unconfirmed;
  out->born_ = moment_of(ages[0], now);
  out->since_ = moment_of(ages[1], now);
  out->closing_ = moment_of(ages[2], now);
  out->stalled_ = moment_of(ages[3], now);
  out->resumes_paid_ = moment_of(ages[4], now);
  out->duplicates_ = duplicates;
  return out;
}

}  // namespace rejoin::session
