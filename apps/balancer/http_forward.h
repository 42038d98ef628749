// What a reverse proxy changes in the heads that pass it (RFC 9110 7.6; docs/http.md has it for people).
// Pure: heads in, bytes in a buffer out.
#pragma once

#include <cstdint>

#include "apps/balancer/http_rules.h"
#include "apps/config/config.h"
#include "base/address.h"
#include "base/bytes.h"
#include "base/clock.h"
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

/// May this request be sent a second time (RFC 9110 9.2.2)? For those without a body.
bool may_be_repeated(proto::Method method);

/// An expectation that is not exactly one `100-continue`: who waits for what would be a matter of taste. (RFC
/// 9110 10.1.1: 417.)
bool expects_something_else(const proto::RequestHead& request);

/// `name` stands in the request's Via: it has been here before.
bool has_via(const proto::RequestHead& request, Bytes name);

/// How a request came to us, for those that we tell it, and what rules say of it. Everything is borrowed.
struct RequestOrigin {
  const config::Forwarded& rules;
  const HeaderRules* header_rules = nullptr;
  Bytes client_ip = {};   // of the client's connection
  Bytes scheme = {};      // "http" or "https"
  Bytes port = {};        // on which it came in
  bool trusted = false;   // what the client says of who came before it is believed
  Bytes request_id = {};  // to be told where the request has none that is believed; empty: none
  Bytes target = {};      // in the place of the request's; empty: as it is
  bool upgrade = false;
  /// Some client may have a certificate: what stands in its fields is ours alone.
  bool tells_certificates = false;
  const io::TlsClientCertificate* certificate = nullptr;  // that this one has shown
};

/// Writes the head for the server: HTTP/1.1, no hop-by-hop fields, what was forged about the client removed
/// and what we know of it added (X-Client-Cert-* too), an absolute target made a path, and what affinities
/// and rules want changed. Errors: exhausted or too_large, when the fields that are added have no room:
/// answer 431.
Status write_request(Buffer& out, route::Router& router, route::Choice& choice,
                     const proto::RequestHead& request, const RequestOrigin& origin);

/// The id by which a request is known on both sides: the client's, if it is believed, else `made`.
Bytes request_id_of(const proto::RequestHead& request, bool trusted, Bytes made);

/// How a final response is passed on. `last`: the client's connection ends after it, whatever the heads say.
struct ResponsePlan {
  proto::NextHop next = proto::NextHop::close;
  upstream::Framing framing = upstream::Framing::as_it_is;
  // what is told and changed besides
  const HeaderRules* header_rules = nullptr;
  Bytes request_id = {};
  Bytes via = {};
};
ResponsePlan plan_response(const proto::RequestHead& request, const proto::ResponseHead& response,
                           proto::Body body, bool last);

/// Writes the head for the client: no hop-by-hop fields, and what affinities and rules want. Error:
/// exhausted.
Status write_response(Buffer& out, route::Router& router, route::Choice& choice,
                      const proto::ResponseHead& response, const ResponsePlan& plan, UnixSeconds now);

/// Writes an interim response (1xx other than 101) for the client: nothing is planted on it.
Status write_interim(Buffer& out, const proto::ResponseHead& response);

/// How long a server says that it keeps its connection (`Keep-Alive: timeout=5`), less a second for the way;
/// Duration::max() when it does not say.
Duration keep_alive_told(const proto::ResponseHead& response);

}  // namespace rejoin::balancer
