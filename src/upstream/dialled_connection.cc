#include "upstream/dialled_connection.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "base/limits.h"
#include "base/pack.h"
#include "upstream/connector.h"

namespace rejoin::upstream {
namespace {

Error stopped(std::string detail) { return {ErrorKind::cancelled, Side::ours, Retry::no, std::move(detail)}; }
Error timed_out(std::string detail) {
  return {ErrorKind::timed_out, Side::server, Retry::yes, std::move(detail)};
}

}  // namespace

DialledConnection::DialledConnection(Connector& connector, GameEvents& events)
    : connector_(connector),
      events_(events),
      timer_([](void* self) { static_cast<DialledConnection*>(self)->on_time(); }, this) {}

std::string DialledConnection::where() const {
  if (has_server_) return connector_.address_of(server_).text();
  const Address one = connector_.address_of({});
  // One that came from another process may be of a server that this one's configuration does not have.
  return one || !socket_ ? one.text() : socket_.peer_address().text();
}

// --- opening ---

void DialledConnection::start(const Player& player) {
  assert(phase_ == GamePhase::fresh);
  phase_ = GamePhase::dialling;
  opening_ = std::make_unique<Opening>();
  opening_->player = player;
  opening_->player.cookie.reset();  // lent until we return
  opening_->choice = connector_.choose(player);
  opening_->patience = now() + connector_.rules().connect_timeout;
  prepare(player);
  if (std::optional<Error> failed = dial()) doom(GameEnd::refused, std::move(*failed));
}

/// Begins to connect to the chosen server, or to the first behind it where that can be begun. An error: there
/// is none.
std::optional<Error> DialledConnection::dial() {
  phase_ = GamePhase::dialling;
  for (;;) {
    const std::optional<route::ServerIndex> server = opening_->choice.server;
    has_server_ = server.has_value();
    server_ = server.value_or(0);
    const Address to = connector_.address_of(server);
    if (!to) return Error{ErrorKind::unreachable, Side::server, Retry::yes, "no game server is up"};
    use_ = connector_.use(opening_->choice);
    Result<io::Socket> dialled = connector_.dial(to, server);
    if (dialled) {
      socket_ = std::move(*dialled);
      socket_.set_events(this);
      arm_step(now() + connector_.rules().connect_timeout);
      return std::nullopt;
    }
    if (dialled.error().kind == ErrorKind::exhausted && now() < opening_->patience) {
      arm_step(now() + limits::kAcceptRetryMs);  // as accepting does
      return std::nullopt;
    }
    if (dialled.error().side != Side::server || !connector_.next_server(opening_->choice, dialled.error()))
      return std::move(dialled.error());
  }
}

bool DialledConnection::connect_came_out() {
  Status open = socket_.connect_status();
  if (open) return connected();
  open.error().detail = "connect " + where() + ": " + open.error().detail;
  return attempt_failed(std::move(open.error()), true);
}

void DialledConnection::begin_shaking() {
  phase_ = GamePhase::shaking;
  arm_step(now() + connector_.rules().connect_timeout);
}

bool DialledConnection::attempt_failed(Error why, bool next) {
  socket_.reset();
  use_.end();
  opening_->request.release();
  opening_->answer.release();
  opening_->head.reset();
  if (opening_->finish_by <= now()) return end(GameEnd::stopped, std::move(why));
  if (!next || !connector_.next_server(opening_->choice, why)) return end(GameEnd::refused, std::move(why));
  if (std::optional<Error> failed = dial()) return end(GameEnd::refused, std::move(*failed));
  return true;
}

bool DialledConnection::opened(Buffer behind) {
  connector_.opened();
  socket_.keep_alive();
  const TimePoint finish_by = opening_->finish_by;
  opening_.reset();
  timer_.cancel();
  phase_ = GamePhase::open;
  if (!behind.empty()) kept_ = std::make_unique<Buffer>(std::move(behind));
  if (finish_by != kNever) part(finish_by);
  return phase_ != GamePhase::ended && move();
}

// --- messages of the player ---

void DialledConnection::say_framed(Bytes header, Bytes payload, UnsentMessages::Kind kind) {
  BufferPool& blocks = connector_.world().buffers;
  assert(phase_ != GamePhase::fresh && "start() comes first");
  const std::size_t bytes = header.size() + payload.size();
  const std::size_t had = outbox_.size() + bytes;
  unsent_.add(bytes, kind);
  if (phase_ < GamePhase::open) {
    outbox_.keep(blocks, header);
    outbox_.keep(blocks, payload);
    return;
  }
  if (corked_) {
    outbox_.put(blocks, socket_, header, payload);
  } else {
    outbox_.send(blocks, socket_, header, payload);
  }
  after_write(had);
}

void DialledConnection::put(Bytes piece) {
  BufferPool& blocks = connector_.world().buffers;
  assert(phase_ != GamePhase::fresh && "start() comes first");
  if (phase_ < GamePhase::open) return outbox_.keep(blocks, piece);
  outbox_.put(blocks, socket_, piece);
}

void DialledConnection::put_all(std::size_t bytes, UnsentMessages::Kind kind) {
  unsent_.add(bytes, kind);
  if (phase_ < GamePhase::open) return;
  const std::size_t had = outbox_.size();
  if (!corked_) (void)outbox_.flush(socket_);
  after_write(had);
}

void DialledConnection::cork(bool corked) {
  corked_ = corked;
  if (corked || outbox_.empty() || phase_ < GamePhase::open || phase_ > GamePhase::finishing) return;
  const std::size_t had = outbox_.size();
  (void)outbox_.flush(socket_);
  after_write(had);
}

/// Of `had` bytes some were written, maybe: what follows from that. Never ends the connection.
void DialledConnection::after_write(std::size_t had) {
  if (outbox_.error() != 0) {
    // What the game server said before it broke may still be there to be read: the next turn looks, and ends.
    if (!write_failed_) socket_.read_again();
    write_failed_ = true;
    if (!timer_.armed()) arm(now() + limits::kLinkStallS);
    return;
  }
  if (phase_ == GamePhase::open) {
    if (outbox_.empty()) {
      timer_.cancel();
    } else if (!timer_.armed() || outbox_.size() < had) {
      arm(now() + limits::kLinkStallS);
    }
  } else if (outbox_.empty() && !all_said_) {
    all_said_ = true;
    if (ends_first()) socket_.shutdown_write();
  }
  if (const std::size_t taken = unsent_.settle(outbox_.size()); taken != 0) events_.game_took(taken);
}

// --- messages of the game server ---

bool DialledConnection::tell(const Message& message) {
  if (phase_ == GamePhase::open) events_.game_said(message);
  return phase_ != GamePhase::ended;
}

void DialledConnection::set_reading(bool reading) {
  reading_ = reading;
  // Not at once: the caller may be in the middle of bytes that were lent to it.
  if (reading && phase_ == GamePhase::open && (kept_ || socket_.may_read())) socket_.read_again();
}

bool DialledConnection::receive() {
  for (int reads = 0; reads < limits::kReadsPerTurnMax; ++reads) {
    if (!hears() || peer_ended_) return phase_ != GamePhase::ended;
    if (kept_) {
      if (!take_kept()) return false;
      continue;
    }
    if (!socket_.may_read()) return true;
    const io::ReadResult read = socket_.read();
    switch (read.state) {
      case io::ReadResult::State::got: break;
      case io::ReadResult::State::would_block: return true;
      case io::ReadResult::State::ended: return receive_end();
      case io::ReadResult::State::failed:
        return end(GameEnd::broken, Error::from_errno(read.errnum, "read", Side::server));
    }
    MutableBytes rest = read.bytes;
    if (!take(rest)) return false;
    if (rest.empty()) continue;
    kept_ = std::make_unique<Buffer>(connector_.world().buffers.borrow());
    kept_->append({rest.data(), rest.size()});  // fits: a read lends at most one block
  }
  // More may be there, and the loop will not tell of it again: let the others have their turn first.
  if (hears() && (kept_ || socket_.may_read())) socket_.read_again();
  return phase_ != GamePhase::ended;
}

bool DialledConnection::take_kept() {
  Buffer kept = std::move(*kept_);  // ours as long as its messages are lent, whatever is called in between
  kept_.reset();
  MutableBytes rest(kept.data(), kept.size());
  if (!take(rest)) return false;
  if (rest.empty()) return true;
  kept.consume(kept.size() - rest.size());
  kept_ = std::make_unique<Buffer>(std::move(kept));
  return true;
}

bool DialledConnection::receive_end() {
  if (outbox_.error() != 0)  // it was told of the break, and the end means nothing
    return end(GameEnd::broken, Error::from_errno(outbox_.error(), "write", Side::server));
  if (phase_ == GamePhase::finishing && !outbox_.empty()) {
    peer_ended_ = true;  // it may still listen
    return true;
  }
  Error why{ErrorKind::closed, Side::server, Retry::no, {}};
  const GameEnd how = fin_means(why.detail);
  return end(how, std::move(why));
}

// --- to another process ---

namespace {
constexpr std::uint8_t kStateForm = 1;
}

bool DialledConnection::may_leave() const {
  return !connector_.rules().tls && phase_ == GamePhase::open && !corked_ && !all_said_ && !peer_ended_ &&
         !write_failed_ && outbox_.error() == 0;
}

io::Socket DialledConnection::leave(std::string& state) {
  assert(may_leave());
  Packer pack(state);
  pack.u8(kStateForm);
  pack.bytes(has_server_ ? where() : std::string());
  pack.flag(reading_);
  std::string part;
  outbox_.copy_to(part);
  pack.bytes(part);
  part.clear();
  unsent_.save(part);
  pack.bytes(part);
  pack.bytes(kept_ ? kept_->view() : Bytes());
  part.clear();
  save_reader(part);
  pack.bytes(part);
  socket_.set_events(nullptr);
  io::Socket socket = std::move(socket_);
  leave(true);
  return socket;
}

bool DialledConnection::arrive(Bytes state, io::Socket& socket) {
  assert(phase_ == GamePhase::fresh);
  BufferPool& blocks = connector_.world().buffers;
  Unpacker in(state);
  if (in.u8() != kStateForm) return false;
  const Bytes server = in.bytes();
  reading_ = in.flag();
  const Bytes unsent = in.bytes(), entries = in.bytes(), kept = in.bytes(), reader = in.bytes();
  if (!in.done() || kept.size() > blocks.block_bytes() || !unsent_.restore(entries) ||
      !restore_reader(reader))
    return false;
  if (const auto index = connector_.server_at(server)) {
    server_ = *index;
    has_server_ = true;
    use_ = connector_.use(server_);
  }
  outbox_.keep(blocks, unsent);
  if (!kept.empty()) {
    kept_ = std::make_unique<Buffer>(blocks.borrow());
    kept_->append(kept);
  }
  phase_ = GamePhase::open;
  socket_ = std::move(socket);
  socket_.set_events(this);
  socket_.read_again();  // a turn of its own: writes what waits, and sees what has come meanwhile
  if (!outbox_.empty()) arm(now() + limits::kLinkStallS);
  return true;
}

// --- turns ---

void DialledConnection::on_ready(io::Ready) {
  switch (phase_) {
    case GamePhase::dialling:
      if (socket_.may_write()) (void)connect_came_out();
      break;
    case GamePhase::shaking: (void)shake(); break;
    case GamePhase::open:
    case GamePhase::finishing: (void)move(); break;
    case GamePhase::fresh:
    case GamePhase::doomed:
    case GamePhase::ended: break;
  }
}

/// One turn of an open connection: writes, reads, and sees whether it is over.
bool DialledConnection::move() {
  if (const std::size_t had = outbox_.size(); had != 0) {
    (void)outbox_.flush(socket_);
    after_write(had);
  }
  if (phase_ == GamePhase::doomed || !receive()) return false;
  if (outbox_.error() != 0 && hears() && !socket_.may_read())
    return end(GameEnd::broken, Error::from_errno(outbox_.error(), "write", Side::server));
  if (peer_ended_ && outbox_.empty()) return end(GameEnd::stopped, stopped("finished"));
  return true;
}

void DialledConnection::on_time() {
  switch (phase_) {
    case GamePhase::dialling:
      if (!socket_ && now() < opening_->finish_by) {
        if (std::optional<Error> failed = dial()) end(GameEnd::refused, std::move(*failed));
        return;
      }
      (void)attempt_failed(timed_out("connect " + where() + ": no answer in time"), true);
      return;
    case GamePhase::shaking:
      (void)attempt_failed(timed_out("handshake with " + where() + ": no answer in time"), true);
      return;
    case GamePhase::open:
      end(GameEnd::broken, timed_out("it took nothing for " + std::to_string(limits::kLinkStallS.count()) +
                                     " s of what waits for it"));
      return;
    case GamePhase::finishing:
      end(GameEnd::stopped, stopped(outbox_.empty() ? "it did not end in answer to our end"
                                                    : "it did not take our last words in time"));
      return;
    case GamePhase::doomed: {
      const GameEnd how = opening_->how;
      end(how, std::move(*opening_->why));
      return;
    }
    case GamePhase::fresh:
    case GamePhase::ended: return;
  }
}

TimePoint DialledConnection::now() const { return connector_.world().clock.now(); }

void DialledConnection::arm(TimePoint when) { connector_.world().timers.arm(timer_, when); }

void DialledConnection::arm_step(TimePoint deadline) {
  opening_->deadline = deadline;
  arm(std::min(deadline, opening_->finish_by));
}

// --- endings ---

void DialledConnection::finish() {
  switch (phase_) {
    case GamePhase::fresh: assert(false && "finish() before start()"); return;
    case GamePhase::dialling:
    case GamePhase::shaking:
      if (unsent_.messages() == 0) return doom(GameEnd::stopped, stopped("finished before it was open"));
      opening_->finish_by = std::min(opening_->finish_by, now() + limits::kGameCloseS);
      arm_step(opening_->deadline);
      return;
    case GamePhase::open: part(now() + limits::kGameCloseS); return;
    case GamePhase::doomed: opening_->how = GameEnd::stopped; return;
    case GamePhase::finishing:
    case GamePhase::ended: return;
  }
}

void DialledConnection::part(TimePoint by) {
  phase_ = GamePhase::finishing;
  corked_ = false;
  arm(by);
  if (!all_said_) say_goodbye();
  if (phase_ != GamePhase::finishing) return;
  const std::size_t had = outbox_.size();
  (void)outbox_.flush(socket_);
  after_write(had);
  if (phase_ != GamePhase::finishing) return;
  if (kept_ || socket_.may_read()) socket_.read_again();  // it may have been paused
}

void DialledConnection::doom(GameEnd how, Error why) {
  if (phase_ == GamePhase::ended || phase_ == GamePhase::doomed) return;
  const bool finishing = finish_wanted();
  if (!opening_) opening_ = std::make_unique<Opening>();
  opening_->how = finishing ? GameEnd::stopped : how;
  opening_->why = std::move(why);
  phase_ = GamePhase::doomed;
  arm(now());
}

bool DialledConnection::end(GameEnd how, Error why) {
  if (finish_wanted()) how = GameEnd::stopped;
  // Otherwise a RST: the game server must not take what it has for the whole.
  leave(how == GameEnd::finished || (all_said_ && outbox_.empty()));
  connector_.ended(how);
  events_.game_ended(how, why);
  return false;
}

void DialledConnection::cancel() {
  if (phase_ == GamePhase::ended) return;
  leave(false);
  connector_.ended(GameEnd::stopped);
}

void DialledConnection::leave(bool orderly) {
  phase_ = GamePhase::ended;
  timer_.cancel();
  if (orderly) {
    socket_.close();
  } else {
    socket_.reset();
  }
  outbox_ = io::Outbox();
  unsent_ = UnsentMessages();
  opening_.reset();
  kept_.reset();
  use_.end();
}

}  // namespace rejoin::upstream
