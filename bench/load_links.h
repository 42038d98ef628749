// The load generator's connections: dial, handshake, speak, check, end. One thread, one edge-triggered epoll,
// one receive buffer and one frame for all; a message costs one send and one recv and no allocation. What is
// done with connections is a scenario (load_scenarios.h), which hears of them as their Listener. Owner: main
// of bench_load. Every answer is checked: the 101 and its accept key, and each byte of each message. The
// first thing that is wrong makes the run void: it is counted in Counts, and turn() returns false from then
// on.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "load_message.h"
#include "load_options.h"
#include "load_tls.h"
#include "resume_wire.h"
#include "ws_wire.h"

namespace bench {

struct Cookie {
  std::string name;
  std::string value;
};

/// What a client remembers between its connections.
struct Player {
  std::vector<Cookie> cookies;
  std::string server;  // X-Server of the last handshake
  Session session;     // rejoin
  std::string pid;     // Socket.IO's name for a session that can be recovered
  std::string offset;  // and for what was last received in it
  TlsSession tls;      // its last ticket
  bool visiting = false;
};

enum class Phase : std::uint8_t { closed, connecting, upgrading, open };

struct Link {
  int fd = -1;
  std::uint32_t slot = 0;
  std::uint32_t life = 0;  // counts its connections: whether it is still the one it was
  Phase phase = Phase::closed;
  bool admitted =
      false;  // greeted, welcomed or resumed, whatever the speech has: what comes now are messages
  std::uint32_t said = 0;
  std::uint32_t heard = 0;
  std::uint32_t broadcasts = 0;  // the last one that it heard, and how many it said
  std::uint32_t broadcasts_said = 0;
  std::uint32_t not_acknowledged = 0;  // rejoin: DATA since a frame of ours told of one
  std::uint64_t dialled_at_ns = 0;
  Player* player = nullptr;
  std::string key;
  std::string in;        // a head or a message that is not whole
  std::string out;       // not yet taken by the socket
  Tls tls;               // none: plain
  bool resumes = false;  // it came with a TLS session, which must be taken
};

struct Counts {
  std::uint64_t errors = 0;
  std::uint64_t moved = 0;  // players that came back to another server than the one before
  std::string first_error;
  std::string first_moved;
};

/// How a link ends.
enum class End : std::uint8_t { fin, reset };

/// What a scenario hears. Links that fail are not told of: the run is void then.
class Listener {
 public:
  virtual ~Listener() = default;
  virtual void on_open(Link& link, std::uint64_t now) = 0;
  virtual void on_message(Link& link, const Stamp& stamp, std::uint64_t now) = 0;
};

class Links {
 public:
  explicit Links(const Options& options);

  /// Whom turn() and dial() tell, from now on; it outlives its use.
  void listen(Listener& listener) { listener_ = &listener; }

  /// Begins a connection in a slot that has none, from the next of the source addresses: ports do not run out
  /// with TIME_WAIT, and a returning player never comes from where it was, so that only a cookie can bring it
  /// back.
  void dial(std::uint32_t slot, Player& player);

  /// `due_ns`: when the message was to be sent.
  void say(Link& link, unsigned char kind, std::uint64_t due_ns);

  /// rejoin: tells that all was taken, so that the gateway keeps nothing of it for a replay.
  void acknowledge(Link& link);

  void end(Link& link, End how);

  /// Says goodbye, where the speech has a word for it, and closes: a session that could be resumed ends, too.
  void leave(Link& link);

  /// One turn of the loop, which waits at most `wait_ns`. False when the run is void; nothing for 10 s makes
  /// it so, unless less was asked for.
  bool turn(std::uint64_t wait_ns = stall_ns);

  Link& at(std::uint32_t slot);
  void fail(Link& link, const std::string& error);
  const Counts& counts() const { return counts_; }
  bool good() const { return counts_.errors == 0; }

  static constexpr std::uint64_t stall_ns = 10'000'000'000u;

 private:
  void note(const std::string& error);
  void on_event(Link& link, std::uint32_t events, std::uint64_t now);
  bool flush(Link& link);
  ssize_t send_to(Link& link, const void* bytes, std::size_t size);
  bool put(Link& link, const unsigned char* bytes, std::size_t size);
  void take_bytes(Link& link, std::size_t size, std::uint64_t now);

  // the handshake
  std::string upgrade_request(Link& link);
  bool take_head(Link& link, std::uint64_t now);
  void begin_speech(Link& link, std::uint64_t now);
  void admit(Link& link, std::uint64_t now);
  void remember(Player& player, std::string_view head);

  // messages
  std::size_t take_messages(Link& link, const unsigned char* bytes, std::size_t size, std::uint64_t now);
  void take_payload(Link& link, unsigned char first, std::string_view payload, std::uint64_t now);
  void take_message(Link& link, std::string_view message, std::uint64_t now);
  void take_socketio(Link& link, std::string_view payload, std::uint64_t now);
  void take_rejoin(Link& link, unsigned char first, std::string_view payload, std::uint64_t now);
  void send_control(Link& link, std::string_view payload);
  unsigned char* payload_room(std::size_t size);
  void send_payload(Link& link, unsigned char first, std::size_t size);
  std::uint64_t next_random();

  const Options options_;
  const std::unique_ptr<TlsClient> tls_;
  int epoll_;
  std::vector<unsigned char> buffer_;
  std::vector<unsigned char> frame_;
  std::string filler_;
  std::vector<std::unique_ptr<Link>> links_;  // by slot
  Listener* listener_ = nullptr;
  Counts counts_;
  std::uint64_t dialled_ = 0;
  std::uint64_t random_;
};

}  // namespace bench
