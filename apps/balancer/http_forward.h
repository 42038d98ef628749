// What a reverse proxy changes in the heads that pass it (RFC 9110 7.6). Pure: heads in, bytes in a buffer
// out.
#pragma once

#include "base/address.h"
#include "base/bytes.h"
#include "base/result.h"
#include "io/tls_connection.h"
#include "proto/http_editor.h"
#include "proto/http_head.h"
#include "route/router.h"
#include "upstream/body_relay.h"

namespace rejoin::balancer {

/// The request asks for another protocol, and we pass that on. Not for HTTP/2 in clear (h2c): a server that
/// took it would answer requests that nobody here has looked at.
bool passes_upgrade(const proto::RequestHead& request);

/// May this request be sent a second time when a kept connection turns out to be closed (RFC 9110 9.2.2)? For
/// those without a body.
bool may_be_repeated(proto::Method method);

/// What a server is told of the client's TLS.
struct ClientTls {
  bool used = false;
  /// Some client of this pool may have one: what stands in its fields is ours alone.
  bool tells_certificates = false;
  const io::TlsClientCertificate* certificate = nullptr;  // outlives the head
};

/// Writes the head for the server: no hop-by-hop fields, X-Forwarded-For grown by `client`, X-Forwarded-Proto
/// and -Host set, X-Client-Cert-* only as `tls` says, an absolute target made a path, and what the affinities
/// take out. Errors: exhausted or too_large, when the fields that are added have no room: answer 431.
Status write_request(Buffer& out, route::Router& router, route::Choice& choice,
                     const proto::RequestHead& request, const Address& client, bool upgrade,
                     const ClientTls& tls = {});

/// How a final response is passed on. `last`: the client's connection ends after it, whatever the heads say.
struct ResponsePlan {
  proto::NextHop next = proto::NextHop::close;
  upstream::Framing framing = upstream::Framing::as_it_is;
};
ResponsePlan plan_response(const proto::RequestHead& request, const proto::ResponseHead& response,
                           proto::Body body, bool last);

/// Writes the head for the client: no hop-by-hop fields, and what the affinities plant. Error: exhausted.
Status write_response(Buffer& out, route::Router& router, route::Choice& choice,
                      const proto::ResponseHead& response, const ResponsePlan& plan, UnixSeconds now);

/// Writes an interim response (1xx other than 101) for the client: nothing is planted on it.
Status write_interim(Buffer& out, const proto::ResponseHead& response);

}  // namespace rejoin::balancer
