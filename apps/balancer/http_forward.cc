#include "apps/balancer/http_forward.h"

#include <string>

namespace rejoin::balancer {

using proto::HeadEdits;
using proto::KnownField;
using proto::NextHop;
using proto::RequestHead;
using proto::ResponseHead;

namespace {

/// "X-Client-Cert-Subject" and the like, also as they reach servers that take '_' for '-'.
bool is_of_certificate(Bytes name) {
  constexpr Bytes kPrefix = "x-client-cert";
  if (name.size() < kPrefix.size()) return false;
  for (std::size_t i = 0; i < kPrefix.size(); ++i) {
    char c = name[i];
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (c == '_') c = '-';
    if (c != kPrefix[i]) return false;
  }
  return true;
}

void tell_certificate(const RequestHead& request, const ClientTls& tls, HeadEdits& edits) {
  if (!tls.tells_certificates) return;
  for (const proto::Field& field : request.fields()) {
    if (is_of_certificate(request.name(field))) edits.drop(field);
  }
  if (tls.certificate == nullptr) return;
  edits.append("X-Client-Cert-Subject", Bytes(tls.certificate->subject));
  edits.append("X-Client-Cert-Issuer", Bytes(tls.certificate->issuer));
  edits.append("X-Client-Cert-Serial", Bytes(tls.certificate->serial));
  edits.append("X-Client-Cert-Sha256", Bytes(tls.certificate->sha256));
}

}  // namespace

bool passes_upgrade(const RequestHead& request) {
  return request.wants_upgrade() && request.body().kind == proto::BodyKind::none &&
         !proto::list_has(request.value_of(KnownField::upgrade), "h2c");
}

bool may_be_repeated(proto::Method method) {
  switch (method) {
    case proto::Method::get:
    case proto::Method::head:
    case proto::Method::options:
    case proto::Method::put:
    case proto::Method::delete_: return true;
    default: return false;
  }
}

Status write_request(Buffer& out, route::Router& router, route::Choice& choice, const RequestHead& request,
                     const Address& client, bool upgrade, const ClientTls& tls) {
  HeadEdits edits(request);
  hop_by_hop(request, edits, upgrade ? NextHop::upgrade : NextHop::persist);
  if (request.target_form() == proto::TargetForm::absolute) edits.replace_target(request.path_and_query());

  // One list over all lines of the field, with us at its end (as nginx's $proxy_add_x_forwarded_for).
  std::string forwarded_for;
  for (const proto::Field& field : request.all(KnownField::x_forwarded_for)) {
    forwarded_for.append(request.value(field)).append(", ");
  }
  forwarded_for += client.ip_text();
  edits.set(KnownField::x_forwarded_for, Bytes(forwarded_for));
  // What a client says of these two would be believed by the server, so it is not passed on.
  edits.set(KnownField::x_forwarded_proto, tls.used ? "https" : "http");
  if (!request.host().empty()) edits.set(KnownField::x_forwarded_host, request.host());

  tell_certificate(request, tls, edits);
  router.edit_request(choice, request, edits);
  return edits.write(out);
}

ResponsePlan plan_response(const RequestHead& request, const ResponseHead& response, proto::Body body,
                           bool last) {
  ResponsePlan plan;
  const bool old_client = request.minor_version() == 0;
  if (old_client && response.chunked()) {
    plan.framing =
        upstream::Framing::content_only;  // it does not know chunks; the end of the connection ends the body
    return plan;
  }
  if (last || !request.keep_alive() || body.kind == proto::BodyKind::until_close) return plan;
  plan.next = old_client ? NextHop::persist_aloud : NextHop::persist;
  return plan;
}

Status write_response(Buffer& out, route::Router& router, route::Choice& choice, const ResponseHead& response,
                      const ResponsePlan& plan, UnixSeconds now) {
  HeadEdits edits(response);
  hop_by_hop(response, edits, plan.next);
  if (plan.framing == upstream::Framing::content_only) {
    edits.drop_all(KnownField::transfer_encoding);
    edits.drop_all(KnownField::trailer);
  }
  router.edit_response(choice, response, now, edits);
  return edits.write(out);
}

Status write_interim(Buffer& out, const ResponseHead& response) {
  HeadEdits edits(response);
  hop_by_hop(response, edits, NextHop::persist);
  return edits.write(out);
}

}  // namespace rejoin::balancer
