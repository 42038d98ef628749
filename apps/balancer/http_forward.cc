#include "apps/balancer/http_forward.h"

#include <charconv>
#include <string>

namespace rejoin::balancer {
namespace {

using proto::HeadEdits;
using proto::KnownField;
using proto::NextHop;
using proto::RequestHead;
using proto::ResponseHead;

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

void tell_certificate(const RequestHead& request, const RequestOrigin& origin, HeadEdits& edits) {
  if (!origin.tells_certificates) return;
  for (const proto::Field& field : request.fields()) {
    if (is_of_certificate(request.name(field))) edits.drop(field);
  }
  if (origin.certificate == nullptr) return;
  edits.append("X-Client-Cert-Subject", Bytes(origin.certificate->subject));
  edits.append("X-Client-Cert-Issuer", Bytes(origin.certificate->issuer));
  edits.append("X-Client-Cert-Serial", Bytes(origin.certificate->serial));
  edits.append("X-Client-Cert-Sha256", Bytes(origin.certificate->sha256));
}

/// "X-Forwarded-" and whatever else: fields that some server believes.
bool is_forwarded_name(Bytes name) {
  constexpr Bytes kPrefix = "x-forwarded-";
  return name.size() > kPrefix.size() && proto::equals_ignoring_case(name.substr(0, kPrefix.size()), kPrefix);
}

void drop_forged(const RequestHead& request, HeadEdits& edits) {
  for (const proto::Field& field : request.fields()) {
    switch (field.known) {
      case KnownField::forwarded:
      case KnownField::x_real_ip:
      case KnownField::x_forwarded_for:
      case KnownField::x_forwarded_proto:
      case KnownField::x_forwarded_host:
      case KnownField::x_forwarded_port: edits.drop(field); break;
      case KnownField::other:
        if (is_forwarded_name(request.name(field))) edits.drop(field);
        break;
      default: break;
    }
  }
}

/// All lines of a list field as one, for `mine` to stand behind; empty when there are none.
std::string list_before(const RequestHead& request, KnownField known) {
  std::string list;
  for (const proto::Field& field : request.all(known)) {
    if (!request.value(field).empty()) list.append(request.value(field)).append(", ");
  }
  return list;
}

// What the edits of one head borrow besides the head itself.
struct OwnTexts {
  std::string forwarded_for, forwarded, via;
};

void x_forwarded(const RequestHead& request, const RequestOrigin& origin, HeadEdits& edits, OwnTexts& texts) {
  if (origin.rules.x_forwarded == config::XForwarded::off) return;
  const bool believes = origin.trusted && origin.rules.x_forwarded == config::XForwarded::append;
  if (believes && request.has(KnownField::x_forwarded_for)) {
    // One list over all lines of the field, with the client at its end.
    texts.forwarded_for = list_before(request, KnownField::x_forwarded_for).append(origin.client_ip);
    edits.set(KnownField::x_forwarded_for, Bytes(texts.forwarded_for));
  } else {
    edits.set(KnownField::x_forwarded_for, origin.client_ip);
  }
  const auto tell = [&](KnownField known, Bytes value) {
    if (!value.empty() && !(believes && request.has(known))) edits.set(known, value);
  };
  tell(KnownField::x_forwarded_proto, origin.scheme);
  tell(KnownField::x_forwarded_host, request.host());
  tell(KnownField::x_forwarded_port, origin.port);
}

/// RFC 7239 4 and 6: an IPv6 address, and a host with a port, stand in quotation marks.
void forwarded(const RequestHead& request, const RequestOrigin& origin, HeadEdits& edits, OwnTexts& texts) {
  if (!origin.rules.forwarded) return;
  std::string& text = texts.forwarded;
  if (origin.trusted) text = list_before(request, KnownField::forwarded);
  const bool is_v6 = origin.client_ip.find(':') != Bytes::npos;
  text.append(is_v6 ? "for=\"[" : "for=").append(origin.client_ip).append(is_v6 ? "]\"" : "");
  if (!request.host().empty()) text.append(";host=\"").append(request.host()).append("\"");
  text.append(";proto=").append(origin.scheme);
  edits.set(KnownField::forwarded, Bytes(text));
}

/// RFC 9110 7.6.3. The list grows at its end.
void via(const proto::Head& head, Bytes name, HeadEdits& edits, std::string& text) {
  if (name.empty()) return;
  for (const proto::Field& field : head.all(KnownField::via)) text.append(head.value(field)).append(", ");
  text.append("1.").append(head.minor_version() == 0 ? "0 " : "1 ").append(name);
  edits.set(KnownField::via, Bytes(text));
}

}  // namespace

bool passes_upgrade(const RequestHead& request) {
  if (!request.wants_upgrade() || request.body().kind != proto::BodyKind::none) return false;
  for (const proto::Field& field : request.all(KnownField::upgrade)) {
    if (proto::list_has(request.value(field), "h2c")) return false;
  }
  return true;
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

bool expects_something_else(const RequestHead& request) {
  const proto::Field* first = request.find(KnownField::expect);
  if (first == nullptr) return false;
  int lines = 0;
  for (const proto::Field& field : request.all(KnownField::expect)) {
    ++lines;
    if (!proto::equals_ignoring_case(request.value(field), "100-continue")) return true;
  }
  return lines > 1;
}

bool has_via(const RequestHead& request, Bytes name) {
  for (const proto::Field& field : request.all(KnownField::via)) {
    Bytes rest = request.value(field), item;
    while (proto::next_list_item(rest, item)) {
      // "1.1 name (comment)": the second word.
      const std::size_t space = item.find(' ');
      if (space == Bytes::npos) continue;
      const Bytes by = proto::trim_ows(item.substr(space));
      if (proto::equals_ignoring_case(by.substr(0, by.find(' ')), name)) return true;
    }
  }
  return false;
}

Bytes request_id_of(const RequestHead& request, bool trusted, Bytes made) {
  if (made.empty()) return {};
  const Bytes told = trusted ? request.value_of(KnownField::x_request_id) : Bytes{};
  return told.empty() ? made : told;
}

Status write_request(Buffer& out, route::Router& router, route::Choice& choice, const RequestHead& request,
                     const RequestOrigin& origin) {
  HeadEdits edits(request);
  hop_by_hop(request, edits, origin.upgrade ? NextHop::upgrade : NextHop::persist);
  if (!origin.target.empty()) {
    edits.replace_target(origin.target);
  } else if (request.target_form() == proto::TargetForm::absolute) {
    edits.replace_target(request.path_and_query());
  }
  // HTTP/1.0 knows no expectation, and our HTTP/1.1 would make one of its field; nor is there anything to
  // wait for without a body.
  if (request.has(KnownField::expect) &&
      (request.minor_version() == 0 || request.body().kind == proto::BodyKind::none)) {
    edits.drop_all(KnownField::expect);
  }
  // Trailers pass us, so who takes them may say so to the server (RFC 9110 10.1.4).
  if (request.has(KnownField::te) && !origin.upgrade && request.named_by_connection("te") &&
      proto::list_has(request.value_of(KnownField::te), "trailers")) {
    edits.set(KnownField::te, "trailers");
    edits.set(KnownField::connection, "te");
  }
  OwnTexts texts;
  if (!origin.trusted) drop_forged(request, edits);
  x_forwarded(request, origin, edits, texts);
  forwarded(request, origin, edits, texts);
  const Bytes id = request_id_of(request, origin.trusted, origin.request_id);
  if (!id.empty()) edits.set(KnownField::x_request_id, id);
  via(request, Bytes(origin.rules.via), edits, texts.via);

  tell_certificate(request, origin, edits);
  router.edit_request(choice, request, edits);
  if (origin.header_rules != nullptr) origin.header_rules->apply(edits);
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
  std::string via_text;
  via(response, plan.via, edits, via_text);
  if (!plan.request_id.empty()) edits.set(KnownField::x_request_id, plan.request_id);
  if (plan.header_rules != nullptr) plan.header_rules->apply(edits);
  router.edit_response(choice, response, now, edits);
  return edits.write(out);
}

Status write_interim(Buffer& out, const ResponseHead& response) {
  HeadEdits edits(response);
  hop_by_hop(response, edits, NextHop::persist);
  return edits.write(out);
}

Duration keep_alive_told(const ResponseHead& response) {
  if (!response.has(KnownField::keep_alive)) return Duration::max();
  Bytes rest = response.value_of(KnownField::keep_alive), item;
  while (proto::next_list_item(rest, item)) {
    constexpr Bytes kName = "timeout=";
    if (!proto::equals_ignoring_case(item.substr(0, kName.size()), kName)) continue;
    int seconds = 0;
    const Bytes digits = item.substr(kName.size());
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), seconds);
    if (error != std::errc() || end != digits.data() + digits.size() || seconds < 0) continue;
    return std::chrono::seconds(seconds) - 1s;
  }
  return Duration::max();
}

}  // namespace rejoin::balancer
