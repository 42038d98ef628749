// Read it from serve() down.
#include "watch/admin_server.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "io/stream.h"
#include "proto/http_response.h"
#include "watch/json.h"

namespace rejoin::watch {
namespace {

using proto::HeadState;
using proto::Method;
using proto::RequestHead;

/// What came of waiting for a request.
struct Heard {
  std::size_t head_bytes = 0;         // of a whole head
  std::optional<AdminReply> refusal;  // without a head: what to answer; nothing: nobody is there
};

Task<Heard> hear(io::World& world, io::Stream& client, Buffer& arrived, RequestHead& request,
                 TimePoint deadline) {
  Heard heard;
  for (;;) {
    if (arrived) {
      const proto::HeadVerdict verdict = request.feed(arrived.view());
      if (verdict.state == HeadState::complete) {
        heard.head_bytes = verdict.consumed;
        co_return heard;
      }
      if (verdict.state == HeadState::refused) {
        heard.refusal = AdminReply::error(verdict.status, verdict.reason);
        co_return heard;
      }
    } else {
      // Between requests nothing is held.
      Status come = co_await client.readable(deadline);
      if (!come) co_return heard;
      arrived = world.buffers.borrow();
      deadline = std::min(deadline, world.clock.now() + Duration(kAdminHeadS));
    }
    Status more = co_await client.read_into(arrived, deadline);
    if (more) continue;
    if (more.error().kind == ErrorKind::timed_out && !arrived.empty())
      heard.refusal = AdminReply::error(408, "the request did not come whole in time");
    co_return heard;
  }
}

bool is_here(Bytes host) {
  if (host.empty()) return true;  // HTTP/1.0: no browser speaks that
  if (host.front() == '[') {
    const std::size_t end = host.find(']');
    return end != Bytes::npos && Address::parse_ip(host.substr(1, end - 1)).ok();
  }
  const Bytes name = host.substr(0, host.find(':'));
  return proto::equals_ignoring_case(name, "localhost") || Address::parse_ip(name).ok();
}

/// As long as it takes for any other: digests are compared, which say nothing of where two texts differ.
bool same_secret(Bytes a, Bytes b) {
  std::array<std::array<unsigned char, EVP_MAX_MD_SIZE>, 2> digests{};
  for (const auto& [text, digest] : {std::pair{a, &digests[0]}, std::pair{b, &digests[1]}}) {
    unsigned int length = 0;
    if (EVP_Digest(text.data(), text.size(), digest->data(), &length, EVP_sha256(), nullptr) != 1)
      return false;
  }
  return CRYPTO_memcmp(digests[0].data(), digests[1].data(), digests[0].size()) == 0;
}

/// The token of `Authorization: Bearer TOKEN` (RFC 6750 2.1); empty when there is none.
Bytes bearer_token(const RequestHead& request) {
  const Bytes value = request.value_of(proto::KnownField::authorization);
  const std::size_t space = value.find(' ');
  if (space == Bytes::npos || !proto::equals_ignoring_case(value.substr(0, space), "Bearer")) return {};
  return proto::trim_ows(value.substr(space));
}

bool is_open(Bytes target) {
  const Bytes path = target.substr(0, target.find('?'));
  return std::find(std::begin(kOpenPaths), std::end(kOpenPaths), path) != std::end(kOpenPaths);
}

std::string write_reply(const AdminReply& reply, bool with_body, bool last, int minor_version) {
  std::string out = "HTTP/1.1 " + std::to_string(reply.status) + " ";
  out += proto::reason_phrase(reply.status);
  out += "\r\nContent-Type: " + reply.content_type +
         "\r\nContent-Length: " + std::to_string(reply.body.size()) +
         "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n" + reply.field_lines;
  if (last) {
    out += "Connection: close\r\n";
  } else if (minor_version == 0) {
    out += "Connection: keep-alive\r\n";
  }
  out += "\r\n";
  if (with_body) out += reply.body;
  return out;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> decode(Bytes text, bool plus_is_space) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0) return std::nullopt;
      out += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return out;
}

}  // namespace

std::optional<std::string> AdminRequest::parameter(std::string_view name) const {
  for (const auto& [key, value] : query) {
    if (key == name) return value;
  }
  return std::nullopt;
}

std::optional<AdminRequest> parse_admin_target(Bytes target) {
  AdminRequest out;
  const std::size_t mark = target.find('?');
  std::optional<std::string> path = decode(target.substr(0, mark), false);
  if (!path) return std::nullopt;
  out.path = std::move(*path);
  Bytes rest = mark == Bytes::npos ? Bytes() : target.substr(mark + 1);
  while (!rest.empty()) {
    const std::size_t end = rest.find('&');
    const Bytes pair = rest.substr(0, end);
    rest = end == Bytes::npos ? Bytes() : rest.substr(end + 1);
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    std::optional<std::string> name = decode(pair.substr(0, equals), true);
    std::optional<std::string> value =
        decode(equals == Bytes::npos ? Bytes() : pair.substr(equals + 1), true);
    if (!name || !value) return std::nullopt;
    out.query.emplace_back(std::move(*name), std::move(*value));
  }
  return out;
}

std::string encode_parameter(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

AdminReply AdminReply::error(int status, std::string_view why) {
  AdminReply reply;
  reply.status = status;
  Json body = Json::object();
  body.set("error", why);
  reply.body = write_json(body) + "\n";
  return reply;
}

AdminReply AdminReply::wrong_method(std::string_view allowed) {
  AdminReply reply = error(405, "ask with " + std::string(allowed));
  reply.field_lines = "Allow: " + std::string(allowed) + "\r\n";
  return reply;
}

AdminReply AdminReply::of(const Json& body, int status) {
  AdminReply reply;
  reply.status = status;
  reply.body = write_json(body) + "\n";
  return reply;
}

std::optional<AdminReply> unknown_parameter(const AdminRequest& request,
                                            const std::vector<std::string_view>& known) {
  for (const auto& [name, value] : request.query) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    std::string words;
    for (const std::string_view word : known) words += (words.empty() ? "" : ", ") + std::string(word);
    return AdminReply::error(400, "unknown parameter \"" + name + "\"; " +
                                      (words.empty() ? "there are none" : "there are " + words));
  }
  return std::nullopt;
}

AdminServer::AdminServer(io::World& world, AdminHandler& handler)
    : world_(world), handler_(handler), connections_(world.ready) {}

AdminServer::~AdminServer() = default;

Status AdminServer::open(const AdminDoor& door) {
  token_ = door.token;
  io::ListenOptions options;
  options.reuse_port = false;  // a second program on this address is a mistake
  options.backlog = static_cast<int>(kAdminConnectionsMax);
  auto listener = world_.network.listen(door.listen, options, *this);
  if (!listener) return std::move(listener.error());
  listener_ = std::move(*listener);
  return {};
}

void AdminServer::close() {
  listener_.reset();
  stop_.request();
}

void AdminServer::on_accept(io::Socket socket, const Address&) {
  if (connections_.running() >= kAdminConnectionsMax || stop_.requested()) return;
  connections_.spawn(serve(std::move(socket)));
}

/// What is against answering at all.
std::optional<AdminReply> AdminServer::against(const RequestHead& request) const {
  if (request.has(proto::KnownField::origin))
    return AdminReply::error(403, "pages may not ask here: the request has an Origin");
  if (token_.empty() && !is_here(request.host()))
    return AdminReply::error(403, "ask by an IP address or localhost: the Host is another name");
  if (request.target_form() != proto::TargetForm::origin &&
      request.target_form() != proto::TargetForm::absolute)
    return AdminReply::error(400, "ask for a path, such as /healthz");
  if (!token_.empty() && !is_open(request.path_and_query()) && !same_secret(bearer_token(request), token_)) {
    AdminReply reply = AdminReply::error(401, "the token is missing or wrong: Authorization: Bearer TOKEN");
    reply.field_lines = "WWW-Authenticate: Bearer\r\n";
    return reply;
  }
  if (request.body().kind != proto::BodyKind::none)
    return AdminReply::error(400, "no body is read here: parameters stand behind the '?' of the path");
  return std::nullopt;
}

Task<void> AdminServer::serve(io::Socket socket) {
  io::Stream client(world_, std::move(socket), Side::client, stop_);
  Buffer arrived;
  Duration patience = kAdminHeadS;
  for (bool last = false; !last;) {
    RequestHead request;
    const TimePoint deadline = world_.clock.now() + patience;
    Heard heard = co_await hear(world_, client, arrived, request, deadline);
    AdminReply reply;
    bool with_body = true;
    int minor_version = 1;
    if (heard.head_bytes == 0) {
      if (!heard.refusal) co_return;
      reply = std::move(*heard.refusal);
      last = true;
    } else {
      with_body = request.method() != Method::head;
      minor_version = request.minor_version();
      last = !request.keep_alive();
      std::optional<AdminReply> refusal = against(request);
      std::optional<AdminRequest> asked = parse_admin_target(request.path_and_query());
      if (!refusal && !asked) refusal = AdminReply::error(400, "a '%' without two hex digits behind it");
      if (refusal) {
        reply = std::move(*refusal);
        last = true;
      } else {
        asked->method = with_body ? request.method() : Method::get;
        AdminRequest taken = std::move(*asked);
        reply = co_await handler_.answer(std::move(taken));
      }
    }
    const std::string out = write_reply(reply, with_body, last, minor_version);
    const TimePoint written_by = world_.clock.now() + Duration(kAdminAnswerS);
    Status written = co_await client.write_all(out, written_by);
    if (!written) co_return;
    arrived.consume(heard.head_bytes);
    if (arrived) arrived.compact();
    if (arrived.empty()) arrived.release();
    patience = kAdminIdleS;
  }
  co_await client.linger();
}

}  // namespace rejoin::watch
