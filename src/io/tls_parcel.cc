// An open TLS connection leaves its loop, and arrives at another one's.
#include <openssl/ssl.h>

#include <cassert>
#include <cerrno>
#include <utility>

#include "io/tls_connection.h"

namespace rejoin::io {

void TlsParcel::Free::operator()(ssl_st* ssl) const {
  SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  SSL_free(ssl);
}

TlsParcel TlsConnection::pack(std::unique_ptr<TlsConnection> connection, Socket& inner) {
  TlsConnection& self = *connection;
  assert(self.may_be_packed());
  TlsParcel out;
  if (self.ssl_ != nullptr) SSL_set_bio(self.ssl_, nullptr, nullptr);  // which is this loop's
  out.ssl.reset(std::exchange(self.ssl_, nullptr));
  if (self.kept_) out.kept = self.kept_.view();
  if (self.unsent_) out.unsent = self.unsent_.view();
  out.peer_key = std::move(self.peer_key_);
  if (self.why_) out.why = std::move(*self.why_);
  out.errnum = self.errnum_;
  out.heard = self.heard_;
  out.said_end = self.said_end_;
  self.inner_.set_events(nullptr);
  inner = std::move(self.inner_);
  return out;
}

// What the inner socket said of its end and its failures it will say again.
std::unique_ptr<TlsConnection> TlsConnection::unpack(TlsShared& shared, Socket inner, TlsParcel parcel) {
  std::unique_ptr<TlsConnection> made(new TlsConnection(shared, std::move(inner)));
  TlsConnection& self = *made;
  self.told_open_ = true;
  self.peer_key_ = std::move(parcel.peer_key);
  self.heard_ = parcel.heard;
  self.said_end_ = parcel.said_end;
  self.ssl_ = parcel.ssl.release();
  self.phase_ = Phase::open;
  if (self.ssl_ == nullptr) {
    self.errnum_ = parcel.errnum;
    self.why_ =
        std::make_unique<Error>(parcel.why.value_or(Error{ErrorKind::closed, Side::ours, Retry::no, ""}));
    self.phase_ = Phase::broken;
    return made;
  }
  self.set_bio();
  self.peer_ended_ = (SSL_get_shutdown(self.ssl_) & SSL_RECEIVED_SHUTDOWN) != 0;
  if (!parcel.kept.empty()) {
    self.kept_ = shared.world.buffers.borrow();
    self.kept_.append(parcel.kept);
  }
  if (!parcel.unsent.empty()) {
    self.unsent_ = shared.world.buffers.borrow();
    self.unsent_.append(parcel.unsent);
    self.flush();
  } else if (self.said_end_) {
    self.send_fin();
  }
  return made;
}

}  // namespace rejoin::io
