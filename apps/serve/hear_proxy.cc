#include "apps/serve/hear_proxy.h"

#include <vector>

#include "proto/proxy_reader.h"

namespace rejoin::serve {
namespace {

void keep(const proto::ProxyHeard& heard, Address& client, ClientFacts& facts) {
  if (heard.local || !heard.client) return;
  client = heard.client;
  facts.dialled = heard.dialled;
  facts.unique_id = heard.unique_id;
  facts.authority = heard.authority;
  facts.alpn = heard.alpn;
  if (!heard.tls) return;
  facts.tls = std::make_unique<ClientFacts::Tls>();
  facts.tls->certificate = heard.tls_facts.certificate;
  facts.tls->verified = heard.tls_facts.verified;
  facts.tls->version = heard.tls_facts.version;
  facts.tls->cipher = heard.tls_facts.cipher;
  facts.tls->common_name = heard.tls_facts.common_name;
}

/// Whether the header is there, or will not be. Nothing: more has to come.
std::optional<Status> judge(Buffer& arrived, config::ProxyIn rule, Address& client, ClientFacts& facts) {
  proto::ProxyHeard heard;
  const proto::ProxyVerdict verdict = proto::read_proxy_header(arrived.view(), heard);
  switch (verdict.state) {
    case proto::ProxyState::need_more: return std::nullopt;
    case proto::ProxyState::complete:
      keep(heard, client, facts);
      arrived.consume(verdict.consumed);
      arrived.compact();
      if (arrived.empty()) arrived.release();
      return Status();
    case proto::ProxyState::absent:
      if (rule == config::ProxyIn::accept) return Status();
      return Status(Error{ErrorKind::bad_input, Side::client, Retry::no, "there is no PROXY header"});
    case proto::ProxyState::refused: break;
  }
  return Status(Error{ErrorKind::bad_input, Side::client, Retry::no, std::string(verdict.reason)});
}

}  // namespace

Task<Status> hear_proxy(io::World& world, io::Stream& from, Buffer& arrived, config::ProxyIn rule,
                        TimePoint deadline, Address& client, ClientFacts& facts) {
  for (;;) {
    if (arrived && !arrived.empty()) {
      std::optional<Status> judged = judge(arrived, rule, client, facts);
      if (judged) co_return std::move(*judged);
    }
    Status come = co_await from.readable(deadline);
    if (!come) co_return come;
    // What is judged is at most kProxyHeardBytesMax, so there is room for more.
    const io::ReadResult read = from.socket().read(arrived ? arrived.room() : world.buffers.block_bytes());
    if (read.state == io::ReadResult::State::failed) co_return from.broken(read.errnum, "read");
    if (read.state == io::ReadResult::State::ended)
      co_return Error{ErrorKind::closed, Side::client, Retry::no, "it ended before its PROXY header"};
    if (!read.got()) continue;  // a new connection is taken for readable until a read shows that it is not
    if (!arrived) arrived = world.buffers.borrow();
    arrived.append(read.view());
  }
}

proto::ProxyHeader proxy_header_for(config::ProxyProtocol kind, const Address& client, const Address& dialled,
                                    const ClientFacts& facts) {
  const Address& to = facts.dialled ? facts.dialled : dialled;
  if (kind == config::ProxyProtocol::v1) return proto::write_proxy_v1(client, to);
  std::string ssl;
  std::vector<proto::ProxyTlv> tlvs;
  const auto add = [&tlvs](proto::ProxyTlvType type, Bytes value) {
    if (!value.empty()) tlvs.push_back({type, value});
  };
  add(proto::ProxyTlvType::unique_id, facts.unique_id);
  add(proto::ProxyTlvType::authority, facts.authority);
  add(proto::ProxyTlvType::alpn, facts.alpn);
  if (facts.tls) {
    ssl = proto::proxy_ssl_value({.certificate = facts.tls->certificate,
                                  .verified = facts.tls->verified,
                                  .version = facts.tls->version,
                                  .cipher = facts.tls->cipher,
                                  .common_name = facts.tls->common_name});
    add(proto::ProxyTlvType::ssl, ssl);
  }
  // A long name of a certificate must not keep the client out: what does not fit is left out, the last first.
  for (;;) {
    const auto header = proto::write_proxy_v2(client, to, tlvs);
    if (header || tlvs.empty()) return *header;
    tlvs.pop_back();
  }
}

std::string make_unique_id(Random& random) {
  constexpr char kDigits[] = "0123456789abcdef";
  char bytes[16];
  random.fill(bytes);
  std::string out;
  for (const char byte : bytes) {
    out += kDigits[static_cast<unsigned char>(byte) >> 4];
    out += kDigits[static_cast<unsigned char>(byte) & 15];
  }
  return out;
}

}  // namespace rejoin::serve
