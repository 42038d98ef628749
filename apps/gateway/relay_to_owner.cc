#include "apps/gateway/relay_to_owner.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "apps/gateway/live_session.h"
#include "apps/gateway/worker.h"
#include "apps/serve/hear_proxy.h"
#include "base/limits.h"
#include "proto/http_head.h"
#include "proto/ws_extensions.h"
#include "proto/ws_handshake.h"

namespace rejoin::gateway {
namespace {

const config::PeerGateway* find_peer(const Worker& worker, const std::string& name) {
  const auto& peers = worker.rules().peers;
  const auto at = std::find_if(peers.begin(), peers.end(),
                               [&](const config::PeerGateway& peer) { return peer.name == name; });
  return at == peers.end() ? nullptr : &*at;
}

TimePoint in(Worker& worker, Duration time) { return worker.world().clock.now() + time; }

Status ours(std::string why) { return Error{ErrorKind::bad_input, Side::server, Retry::no, std::move(why)}; }

using Terms = std::optional<proto::DeflateTerms>;

/// May bytes that a client of ours sends be passed on to somebody who agreed to `theirs`, and back? Without
/// takeover no message depends on one before it.
bool fits(const Terms& ours, const Terms& theirs) {
  if (!ours) return !theirs;
  const auto no_takeover = [](const proto::DeflateTerms& it) {
    return it.server.takeover == proto::Takeover::no && it.client.takeover == proto::Takeover::no;
  };
  return theirs && no_takeover(*ours) && no_takeover(*theirs) &&
         theirs->server.window_bits <= ours->server.window_bits &&
         theirs->client.window_bits >= ours->client.window_bits;
}

/// Opens a WebSocket of rejoin.v1 to the owner, in the client's stead, with the compression that the client
/// has.
Task<Status> shake_hands(Worker& worker, io::Stream& owner, Address to, Terms deflate, std::string client) {
  const proto::HandshakeKey key = proto::make_handshake_key(worker.world().random);
  const std::string host = to.text();
  const std::array<Bytes, 1> protocols{proto::kResumeProtocol};
  const std::string offer = deflate ? proto::deflate_offer(*deflate) : std::string();
  const std::array<proto::HeaderLine, 3> headers{proto::HeaderLine{kRelayedHeader, worker.rules().name},
                                                 proto::HeaderLine{"X-Forwarded-For", client},
                                                 proto::HeaderLine{"Sec-WebSocket-Extensions", offer}};
  proto::UpgradeRequest request;
  request.host = host;
  request.protocols = protocols;
  request.headers = std::span(headers).first(deflate ? 3 : 2);
  Buffer out = worker.world().buffers.borrow();
  Status written = proto::write_upgrade_request(out, request, key);
  const TimePoint deadline = in(worker, limits::kOpeningFrameS);
  const Bytes bytes = out.view();
  if (written) written = co_await owner.write_all(bytes, deadline);
  if (!written) co_return written;
  out.clear();
  proto::ResponseHead response;
  proto::HeadVerdict verdict;
  while (verdict.state == proto::HeadState::need_more) {
    Status more = co_await owner.read_into(out, deadline);
    if (!more) co_return more;
    verdict = response.feed(out.view());
  }
  if (verdict.state != proto::HeadState::complete) co_return ours("its answer is no HTTP");
  const Result<Bytes> chosen =
      proto::check_upgrade_response(response, key, protocols, worker.hasher(), proto::Extensions::offered);
  if (!chosen) co_return chosen.error();
  const auto agreed = proto::check_deflate_answer(response, deflate.value_or(proto::DeflateTerms()));
  if (!agreed) co_return agreed.error();
  if (!fits(deflate, *agreed)) co_return ours("it does not agree to the client's compression");
  if (*chosen != proto::kResumeProtocol || out.size() != verdict.consumed)
    co_return ours("it does not speak rejoin.v1");
  co_return Status{};
}

/// A connection to a peer speaks TLS from here on.
Task<Status> enter_peer_tls(Worker& worker, io::Stream& owner, const config::PeerGateway& peer,
                            TimePoint deadline) {
  Result<io::Socket> begun =
      worker.tls().dial_with(worker.tls_of(peer)->get(), owner.release(), peer.tls->name);
  if (!begun) co_return std::move(begun.error());
  owner.adopt(std::move(*begun));
  Status open = co_await owner.writable(deadline);
  if (open) open = owner.socket().connect_status();
  co_return open;
}

/// Connects to a peer, and tells it who the client is where it wants a PROXY header, which stands before its
/// TLS.
Task<Status> connect_to_peer(Worker& worker, io::Stream& owner, const config::PeerGateway& peer, Address to,
                             Address client, Address dialled) {
  const io::ConnectOptions options;
  const TimePoint deadline = in(worker, limits::kOpeningFrameS);
  Status open = co_await owner.connect(to, options, deadline);
  if (open && peer.proxy_protocol != config::ProxyProtocol::off) {
    const serve::ClientFacts facts;
    const proto::ProxyHeader header = serve::proxy_header_for(peer.proxy_protocol, client, dialled, facts);
    open = co_await owner.write_all(header.view(), deadline);
  }
  if (open && peer.tls) open = co_await enter_peer_tls(worker, owner, peer, deadline);
  co_return open;
}

/// Dials the owner and says the client's opening frame, in the way of the link.
Task<Status> open_owner(Worker& worker, io::Stream& owner, const config::PeerGateway& peer, bool websocket,
                        Terms deflate, Address client, Address dialled, std::string frame) {
  const Address to = websocket ? peer.websocket : peer.tcp;
  Status open = co_await connect_to_peer(worker, owner, peer, to, client, dialled);
  if (!open) co_return open;
  std::string out;
  if (websocket) {
    open = co_await shake_hands(worker, owner, to, deflate, client.ip_text());
    if (!open) co_return open;
    proto::append_frame(out, proto::WsOpcode::binary, frame, proto::make_mask_key(worker.world().random));
  } else {
    out.resize(4);
    store_u32(out.data(), static_cast<std::uint32_t>(frame.size()));
    out += frame;
  }
  const Bytes bytes = out;
  Status sent = co_await owner.write_all(bytes, in(worker, limits::kOpeningFrameS));
  co_return sent;
}

/// The request as it came, but for who the client is: what they said of that themselves is not passed on.
std::string relayed_head(const std::string& head, const Address& client, const std::string& by) {
  proto::RequestHead request;
  if (request.feed(head).state != proto::HeadState::complete) return head;  // it was complete before
  std::string out(request.start_line());
  for (const proto::Field& field : request.fields()) {
    if (field.known == proto::KnownField::x_forwarded_for) continue;
    out += "\r\n" + std::string(request.name(field)) + ": " + std::string(request.value(field));
  }
  return out + "\r\nX-Forwarded-For: " + client.ip_text() + "\r\n" + std::string(kRelayedHeader) + ": " + by +
         "\r\n\r\n";
}

}  // namespace

Task<void> relay_link_to_owner(Worker& worker, const LinkWatch& watch, std::string frame, std::string owner) {
  const bool websocket = watch.link->websocket();
  Terms deflate;
  if (websocket) {
    const auto* const compression = static_cast<WebSocketLink*>(watch.link)->compression();
    if (compression != nullptr) deflate = compression->terms();
  }
  const config::PeerGateway* const peer = find_peer(worker, owner);
  Address to;
  if (peer != nullptr) to = websocket ? peer->websocket : peer->tcp;
  io::Stream stream(worker.world(), Side::server, worker.stop_switch());
  Status open = ours("it is not in the list of peers");
  const Address from = watch.link->client(), dialled = watch.link->local();
  if (to)
    open = co_await open_owner(worker, stream, *peer, websocket, deflate, from, dialled, std::move(frame));
  if (watch.link == nullptr || watch.link->phase() != LinkPhase::open) co_return;
  Link& link = *watch.link;
  if (!open || link.unsent() != 0) {
    if (!open) worker.tell(link, "no way to its owner " + owner + ": " + to_string(open.error()));
    proto::Detach detach;
    detach.code = number(proto::LinkCode::owner_unreachable);
    detach.wait_ms = limits::kTooFastWaitMs;
    detach.reason = "its gateway cannot be reached";
    link.refuse_opening(detach);
    co_return;
  }
  const Address client = link.client();
  route::Admission::Pass pass = link.take_pass();
  std::unique_ptr<LinkNotes> notes = link.take_notes();
  io::Socket socket = link.give_away();
  worker.park_relay(std::move(socket), stream.release(), client, owner, std::move(pass), std::move(notes));
}

Task<bool> relay_request_to_owner(Worker& worker, io::Stream& client, Address client_address,
                                  std::string head, std::string behind, std::string owner,
                                  route::Admission::Pass& pass, std::unique_ptr<LinkNotes> notes) {
  const config::PeerGateway* const peer = find_peer(worker, owner);
  if (peer == nullptr || !peer->websocket) co_return false;
  const Address to = peer->websocket;
  io::Stream stream(worker.world(), Side::server, worker.stop_switch());
  const Address dialled = client.socket().local_address();
  Status open = co_await connect_to_peer(worker, stream, *peer, to, client_address, dialled);
  if (!open) {
    worker.world().log.warn("gateway " + owner + " cannot be reached: " + to_string(open.error()));
    co_return false;
  }
  const std::string request = relayed_head(head, client_address, worker.rules().name) + behind;
  const Bytes bytes = request;
  Status sent = co_await stream.write_all(bytes, in(worker, limits::kOpeningFrameS));
  if (!sent) co_return false;
  worker.park_relay(client.release(), stream.release(), client_address, owner, std::move(pass),
                    std::move(notes));
  co_return true;
}

}  // namespace rejoin::gateway
