// One TLS connection over one inner socket: what stands behind an id of a TlsNetwork. For tls_*.cc only;
// users see tls_network.h.
//
//   inner socket --lent ciphertext--> BIO --> SSL --> the block of the TlsNetwork --lent plaintext--> owner
//   owner's pieces --> SSL --> BIO --> inner socket, and what that does not take --> unsent_
//
// OpenSSL never learns that a socket is full, ended or broken: its BIO takes every write, and a read that
// gives nothing means "later". So a call never has to be repeated with the same bytes, and a connection that
// breaks leaves its session good for resumption. What became of the inner socket stands beside it, in input_
// and output_errnum_.
//
// One thread, that of its loop. Held by the table of its TlsNetwork, or by nobody but itself and the list of
// those that linger, once its owner has closed it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/intrusive_list.h"
#include "base/timers.h"
#include "io/network.h"
#include "io/tls_context.h"
#include "io/tls_sessions.h"
#include "io/world.h"

struct bio_st;
struct ssl_st;
struct x509_store_ctx_st;

namespace rejoin::io {

class TlsConnection;

/// What the connections of one TlsNetwork have together.
struct TlsShared {
  explicit TlsShared(World& inner);
  ~TlsShared();
  TlsShared(const TlsShared&) = delete;
  TlsShared& operator=(const TlsShared&) = delete;

  /// 32 KiB in which plaintext is lent.
  char* block();
  /// 16 KiB in which small pieces become one record.
  char* scratch();

  World& world;  // the inner one
  /// Between every SSL of this loop and its inner socket, which is that of the connection that is `calling`:
  /// one for all saves 200 bytes a connection. An SSL that leaves the loop leaves it behind.
  bio_st* bio;
  TlsSessions sessions;
  List<TlsConnection> lingering;
  std::size_t lingering_count = 0;

  // Of the one call into OpenSSL that is going on (TlsConnection::Call).
  TlsConnection* calling = nullptr;
  Bytes lent;                  // what the inner network lent, and SSL has not taken yet
  int reads_left = 0;          // of the inner socket that SSL may still cause
  bool first_read = false;     // none was caused yet
  std::size_t read_bytes = 0;  // the most that one of them asks for
  std::string refusal;         // why the peer's certificate is refused

 private:
  std::unique_ptr<char[]> block_, scratch_;
};

/// Who a client of a server is, by a certificate that was verified.
struct TlsClientCertificate {
  std::string subject{};  // as RFC 2253 has it, printable ASCII: "CN=ann,O=guild"
  std::string issuer{};
  std::string serial{};  // hex digits
  std::string sha256{};  // of the whole certificate, hex digits
};

struct TlsInfo {
  /// The handshake is over, and the connection has not failed. All else is empty before and after.
  bool open = false;
  bool resumed = false;
  std::string version{};                                     // "TLSv1.3"
  std::string cipher{};                                      // "TLS_AES_128_GCM_SHA256"
  std::string alpn{};                                        // what both agreed on
  std::string server_name{};                                 // whom the client asked for
  std::optional<TlsClientCertificate> client_certificate{};  // of a server: the client has shown one
};

/// An open connection on its way from one TlsNetwork to another's, on another thread; its inner socket
/// travels beside it.
struct TlsParcel {
  struct Free {
    void operator()(ssl_st* ssl) const;
  };
  std::unique_ptr<ssl_st, Free> ssl;  // none: it has failed
  std::string kept, unsent;           // ciphertext, as in TlsConnection
  std::string peer_key;
  std::optional<Error> why;
  int errnum = 0;
  bool heard = false;
  bool said_end = false;
};

/// From when on the owner of an accepted socket is told of it.
enum class TlsTold : std::uint8_t { when_accepted, when_open };

class TlsConnection final : public SocketEvents, public ListNode {
 public:
  /// Over an open or an opening `inner`. `arrived` was read from it already. `name` is whom a client means to
  /// reach. Error: bad_input (a name that cannot be one), exhausted.
  static Result<std::unique_ptr<TlsConnection>> make(TlsShared& shared,
                                                     std::shared_ptr<const TlsContext> context, Socket inner,
                                                     bool opening, const Address& peer, std::string_view name,
                                                     Bytes arrived, TlsTold told = TlsTold::when_accepted);
  /// What was packed, over its inner socket of this loop. Its owner reads and writes on.
  static std::unique_ptr<TlsConnection> unpack(TlsShared& shared, Socket inner, TlsParcel parcel);
  /// Not while its handshake goes on. Nothing is left of it here, but for its inner socket in `inner`.
  static TlsParcel pack(std::unique_ptr<TlsConnection> connection, Socket& inner);
  /// Is the handshake over, well or not?
  bool may_be_packed() const { return phase_ == Phase::open || phase_ == Phase::broken; }
  /// Resets nobody: what has to be said is said before, by close().
  ~TlsConnection();

  /// Over an open inner socket: its handshake begins in the loop's next turn.
  void begin_soon() { inner_.read_again(); }

  /// What Socket::close() and Socket::reset() promise. A connection that still has to send lives on by
  /// itself.
  static void close(std::unique_ptr<TlsConnection> connection);
  void reset();

  ReadResult read(std::size_t max);
  WriteResult write(std::span<const Bytes> pieces);
  bool may_read() const { return !read_blocked_ || phase_ == Phase::broken; }
  bool may_write() const { return !write_blocked_ || phase_ == Phase::broken; }
  void read_again();
  Status connect_status();
  void keep_alive() { inner_.keep_alive(); }
  void shutdown_write();
  void set_events(SocketEvents* events) { events_ = events; }
  TlsInfo info() const;
  Address local_address() const { return inner_.local_address(); }
  Address peer_address() const { return inner_.peer_address(); }

  void on_ready(Ready ready) override;

  // --- for tls_context.cc ---
  static int on_verify(int good, x509_store_ctx_st* store);
  static const Clock& clock_of(const ssl_st* ssl);

 private:
  enum class Phase : std::uint8_t { opening, handshake, open, broken, lingering };
  enum class Input : std::uint8_t { flows, ended, failed, flooded };
  // What is needed until the handshake is over, and given back then.
  struct Beginning {
    std::shared_ptr<const TlsContext> context;
    Address peer;  // of a client's: whom it dialled
    bool shutdown_asked = false;
  };
  class Call;
  friend struct TlsShared;
  friend int keep_tls_session(ssl_st* ssl, ssl_session_st* session);

  TlsConnection(TlsShared& shared, Socket inner);
  Status prepare(std::shared_ptr<const TlsContext> context, const Address& peer, std::string_view name);
  Status set_peer(const Address& peer, std::string_view name, bool verifies);

  // The handshake.
  void opened();
  void shake();
  void handshake_done();

  // What flows.
  void tell(bool asked);
  void read_plain(MutableBytes into, std::size_t& filled);
  void finish_message();
  void judge_input();
  void flush();
  bool may_take() const;
  bool may_give() const;
  bool input_at_hand() const;

  // The end.
  void say_end();
  void send_fin();
  void linger(bool unread);
  void linger_on();
  bool expects_tickets() const;
  void fail(int errnum, Error why);
  void fail_tls();
  void free_ssl();
  bool is_client() const { return !peer_key_.empty(); }
  Side peer_side() const { return is_client() ? Side::server : Side::client; }
  std::string with_peer() const;

  // What OpenSSL calls.
  Bytes input();
  std::size_t output(Bytes bytes);
  static bio_st* make_bio(TlsShared& shared);
  static TlsConnection& calling(bio_st* bio);
  static int bio_read(bio_st* bio, char* out, std::size_t wanted, std::size_t* got);
  static int bio_write(bio_st* bio, const char* data, std::size_t length, std::size_t* written);
  static long bio_control(bio_st* bio, int command, long number, void* pointer);
  void set_bio();

  TlsShared& shared_;
  SocketEvents* events_ = nullptr;
  ssl_st* ssl_ = nullptr;
  Socket inner_;
  Buffer kept_;    // ciphertext that was lent and SSL has not taken
  Buffer unsent_;  // ciphertext that the inner socket has not taken
  std::unique_ptr<Beginning> beginning_;
  std::unique_ptr<Error> why_;
  std::unique_ptr<Timer> linger_timer_;
  std::string peer_key_;  // of a client: "name:port", under which its sessions are kept
  int input_errnum_ = 0;
  int output_errnum_ = 0;
  int errnum_ = 0;  // of a broken one
  std::uint32_t silent_bytes_ = 0;
  Phase phase_ = Phase::handshake;
  Input input_ = Input::flows;
  bool read_blocked_ : 1 = false;
  bool write_blocked_ : 1 = false;
  bool write_wants_read_ : 1 =
      false;                     // SSL has half a message (a ticket), and must have the rest before it writes
  bool again_ : 1 = false;       // the owner's read_again() is to be answered
  bool told_open_ : 1 = false;   // or accepted
  bool heard_ : 1 = false;       // a byte of the application's has come
  bool peer_ended_ : 1 = false;  // close_notify has come
  bool said_end_ : 1 = false;    // close_notify has been written
  bool fin_sent_ : 1 = false;
};

/// OpenSSL has a session that may be resumed: its callback of a client's context.
int keep_tls_session(ssl_st* ssl, ssl_session_st* session);

}  // namespace rejoin::io
