// A player of sessions in simulations: a client driver and the application on it. It numbers what it says,
// checks the numbers of what it hears, and calls every end of a session by its reason.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "clients/cpp/src/driver.h"
#include "io/sim_network.h"
#include "tests/sim/ledger.h"

namespace rejoin::sim_test {

struct SessionPlayerOptions {
  int number = 1;
  std::string url;
  session::Advertised advertised = session::Advertised::no;
  std::size_t message_max = 800;  // bytes
  /// The session is lost: log in anew. Else the player is out of the game.
  bool login_again = true;
  std::string saved;  // a snapshot to begin with; `account` is what it is of
  Account* account = nullptr;
};

class SessionPlayer final : private client::DriverEvents {
 public:
  SessionPlayer(io::SimHost& host, Ledger& ledger, SessionPlayerOptions options);
  ~SessionPlayer();

  // --- what the player does ---
  void start();
  /// Says the next message, if there is room.
  bool say();
  void network_changed(client::Driver::Change change);
  /// The program ends and begins again with what it has saved: a whole snapshot of this moment, or the light
  /// one that it was last told to store.
  void start_again(session::Snapshot kind);
  /// Ends the session in an orderly way; over() when that is done.
  void leave();
  /// After over(): a new driver, and a new session.
  void come_back();

  // --- what became of it ---
  client::Driver& driver() { return *driver_; }
  io::SimHost& host() { return host_; }
  /// nullptr: no session yet, or none any more.
  Account* account() { return account_; }
  bool has_session() const { return account_ != nullptr; }
  bool over() const { return driver_->ended(); }
  bool leaving() const { return leaving_; }
  /// Everything said and heard, and acknowledged as far as it can see.
  bool settled() const;
  const std::string& saved() const { return saved_; }
  /// "open, reconnecting, resumed, lost 4401, ended 1000"
  const std::string& story() const { return story_; }
  std::uint64_t resumes() const { return resumes_; }
  std::uint64_t sent_again() const { return sent_again_ + driver_->stats().sent_again; }
  std::uint64_t duplicates() const { return duplicates_ + driver_->stats().duplicates; }
  std::uint64_t bad_frames() const { return bad_frames_ + driver_->stats().bad_frames; }
  std::uint64_t logins() const { return logins_; }

 private:
  void make_driver(std::string saved);
  void opened();
  void session_over(std::uint16_t code);
  void on_message(Bytes message, bool text) override;
  void on_state(const client::State& state) override;
  void on_room() override;
  void on_save(const std::string& snapshot) override { saved_ = snapshot; }

  io::SimHost& host_;
  Ledger& ledger_;
  SessionPlayerOptions options_;
  client::NoResolver resolver_;
  std::unique_ptr<client::Driver> driver_;
  Account* account_ = nullptr;
  std::string saved_, story_;
  bool leaving_ = false, forgetful_ = false, owes_a_word_ = false;
  std::uint64_t logins_ = 0, resumes_ = 0, sent_again_ = 0, duplicates_ = 0, bad_frames_ = 0;
};

}  // namespace rejoin::sim_test
