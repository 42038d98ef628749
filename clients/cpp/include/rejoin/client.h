// Rejoin's client: a connection to a game that survives broken links. Messages arrive once and in order, both
// ways, over any number of them; your program hears of a break and need not do anything about it.
//
//   rejoin::Client::Options options;
//   options.url = "wss://play.example/game";
//   options.identity = token;
//   rejoin::Client::Handlers on;
//   on.message = [](std::string_view message, rejoin::Client::Kind) { ... };
//   on.state = [](const rejoin::Client::State& state) { ... };
//   rejoin::Client::Made made = rejoin::Client::make(options, on);
//   if (!made.client) { complain(made.error); return; }
//   made.client->start();
//   made.client->send("hello", rejoin::Client::Kind::text);
//
// It runs on a thread of its own, where the handlers are called; or, with Options::own_thread = false, on
// yours: watch descriptor() for reading in your poll loop, wait no longer than timeout_ms(), and call
// process().
//
// No exceptions are thrown; the handlers must not throw either.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rejoin {

class Client {
 public:
  /// Text is UTF-8 all the way; the other end is told which of the two it is.
  enum class Kind : std::uint8_t { binary, text };

  struct Options {
    /// ws://, wss://, tcp:// or tls://
    std::string url;
    /// Who you are: a token, say, that the gateway or the game server checks. At a login only.
    std::string identity;
    /// Bytes for the game server, at a login only. With identity at most 16,369 bytes.
    std::string application;

    /// What Handlers::save was given in an earlier run of the program: goes on with that session.
    std::string saved;
    /// Save also what was received and what is not acknowledged (see Handlers::save), so that a program that
    /// saves at each message loses none when it is killed. Else a restarted program keeps its session, and is
    /// told that the stream has a gap.
    bool save_whole = false;

    /// May the gateway's own addresses be dialled, and the gateway redirect us? They lead past a balancer.
    bool use_advertised_addresses = false;
    /// When the session is gone for good, log in anew with `identity`. Else that is the end.
    bool login_again = true;
    /// No link for so long: give up. 0: never.
    std::uint32_t give_up_ms = 0;

    /// An IP address of this machine to dial from; empty: the system chooses.
    std::string bind;
    /// Of the WebSocket handshake: the Origin field, and more fields.
    std::string origin;
    std::vector<std::pair<std::string, std::string>> headers;
    /// Cookies to begin with, as cookies() gave them.
    std::string cookies;
    /// Whom to trust with TLS: PEM certificates as text, or a file of them. Neither: the system's.
    std::string ca_pem, ca_file;

    bool own_thread = true;
  };

  /// What became of the connection. Each field is for the kinds that it names.
  struct State {
    enum class Kind : std::uint8_t {
      connecting,    // the first dial begins
      open,          // logged in: a new session
      reconnecting,  // the link is lost. Go on sending: messages are kept
      resumed,       // on a new link; or without a word before, when the change cost nothing
      lost,          // the session is gone, with what was not delivered; a new login is on its way
      ended,         // for good: nothing follows
    };
    Kind kind = Kind::connecting;
    /// lost, ended: 1000 by close(); 4401 unknown session or refused identity; 4409 a copy of this client
    /// took over; 4410 the game ended it; 4411 the game server is gone; 4413 a limit; 0: ours, see reason.
    std::uint16_t code = 0;
    std::string reason;  // reconnecting, lost, ended

    // open, resumed:
    std::string url, local, peer;  // "wss://play.example/", "10.1.0.2:41012", "192.0.2.7:443"
    std::uint32_t epoch = 0;       // links that were tried for the session, and one
    int dials = 0;                 // it took
    int round_trips = 0;           // of the dial that succeeded, after TCP and TLS
    std::uint32_t took_ms = 0;     // since the link was lost, or in doubt; at first, since start()

    // resumed:
    bool whole = true;             // false: the session is kept, but messages are missing before the next one
    std::uint64_t to_come = 0;     // messages that the gateway has for us
    std::uint64_t sent_again = 0;  // messages of ours that the old link had swallowed
  };
  static const char* name(State::Kind kind);

  /// Called one at a time: on the client's thread, or in process(). In them every method may be called; the
  /// Client may not be destroyed. Each may be empty.
  struct Handlers {
    /// A message of the game. It counts as delivered when this returns. The bytes are gone then.
    std::function<void(std::string_view message, Kind kind)> message;
    std::function<void(const State& state)> state;
    /// A send() that said window_full would be taken now. Never told inside a send().
    std::function<void()> writable;
    /// Store this before you return, in the place of what was stored: it is the right to the session, as
    /// secret as a password. Empty: remove what was stored. Called before each attempt to resume, at a login,
    /// when a new ticket came. With save_whole, save snapshot() yourself in message(), before you return, and
    /// after a send().
    std::function<void(std::string_view saved)> save;
  };

  struct Made {
    std::unique_ptr<Client> client;  // nothing: `error` says why
    std::string error;
    explicit operator bool() const { return client != nullptr; }
  };
  /// Errors: an URL or an address that cannot be used, a `saved` or `cookies` that cannot be read, too large
  /// an identity, certificates that cannot be read, no more descriptors.
  static Made make(const Options& options, Handlers handlers);
  /// Drops the link and ends no session: a program with what was saved goes on with it. To end it, close()
  /// and wait for `ended`. Not inside a handler.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Begins to dial. Once.
  void start();

  enum class Sent : std::uint8_t {
    sent,         // on its way
    queued,       // there is no link just now: it waits for the next one
    window_full,  // not taken: too much is unacknowledged, or there is no session yet. `writable` tells when
    too_large,    // not taken, ever: above the gateway's window
    not_text,     // not taken: text that is not UTF-8
    ended,        // not taken: there is no session any more
  };
  static bool taken(Sent sent) { return sent <= Sent::queued; }
  /// Any thread. Takes a copy.
  Sent send(std::string_view message, Kind kind = Kind::binary);

  /// Ends the session behind all that was sent. `ended` follows, after 10 s at the latest. Any thread.
  void close(std::uint16_t code = 1000, std::string_view reason = {});

  enum class Network : std::uint8_t {
    changed,  // something did, or the program was asleep: asks the gateway, and dials beside in 2 s if need
              // be
    gone,     // the way we had is gone: dials at once. The old link serves until the new one does
  };
  /// A hint. Any thread.
  void network_changed(Network what = Network::changed);

  /// What Handlers::save would be given now. In a handler, or with a loop of your own between calls of
  /// process().
  std::string snapshot() const;
  /// The cookie jar as text (Netscape format), for Options::cookies. Any thread.
  std::string cookies() const;

  struct Statistics {
    std::uint64_t dials = 0, failed_dials = 0, logins = 0, resumes = 0;
    std::uint64_t received = 0, sent = 0;  // messages
    std::uint64_t sent_again = 0;          // messages that a link had swallowed
    std::uint64_t duplicates_dropped = 0;  // that came again
    std::uint64_t unacknowledged = 0;      // sent, and not accepted by the game yet
  };
  /// Any thread.
  Statistics statistics() const;

  // --- with a loop of your own: one thread calls these ---
  /// Readable (POLLIN) when process() has something to do. It stays the Client's.
  int descriptor() const;
  /// How long you may wait for it at the most; -1: as long as you like.
  int timeout_ms() const;
  /// Does what is to be done, calls handlers, and never waits.
  void process();

 private:
  class Machine;
  explicit Client(std::unique_ptr<Machine> machine);
  std::unique_ptr<Machine> machine_;
};

}  // namespace rejoin
