#include "tests/sim/session_player.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "proto/resume_frame.h"
#include "proto/url.h"

namespace rejoin::sim_test {

using client::Driver;
using client::State;
using proto::number;

SessionPlayer::SessionPlayer(io::SimHost& host, Ledger& ledger, SessionPlayerOptions options)
    : host_(host), ledger_(ledger), options_(std::move(options)), account_(options_.account) {
  make_driver(std::exchange(options_.saved, {}));
}

SessionPlayer::~SessionPlayer() = default;

void SessionPlayer::make_driver(std::string saved) {
  if (driver_) {
    const client::Stats stats = driver_->stats();
    sent_again_ += stats.sent_again;
    duplicates_ += stats.duplicates;
    bad_frames_ += stats.bad_frames;
  }
  client::DriverOptions options;
  options.url = *proto::Url::parse(options_.url);
  options.identity = "player " + std::to_string(options_.number);
  options.advertised = options_.advertised;
  options.login_again = options_.login_again;
  options.saved = std::move(saved);
  auto made = Driver::make(host_.world(), nullptr, resolver_, std::move(options), *this);
  if (!made) {
    std::fprintf(stderr, "%s\n", to_string(made.error()).c_str());
    std::abort();
  }
  driver_ = std::move(*made);
}

void SessionPlayer::start() { driver_->start(); }

bool SessionPlayer::say() {
  if (account_ == nullptr || leaving_ || driver_->ended()) return false;
  Random& random = host_.world().random;
  const std::size_t bytes = random.below(random.below(6) == 0 ? options_.message_max : 40);
  const std::string message = numbered(account_->name, account_->player_said + 1, bytes);
  if (driver_->send(message, true) != Driver::Sent::taken) return false;
  ++account_->player_said;
  driver_->flush();
  return true;
}

void SessionPlayer::network_changed(Driver::Change change) { driver_->network_changed(change); }

void SessionPlayer::start_again(session::Snapshot kind) {
  std::string saved = kind == session::Snapshot::whole ? driver_->snapshot(kind) : saved_;
  if (saved.empty() && account_ != nullptr) {
    ledger_.complain(account_->name + ": a session, and nothing to store");
  }
  if (kind == session::Snapshot::light && account_ != nullptr) {
    ++account_->leaps_up;
    account_->down_may_leap = forgetful_ = true;
  }
  story_ += kind == session::Snapshot::light ? ", (again, light)" : ", (again, whole)";
  leaving_ = owes_a_word_ = false;
  make_driver(std::move(saved));
  driver_->start();
}

void SessionPlayer::leave() {
  leaving_ = true;
  if (account_ != nullptr) account_->closed = true;
  driver_->close(1000, "enough");
}

void SessionPlayer::come_back() {
  leaving_ = false;
  make_driver({});
  driver_->start();
}

bool SessionPlayer::settled() const {
  return account_ != nullptr && account_->settled() && driver_->live() &&
         driver_->session().window().held_messages() == 0;
}

void SessionPlayer::on_room() {
  if (owes_a_word_) owes_a_word_ = !say();
}

void SessionPlayer::opened() {
  if (account_ != nullptr) {
    ledger_.complain(account_->name + ": a new session, and nobody said what became of the old one");
  }
  const std::string name = std::to_string(options_.number) + '.' + std::to_string(++logins_);
  account_ = &ledger_.accounts[name];
  account_->name = name;
  account_->opened = host_.world().clock.now();
  say();
}

void SessionPlayer::session_over(std::uint16_t code) {
  if (account_ == nullptr) return;
  account_->over = true;
  account_->end_code = code;
  account_->ended = host_.world().clock.now();
  account_ = nullptr;
  forgetful_ = owes_a_word_ = false;
}

void SessionPlayer::on_message(Bytes message, bool) {
  const Numbered said = read_numbered(message);
  if (account_ == nullptr) return ledger_.complain("player hears a game without a session");
  const std::uint64_t connection = said.number == 0 ? 0 : std::strtoull(said.name.c_str() + 1, nullptr, 10);
  if (account_->seen_connection == 0) account_->seen_connection = connection;
  const bool same = account_->connection == 0 || account_->connection == connection;
  if (connection == 0 || connection != account_->seen_connection || !same)
    return ledger_.complain(account_->name + ": hears the game of another");
  // Who has forgotten is told again what was not acknowledged.
  if (std::exchange(account_->down_may_leap, false) && said.number <= account_->player_heard) {
    account_->player_heard = said.number - 1;
  }
  ledger_.take("player " + account_->name, said.number, account_->player_heard);
}

void SessionPlayer::on_state(const State& state) {
  if (!story_.empty()) story_ += ", ";
  switch (state.kind) {
    case State::Kind::connecting: story_ += "connecting"; break;
    case State::Kind::open:
      story_ += "open";
      opened();
      break;
    case State::Kind::reconnecting: story_ += "reconnecting (" + state.reason + ")"; break;
    case State::Kind::resumed:
      story_ += state.whole ? "resumed" : "resumed with a gap";
      ++resumes_;
      if (account_ == nullptr) {
        ledger_.complain("player resumes what it has not");
      } else if (state.whole == std::exchange(forgetful_, false)) {
        ledger_.complain(account_->name + (state.whole ? ": a client without memory hears that all is whole"
                                                       : ": a client with memory hears of a gap"));
      }
      // Something must follow what was lost, or nobody could tell that it was.
      owes_a_word_ = !state.whole && !say();
      break;
    case State::Kind::lost:
      story_ += "lost " + std::to_string(state.code) + " (" + state.reason + ")";
      session_over(state.code);
      break;
    case State::Kind::ended:
      story_ += "ended " + std::to_string(state.code) + " (" + state.reason + ")";
      // A copy of this program plays on.
      if (state.code == number(proto::LinkCode::replaced)) account_ = nullptr;
      session_over(state.code);
      break;
  }
}

}  // namespace rejoin::sim_test
