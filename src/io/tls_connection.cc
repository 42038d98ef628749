#include "io/tls_connection.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>

#include "base/limits.h"
#include "io/tls_errors.h"

namespace rejoin::io {
namespace {

// Asked of the inner socket beyond the plaintext that is wanted: a record's frame, and some tickets.
constexpr std::size_t kReadBeyondBytes = 512;
constexpr std::size_t kReadLeastBytes = 4096;

/// A host name as it may stand in a certificate. OpenSSL's own check would take ".example" for all below it.
bool is_host_name(std::string_view name) {
  if (name.empty() || name.size() > 253 || name.front() == '.' || name.find("..") != std::string_view::npos) {
    return false;
  }
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  });
}

/// The next bytes of `pieces`, at most one record, from position `at` of the first: where they lie, or, as
/// small pieces are to leave in one record, copied together into `scratch`.
Bytes next_record(std::span<const Bytes>& pieces, std::size_t& at, char* scratch) {
  std::size_t filled = 0;
  while (!pieces.empty() && filled < limits::kTlsRecordBytes) {
    const Bytes piece = pieces.front().substr(at, limits::kTlsRecordBytes - filled);
    const bool all_of_it = at + piece.size() == pieces.front().size();
    const bool alone = filled == 0 && (pieces.size() == 1 || piece.size() == limits::kTlsRecordBytes);
    if (!alone && !piece.empty()) std::memcpy(scratch + filled, piece.data(), piece.size());
    filled += piece.size();
    at = all_of_it ? 0 : at + piece.size();
    if (all_of_it) pieces = pieces.subspan(1);
    if (alone) return piece;
  }
  return {scratch, filled};
}

}  // namespace

TlsShared::TlsShared(World& inner) : world(inner), bio(TlsConnection::make_bio(*this)) {}

TlsShared::~TlsShared() {
  while (!lingering.empty()) delete &lingering.front();
  BIO_free(bio);
}

char* TlsShared::block() {
  if (!block_) block_.reset(new char[limits::kBufferBytes]);
  return block_.get();
}

char* TlsShared::scratch() {
  if (!scratch_) scratch_.reset(new char[limits::kTlsRecordBytes]);
  return scratch_.get();
}

/// A call into OpenSSL: how much of the inner socket it may read. What was lent and not taken is kept when it
/// ends, since the loan ends with the next read of anybody on this loop.
class TlsConnection::Call {
 public:
  Call(TlsConnection& connection, int reads, std::size_t read_bytes = limits::kBufferBytes)
      : connection_(connection), shared_(connection.shared_) {
    assert(shared_.calling == nullptr && shared_.lent.empty() && "one call at a time");
    shared_.calling = &connection;
    shared_.reads_left = reads;
    shared_.read_bytes = read_bytes;
    shared_.first_read = true;
    ERR_clear_error();
  }
  ~Call() {
    if (!shared_.lent.empty()) {
      connection_.kept_ = shared_.world.buffers.borrow();
      connection_.kept_.append(shared_.lent);
    }
    shared_.lent = {};
    shared_.reads_left = 0;
    shared_.calling = nullptr;
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

 private:
  TlsConnection& connection_;
  TlsShared& shared_;
};

// --- making ---

TlsConnection::TlsConnection(TlsShared& shared, Socket inner) : shared_(shared), inner_(std::move(inner)) {
  inner_.set_events(this);
}

TlsConnection::~TlsConnection() {
  if (linger_timer_) --shared_.lingering_count;
  free_ssl();
}

// Without this OpenSSL takes a session whose connection was not ended in an orderly way for a bad one, and
// would not resume it: but links that break are what resumption is for.
void TlsConnection::free_ssl() {
  if (ssl_ == nullptr) return;
  SSL_set_shutdown(ssl_, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  SSL_free(std::exchange(ssl_, nullptr));
}

Result<std::unique_ptr<TlsConnection>> TlsConnection::make(TlsShared& shared,
                                                           std::shared_ptr<const TlsContext> context,
                                                           Socket inner, bool opening, const Address& peer,
                                                           std::string_view name, Bytes arrived,
                                                           TlsTold told) {
  std::unique_ptr<TlsConnection> made(new TlsConnection(shared, std::move(inner)));
  const bool client = context->role() == TlsContext::Role::client;
  if (opening) made->phase_ = Phase::opening;
  made->told_open_ = !client && told == TlsTold::when_accepted;
  made->read_blocked_ = made->write_blocked_ = !made->told_open_;
  const Status good = made->prepare(std::move(context), peer, name);
  if (!good) return good.error();
  if (!arrived.empty()) {
    made->kept_ = shared.world.buffers.borrow();
    made->kept_.append(arrived);
  }
  return made;
}

Status TlsConnection::prepare(std::shared_ptr<const TlsContext> context, const Address& peer,
                              std::string_view name) {
  ssl_ = SSL_new(context->handle());
  if (ssl_ == nullptr) return Error{ErrorKind::exhausted, Side::ours, Retry::no, "TLS: no memory"};
  set_bio();
  X509_VERIFY_PARAM_set_time(SSL_get0_param(ssl_), shared_.world.clock.unix_now());
  const bool client = context->role() == TlsContext::Role::client;
  const bool verifies = context->verifies();
  beginning_ = std::make_unique<Beginning>(Beginning{std::move(context), peer});
  if (client) return set_peer(peer, name, verifies);
  SSL_set_accept_state(ssl_);
  return {};
}

void TlsConnection::set_bio() {
  BIO_up_ref(shared_.bio);
  SSL_set_bio(ssl_, shared_.bio, shared_.bio);  // takes one reference for both
  SSL_set_app_data(ssl_, this);
}

Status TlsConnection::set_peer(const Address& peer, std::string_view name, bool verifies) {
  // Neither SNI nor certificates have the root's dot.
  if (name.size() > 1 && name.ends_with('.')) name.remove_suffix(1);
  const bool by_address = name.empty() || Address::parse_ip(name);
  const std::string target = name.empty() ? peer.ip_text() : std::string(name);
  SSL_set_connect_state(ssl_);
  SSL_set_verify(ssl_, verifies ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, verifies ? on_verify : nullptr);
  X509_VERIFY_PARAM* param = SSL_get0_param(ssl_);
  X509_VERIFY_PARAM_set_hostflags(param,
                                  X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  const bool good = by_address ? X509_VERIFY_PARAM_set1_ip_asc(param, target.c_str()) == 1
                               : is_host_name(target) && SSL_set1_host(ssl_, target.c_str()) == 1 &&
                                     SSL_set_tlsext_host_name(ssl_, target.c_str()) == 1;
  if (!good) {
    ERR_clear_error();
    return Error{ErrorKind::bad_input, Side::ours, Retry::no, "TLS: \"" + target + "\" is no host name"};
  }
  peer_key_ = target + ":" + std::to_string(peer.port);
  return {};
}

// --- the handshake ---

void TlsConnection::opened() {
  Status open = inner_.connect_status();
  if (!open) return fail(ENOTCONN, std::move(open.error()));
  phase_ = Phase::handshake;
  shake();
}

// Driven by the inner socket's readiness alone: an owner's calls must not read for it, as they may hold lent
// bytes.
void TlsConnection::shake() {
  if (is_client() && SSL_in_before(ssl_)) {
    // Not before: a ticket is used up by being shown, and a dial that nobody answers shows none.
    const TlsSession session = shared_.sessions.take(peer_key_, SSL_get_SSL_CTX(ssl_));
    if (session) SSL_set_session(ssl_, session.get());
  }
  int done = 0, error = 0;
  {
    const Call call(*this, limits::kReadsPerTurnMax);
    shared_.refusal.clear();
    done = SSL_do_handshake(ssl_);
    error = SSL_get_error(ssl_, done);
  }
  if (done == 1) return handshake_done();
  if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) return fail_tls();
  if (output_errnum_ != 0) {
    return fail(output_errnum_, Error::from_errno(output_errnum_, with_peer(), peer_side()));
  }
  if (error == SSL_ERROR_WANT_READ) judge_input();
}

void TlsConnection::handshake_done() {
  phase_ = Phase::open;
  silent_bytes_ = 0;
  const bool shutdown_asked = beginning_->shutdown_asked;
  beginning_.reset();
  if (shutdown_asked) shutdown_write();
}

// --- readiness ---

void TlsConnection::on_ready(Ready ready) {
  if (ready.writable) flush();
  const bool asked = again_ && ready.readable;
  if (asked) again_ = false;
  switch (phase_) {
    case Phase::opening:
      if (ready.writable) opened();
      break;
    case Phase::handshake: shake(); break;
    case Phase::open:
      if (write_wants_read_ && ready.readable) finish_message();
      break;
    case Phase::broken: break;
    case Phase::lingering: return linger_on();  // and it may be gone
  }
  tell(asked);
}

// The last thing that is done with a connection in a turn: its owner may destroy it. A socket is told of what
// it knows already only when it asked for it: it may be parked, and each segment of a record would be told.
void TlsConnection::tell(bool asked) {
  const bool readable = read_blocked_ && may_give();
  if (readable) read_blocked_ = false;
  const bool writable = write_blocked_ && may_take();
  if (writable) write_blocked_ = false;
  // A dial hears nothing before it is open, and then everything.
  const bool opens = writable && !told_open_;
  told_open_ |= opens;
  const Ready ready{.readable = asked || (told_open_ && (readable || (opens && !read_blocked_))),
                    .writable = writable};
  if (events_ != nullptr && (ready.readable || ready.writable)) events_->on_ready(ready);
}

bool TlsConnection::may_take() const {
  if (phase_ == Phase::broken || output_errnum_ != 0) return true;
  return phase_ == Phase::open && unsent_.empty() && !write_wants_read_;
}

bool TlsConnection::may_give() const {
  if (phase_ != Phase::open) return phase_ == Phase::broken;
  return input_at_hand() || inner_.may_read();
}

/// Something that a read may give without the inner socket, or the knowledge that nothing more will come.
bool TlsConnection::input_at_hand() const {
  return phase_ == Phase::broken || peer_ended_ || input_ != Input::flows || !kept_.empty() ||
         !shared_.lent.empty() || SSL_pending(ssl_) > 0;
}

void TlsConnection::read_again() {
  again_ = true;
  inner_.read_again();
}

// --- reading ---

ReadResult TlsConnection::read(std::size_t max) {
  using State = ReadResult::State;
  assert(max != 0 && "a read of nothing cannot be told from the end");
  std::size_t filled = 0;
  if (phase_ == Phase::open && !peer_ended_) {
    read_plain({shared_.block(), std::min(max, limits::kBufferBytes)}, filled);
  }
  if (filled != 0) {
    read_blocked_ = !input_at_hand() && !inner_.may_read();
    return {.state = State::got, .errnum = 0, .bytes = {shared_.block(), filled}};
  }
  if (phase_ == Phase::broken) {
    read_blocked_ = false;
    if (write_blocked_) inner_.read_again();  // who waits for writing is to be told, but not from in here
    return {.state = State::failed, .errnum = errnum_, .bytes = {}};
  }
  // What OpenSSL keeps for the next record even so: 0.4 kB.
  if (phase_ == Phase::open) SSL_free_buffers(ssl_);
  read_blocked_ = !peer_ended_;
  return {.state = peer_ended_ ? State::ended : State::would_block, .errnum = 0, .bytes = {}};
}

// Until `into` is full, or all that one read of the inner socket gave is decrypted: plaintext is shorter than
// its ciphertext, so little or nothing has to be kept when the owner takes whole blocks.
void TlsConnection::read_plain(MutableBytes into, std::size_t& filled) {
  int error = SSL_ERROR_NONE;
  {
    const Call call(*this, limits::kReadsPerTurnMax,
                    std::clamp(into.size() + kReadBeyondBytes, kReadLeastBytes, limits::kBufferBytes));
    while (error == SSL_ERROR_NONE && filled < into.size() && (filled == 0 || input_at_hand())) {
      std::size_t got = 0;
      if (SSL_read_ex(ssl_, into.data() + filled, into.size() - filled, &got) == 1) {
        filled += got;
        silent_bytes_ = 0;
        heard_ = true;
        shared_.reads_left = 0;
      } else {
        error = SSL_get_error(ssl_, 0);
      }
    }
  }
  switch (error) {
    case SSL_ERROR_NONE: break;
    case SSL_ERROR_WANT_WRITE: break;  // no room for the answer to a key update: what came behind it is kept
    case SSL_ERROR_ZERO_RETURN: peer_ended_ = true; break;
    case SSL_ERROR_WANT_READ:
      if (filled == 0) judge_input();
      break;
    default: fail_tls();
  }
  if (write_wants_read_ && phase_ == Phase::open && SSL_in_init(ssl_) == 0) {
    write_wants_read_ = false;
    inner_.read_again();  // a turn in which `writable` can be told
  }
}

// A call wanted more input than there is. Why is there no more?
void TlsConnection::judge_input() {
  if (input_ == Input::flows) {
    if (inner_.may_read()) inner_.read_again();  // there is: others have their turn first
    return;
  }
  const bool began = phase_ != Phase::handshake;
  Error why{ErrorKind::closed, peer_side(), Retry::no, with_peer()};
  int errnum = ECONNRESET;
  if (input_ == Input::flooded) {
    why.kind = ErrorKind::bad_input;
    why.detail += ": " + std::to_string(silent_bytes_) + " bytes without any of the application's";
    errnum = EPROTO;
  } else if (input_ == Input::failed) {
    why = Error::from_errno(input_errnum_, why.detail, peer_side());
    errnum = input_errnum_;
  } else if (began) {
    // Who sees it cannot know whether the peer meant to end here, or somebody cut the stream (RFC 8446 6.1).
    why.kind = ErrorKind::reset;
    why.detail += ": the connection ended without close_notify";
  } else {
    why.detail += ": it closed the connection in the handshake";
  }
  if (!began) why.retry = Retry::yes;  // nothing of the application's has been sent
  fail(errnum, std::move(why));
}

// --- writing ---

WriteResult TlsConnection::write(std::span<const Bytes> pieces) {
  if (std::all_of(pieces.begin(), pieces.end(), [](Bytes piece) { return piece.empty(); })) return {};
  if (phase_ == Phase::broken) return {.taken = 0, .errnum = errnum_};
  if (output_errnum_ != 0) return {.taken = 0, .errnum = output_errnum_};
  if (said_end_ || (beginning_ && beginning_->shutdown_asked)) return {.taken = 0, .errnum = EPIPE};

  std::size_t taken = 0, at = 0;
  bool fatal = false;
  while (!fatal && may_take()) {
    const Bytes record = next_record(pieces, at, shared_.scratch());
    if (record.empty()) break;
    const Call call(*this, 0);  // reads nothing: `pieces` may be lent
    std::size_t written = 0;
    if (SSL_write_ex(ssl_, record.data(), record.size(), &written) == 1) {
      taken += written;
    } else if (SSL_get_error(ssl_, 0) == SSL_ERROR_WANT_READ) {
      write_wants_read_ = true;
    } else {
      fatal = true;
    }
    if (output_errnum_ != 0) return {.taken = 0, .errnum = output_errnum_};
  }
  if (fatal) {
    fail_tls();
    if (read_blocked_) inner_.read_again();
    return {.taken = 0, .errnum = errnum_};
  }
  write_blocked_ |= !may_take();
  if (write_wants_read_ && inner_.may_read()) inner_.read_again();
  return {.taken = taken, .errnum = 0};
}

// SSL_write wants the rest of a message that SSL_read has begun (a ticket over several records). The owner
// may not be reading, so it is read for them: such a message may have nothing else in its midst (RFC
// 8446 5.1).
void TlsConnection::finish_message() {
  int done = 0, error = 0;
  {
    const Call call(*this, limits::kReadsPerTurnMax);
    done = SSL_do_handshake(ssl_);
    error = SSL_get_error(ssl_, done);
  }
  if (done == 1) {
    write_wants_read_ = false;
  } else if (error == SSL_ERROR_WANT_READ) {
    judge_input();
  } else if (error != SSL_ERROR_WANT_WRITE) {
    fail_tls();
  }
}

void TlsConnection::flush() {
  if (unsent_.empty()) return;
  const WriteResult done = inner_.write(unsent_.view());
  unsent_.consume(done.taken);
  if (done.errnum != 0) {
    output_errnum_ = done.errnum;
    unsent_.clear();
  }
  if (!unsent_.empty()) return;
  unsent_.release();
  if (said_end_) send_fin();
}

// --- the end ---

void TlsConnection::shutdown_write() {
  if (beginning_) beginning_->shutdown_asked = true;  // said when the handshake is over
  if (phase_ != Phase::open) return;
  say_end();
  if (unsent_.empty()) send_fin();
}

void TlsConnection::say_end() {
  if (said_end_) return;
  said_end_ = true;
  const Call call(*this, 0);
  SSL_shutdown(ssl_);  // fails in the midst of a message of the handshake's kind: the FIN has to say it alone
}

void TlsConnection::send_fin() {
  if (fin_sent_) return;
  fin_sent_ = true;
  inner_.shutdown_write();
}

void TlsConnection::reset() { inner_.reset(); }

// A server's tickets come right behind its handshake, asked or not. A client that closes before would answer
// them with a RST, and that would throw away what it has just written before the server has read it.
bool TlsConnection::expects_tickets() const {
  return is_client() && !heard_ && !peer_ended_ && input_ == Input::flows && output_errnum_ == 0 &&
         SSL_version(ssl_) == TLS1_3_VERSION;
}

void TlsConnection::close(std::unique_ptr<TlsConnection> connection) {
  TlsConnection& self = *connection;
  self.events_ = nullptr;
  if (self.phase_ != Phase::open) return;
  if (SSL_pending(self.ssl_) > 0) return self.reset();
  // Something of the peer's may lie unread, which is a reset, or it is only a ticket, which is not. It cannot
  // be looked at here, as the owner may hold bytes that the loop has lent them.
  const bool unread = !self.peer_ended_ && self.input_ == Input::flows &&
                      (!self.kept_.empty() || SSL_has_pending(self.ssl_) == 1 || self.inner_.may_read());
  if (!unread) {
    self.say_end();
    if (self.unsent_.empty() && !self.expects_tickets()) return;
    if (self.unsent_.empty()) self.send_fin();
  }
  if (self.shared_.lingering_count >= limits::kTlsLingeringMax) return;
  connection.release()->linger(unread);
}

void TlsConnection::linger(bool unread) {
  phase_ = Phase::lingering;
  ++shared_.lingering_count;
  shared_.lingering.push_back(*this);
  linger_timer_ = std::make_unique<Timer>([](void* self) { delete static_cast<TlsConnection*>(self); }, this);
  shared_.world.timers.arm(*linger_timer_, shared_.world.clock.now() + limits::kLingerMs);
  if (unread) inner_.read_again();
}

void TlsConnection::linger_on() {
  if (!peer_ended_ && input_ == Input::flows) {
    std::size_t filled = 0;
    read_plain({shared_.scratch(), limits::kTlsRecordBytes}, filled);
    if (phase_ == Phase::broken) {
      delete this;
      return;
    }
    // Half a record is on its way to be unread, too, unless it may be a ticket.
    if (filled != 0 || (SSL_has_pending(ssl_) == 1 && !expects_tickets())) {
      reset();
      delete this;
      return;
    }
    if (!peer_ended_ && input_ == Input::flows && inner_.may_read())
      return;  // looked at again in the next turn
  }
  say_end();
  if (output_errnum_ == 0 && !unsent_.empty()) return;
  if (!expects_tickets()) {
    delete this;
    return;
  }
  send_fin();
}

void TlsConnection::fail_tls() {
  const bool began = phase_ != Phase::handshake;
  std::string detail = with_peer() + ": ";
  if (shared_.refusal.empty()) {
    detail += openssl_reason();
  } else {
    detail += "its certificate is refused: " + std::exchange(shared_.refusal, {});
    ERR_clear_error();
  }
  fail(EPROTO, Error{ErrorKind::bad_input, peer_side(), began ? Retry::no : Retry::yes, std::move(detail)});
}

void TlsConnection::fail(int errnum, Error why) {
  phase_ = Phase::broken;
  errnum_ = errnum;
  why_ = std::make_unique<Error>(std::move(why));
  if (shared_.world.log.wants(LogLevel::debug)) shared_.world.log.debug(to_string(*why_));
  free_ssl();
  kept_.release();
  unsent_.release();
  beginning_.reset();
}

// --- what is asked ---

Status TlsConnection::connect_status() {
  if (why_) return *why_;
  if (phase_ == Phase::opening || phase_ == Phase::handshake) {
    return Error::from_errno(EINPROGRESS, with_peer(), peer_side());
  }
  return {};
}

std::string TlsConnection::with_peer() const {
  if (is_client()) return "TLS with " + peer_key_;
  const bool dialled = beginning_ && beginning_->peer;
  return "TLS with " + (dialled ? beginning_->peer : inner_.peer_address()).text();
}

namespace {

template <typename Byte>
std::string hex(const Byte* bytes, std::size_t count) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (std::size_t i = 0; i < count; ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

std::optional<TlsClientCertificate> certificate_of_client(const SSL* ssl) {
  X509* const it = SSL_is_server(ssl) == 1 ? SSL_get0_peer_certificate(ssl) : nullptr;
  if (it == nullptr) return std::nullopt;
  TlsClientCertificate out;
  out.subject = name_text(X509_get_subject_name(it));
  out.issuer = name_text(X509_get_issuer_name(it));
  const ASN1_INTEGER* const serial = X509_get0_serialNumber(it);
  out.serial = hex(ASN1_STRING_get0_data(serial), static_cast<std::size_t>(ASN1_STRING_length(serial)));
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  if (X509_digest(it, EVP_sha256(), digest, &length) == 1) out.sha256 = hex(digest, length);
  return out;
}

}  // namespace

TlsInfo TlsConnection::info() const {
  if (phase_ != Phase::open) return {};
  const unsigned char* alpn = nullptr;
  unsigned alpn_length = 0;
  SSL_get0_alpn_selected(ssl_, &alpn, &alpn_length);
  const char* name = SSL_get_servername(ssl_, TLSEXT_NAMETYPE_host_name);
  return {.open = true,
          .resumed = SSL_session_reused(ssl_) == 1,
          .version = SSL_get_version(ssl_),
          .cipher = SSL_get_cipher_name(ssl_),
          .alpn = {reinterpret_cast<const char*>(alpn), alpn_length},
          .server_name = name == nullptr ? "" : name,
          .client_certificate = certificate_of_client(ssl_)};
}

}  // namespace rejoin::io
