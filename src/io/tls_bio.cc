// What OpenSSL calls: the BIO between it and the inner socket, the verdict on a certificate, a new session.
#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <cassert>
#include <cstdlib>
#include <cstring>

#include "base/limits.h"
#include "io/tls_connection.h"
#include "io/tls_errors.h"

namespace rejoin::io {

/// The bytes that come next, wherever they are; none when there are none now.
Bytes TlsConnection::input() {
  if (silent_bytes_ > limits::kTlsSilentBytesMax) {
    input_ = Input::flooded;
    return {};
  }
  if (!kept_.empty()) return kept_.view();
  if (!shared_.lent.empty()) return shared_.lent;
  if (shared_.reads_left == 0 || input_ != Input::flows) return {};
  if (!std::exchange(shared_.first_read, false) && !inner_.may_read()) return {};
  --shared_.reads_left;
  const ReadResult read = inner_.read(shared_.read_bytes);
  switch (read.state) {
    case ReadResult::State::got: shared_.lent = read.view(); break;
    case ReadResult::State::would_block: break;
    case ReadResult::State::ended: input_ = Input::ended; break;
    case ReadResult::State::failed:
      input_ = Input::failed;
      input_errnum_ = read.errnum;
      break;
  }
  return shared_.lent;
}

TlsConnection& TlsConnection::calling(bio_st* bio) {
  TlsConnection* const self = static_cast<TlsShared*>(BIO_get_data(bio))->calling;
  assert(self != nullptr && "OpenSSL reads and writes within a Call alone");
  return *self;
}

int TlsConnection::bio_read(bio_st* bio, char* out, std::size_t wanted, std::size_t* got) {
  TlsConnection& self = calling(bio);
  BIO_clear_retry_flags(bio);
  const Bytes next = self.input().substr(0, wanted);
  *got = next.size();
  if (next.empty()) {
    BIO_set_retry_read(bio);
    return 0;
  }
  std::memcpy(out, next.data(), next.size());
  self.silent_bytes_ += static_cast<std::uint32_t>(next.size());
  if (self.kept_.empty()) {
    self.shared_.lent.remove_prefix(next.size());
  } else {
    self.kept_.consume(next.size());
    if (self.kept_.empty()) self.kept_.release();
  }
  return 1;
}

/// How many were taken: sent, or put behind what is still unsent.
std::size_t TlsConnection::output(Bytes bytes) {
  if (output_errnum_ != 0) return bytes.size();  // told at the owner's next write
  std::size_t taken = 0;
  if (unsent_.empty()) {
    const WriteResult done = inner_.write(bytes);
    output_errnum_ = done.errnum;
    if (done.errnum != 0) return bytes.size();
    taken = done.taken;
  }
  if (taken == bytes.size()) return taken;
  if (!unsent_) unsent_ = shared_.world.buffers.borrow();
  return taken + unsent_.append(bytes.substr(taken));
}

int TlsConnection::bio_write(bio_st* bio, const char* data, std::size_t length, std::size_t* written) {
  TlsConnection& self = calling(bio);
  BIO_clear_retry_flags(bio);
  *written = self.output({data, length});
  if (*written != 0 || length == 0) return 1;
  BIO_set_retry_write(bio);
  return 0;
}

long TlsConnection::bio_control(bio_st*, int command, long, void*) { return command == BIO_CTRL_FLUSH; }

bio_st* TlsConnection::make_bio(TlsShared& shared) {
  // One for all loops, and for good: a BIO refers to it until its last reference is gone.
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* const made = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "rejoin socket");
    if (made == nullptr) std::abort();  // out of memory at start
    BIO_meth_set_read_ex(made, bio_read);
    BIO_meth_set_write_ex(made, bio_write);
    BIO_meth_set_ctrl(made, bio_control);
    return made;
  }();
  BIO* const bio = BIO_new(method);
  if (bio == nullptr) std::abort();
  BIO_set_data(bio, &shared);
  BIO_set_init(bio, 1);
  return bio;
}

int TlsConnection::on_verify(int good, x509_store_ctx_st* store) {
  if (good != 1) {
    const auto* ssl =
        static_cast<const SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    static_cast<TlsConnection*>(SSL_get_app_data(ssl))->shared_.refusal = refusal_text(store);
  }
  return good;
}

const Clock& TlsConnection::clock_of(const ssl_st* ssl) {
  return static_cast<TlsConnection*>(SSL_get_app_data(ssl))->shared_.world.clock;
}

int keep_tls_session(ssl_st* ssl, ssl_session_st* session) {
  auto* self = static_cast<TlsConnection*>(SSL_get_app_data(ssl));
  if (self == nullptr || !self->is_client()) return 0;
  self->shared_.sessions.put(self->peer_key_, SSL_get_SSL_CTX(ssl), TlsSession(session));
  return 1;
}

}  // namespace rejoin::io
