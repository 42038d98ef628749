#include "upstream/echo_connection.h"

#include <utility>

#include "base/pack.h"
#include "upstream/connector.h"

namespace rejoin::upstream {

void EchoConnection::start(const Player& player) {
  const std::string greeting = connector_.echo().greeting(player.client, player.cookie);
  connector_.opened();
  const Message message{greeting, MessageKind::text};
  if (backlog_) return keep(message, false);
  events_->game_said(message);
}

void EchoConnection::say(const Message& message) {
  if (events_ == nullptr) return;
  if (backlog_) return keep(message, true);
  events_->game_took(1);
  if (events_ == nullptr) return;
  // It may have stopped reading in that moment: what it said was taken, and what comes back waits.
  if (backlog_) return keep(message, false);
  events_->game_said(message);
}

void EchoConnection::keep(const Message& message, bool said) {
  backlog_->messages.push_back({std::string(message.bytes), message.kind, said});
  backlog_->bytes += message.bytes.size();
}

void EchoConnection::set_reading(bool reading) {
  if (events_ == nullptr) return;
  if (!backlog_ && reading) return;
  if (!backlog_) backlog_ = std::make_unique<Backlog>();
  backlog_->reading = reading;
  if (reading && !backlog_->telling) tell_backlog();
}

// As long as anything waits, what is said anew stands behind it: order.
void EchoConnection::tell_backlog() {
  Backlog& backlog = *backlog_;
  backlog.telling = true;
  while (events_ != nullptr && backlog.reading && !backlog.messages.empty()) {
    Kept& first = backlog.messages.front();
    if (std::exchange(first.said, false)) {
      events_->game_took(1);
      continue;
    }
    const Kept kept = std::move(first);
    backlog.messages.pop_front();
    backlog.bytes -= kept.bytes.size();
    events_->game_said({kept.bytes, kept.kind});
  }
  backlog.telling = false;
  if (backlog.reading) backlog_.reset();
}

void EchoConnection::finish() {
  if (events_ == nullptr) return;
  std::size_t untaken = 0;
  if (backlog_) {
    for (Kept& kept : backlog_->messages) untaken += std::exchange(kept.said, false) ? 1 : 0;
  }
  if (untaken != 0) events_->game_took(untaken);
  if (events_ != nullptr) connector_.end_soon(*this, *std::exchange(events_, nullptr));
}

void EchoConnection::cancel() {
  if (std::exchange(events_, nullptr) != nullptr) connector_.ended(GameEnd::stopped);
  connector_.forget(*this);  // it may have been finishing
}

// --- to another process ---

namespace {
constexpr std::uint8_t kStateForm = 1;
}

io::Socket EchoConnection::leave(std::string& state) {
  Packer pack(state);
  pack.u8(kStateForm);
  pack.flag(backlog_ == nullptr);  // it is read
  if (backlog_) {
    for (const Kept& kept : backlog_->messages) {
      pack.u8(static_cast<std::uint8_t>(kept.kind));
      pack.flag(kept.said);
      pack.bytes(kept.bytes);
    }
  }
  events_ = nullptr;
  return {};
}

bool EchoConnection::arrive(Bytes state) {
  Unpacker in(state);
  if (in.u8() != kStateForm) return false;
  const bool reading = in.flag();
  if (!reading) backlog_ = std::make_unique<Backlog>();
  while (!in.done()) {
    const auto kind = static_cast<MessageKind>(in.u8());
    const bool said = in.flag();
    const Bytes bytes = in.bytes();
    if (!in.ok() || reading) return false;
    keep({bytes, kind}, said);
  }
  return true;
}

std::size_t EchoConnection::unsent_bytes() const { return backlog_ ? backlog_->bytes : 0; }

void EchoConnection::give_back() {
  cancel();
  connector_.give_back(*this);
}

}  // namespace rejoin::upstream
