// For tests of the client: the toy gateway (session/toy_gateway.h) behind real listeners of any World, one
// for WebSockets and one for length-framed TCP, so one session can be reached by both.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/timers.h"
#include "io/network.h"
#include "io/world.h"
#include "proto/http_head.h"
#include "proto/length_framing.h"
#include "proto/resume_frame.h"
#include "proto/ws_frame.h"
#include "proto/ws_handshake.h"
#include "proto/ws_message.h"
#include "session/toy_gateway.h"

namespace rejoin::client {

class FakeGateway {
 public:
  FakeGateway(io::World& world, session::SessionRules rules)
      : toy(
            rules, world.random, [this](int link, std::string frame) { put(link, frame); },
            [this](int link, std::uint16_t code) { close(link, code); }),
        world_(world),
        tick_([](void* self) { static_cast<FakeGateway*>(self)->tick(); }, this) {
    tick();
  }
  ~FakeGateway() { stop(); }

  /// The address that it got. `network`: another than the World's own, for TLS.
  Address listen_websocket(const Address& at, io::Network* network = nullptr) {
    return listen(at, true, network);
  }
  Address listen_tcp(const Address& at, io::Network* network = nullptr) { return listen(at, false, network); }
  void stop() {
    listeners_.clear();
    links_.clear();
    tick_.cancel();
  }

  /// What the handshakes brought.
  struct Asked {
    std::string target, origin, ticket, cookie, extra;
    bool with_item = false;
  };
  std::vector<Asked> asked;
  /// Field lines of the 101.
  std::string more_lines;
  /// Not 101: every handshake is answered so. For those with an item only, if `items_only`.
  int refuse_with = 0;
  bool items_only = false;
  std::string refuse_lines;
  bool mute = false;                                      // reads, and says nothing
  std::vector<std::pair<Address, std::string>> openings;  // peer, name of the opening frame

  session::ToyGateway toy;

  std::size_t links() const { return links_.size(); }
  /// Breaks every link as it stands.
  void reset_all() {
    for (auto& [number, link] : links_) {
      link->socket.reset();
      link->dead = true;
      toy.lost(number);
    }
    sweep();
  }
  /// Bytes as they are, on every link.
  void say_raw(Bytes bytes) {
    for (auto& [number, link] : links_) {
      link->out += bytes;
      flush(*link);
    }
  }

 private:
  struct Link final : io::SocketEvents {
    Link(FakeGateway& owner, int id, io::Socket taken, bool ws)
        : gateway(owner), number(id), socket(std::move(taken)), websocket(ws), handshaken(!ws) {}
    void on_ready(io::Ready) override {
      gateway.serve(*this);
      gateway.sweep();
    }
    FakeGateway& gateway;
    int number;
    io::Socket socket;
    bool websocket, handshaken;
    bool dead = false, closing = false, said_fin = false;
    std::string head, out;
    proto::FrameReader frames{proto::WsRole::server, 1 << 20};
    proto::LengthReader lengths{proto::LengthFormat{.message_max = 1 << 20}};
    proto::MessageAssembler assembler;
  };
  struct Door final : io::AcceptEvents {
    Door(FakeGateway& owner, bool ws) : gateway(owner), websocket(ws) {}
    void on_accept(io::Socket socket, const Address&) override {
      gateway.accept(std::move(socket), websocket);
    }
    FakeGateway& gateway;
    bool websocket;
    std::unique_ptr<io::Listener> listener;
  };

  Address listen(const Address& at, bool websocket, io::Network* network) {
    auto door = std::make_unique<Door>(*this, websocket);
    auto made = (network != nullptr ? *network : world_.network).listen(at, {}, *door);
    if (!made) return {};
    door->listener = std::move(*made);
    const Address got = door->listener->address();
    listeners_.push_back(std::move(door));
    return got;
  }
  void accept(io::Socket socket, bool websocket) {
    const int number = ++last_link_;
    auto link = std::make_unique<Link>(*this, number, std::move(socket), websocket);
    Link& made = *link;
    links_[number] = std::move(link);
    made.socket.set_events(&made);
    serve(made);
    sweep();
  }
  void tick() {
    toy.now = world_.clock.now();
    toy.tick();
    for (auto& [number, link] : links_) flush(*link);
    sweep();
    world_.timers.arm(tick_, world_.clock.now() + 50ms);
  }

  void serve(Link& link) {
    toy.now = world_.clock.now();
    while (!link.dead && link.socket.may_read()) {
      const io::ReadResult read = link.socket.read();
      if (read.state == io::ReadResult::State::would_block) break;
      if (!read.got()) {
        link.dead = true;
        toy.lost(link.number);
        return;
      }
      take(link, read.bytes);
    }
    flush(link);
  }
  void take(Link& link, MutableBytes bytes) {
    if (!link.handshaken) {
      link.head.append(bytes.data(), bytes.size());
      std::string behind;
      if (!shake_hands(link, behind)) return;
      return take(link, behind);
    }
    if (!link.websocket) {
      Bytes input(bytes.data(), bytes.size());
      for (auto event = link.lengths.feed(input); event.kind == proto::LengthEvent::Kind::piece;
           event = link.lengths.feed(input)) {
        if (const auto frame = link.assembler.add(event)) hear(link, *frame);
      }
      return;
    }
    for (auto event = link.frames.feed(bytes); event.kind != proto::WsEvent::Kind::more;
         event = link.frames.feed(bytes)) {
      if (event.kind == proto::WsEvent::Kind::refused) break;
      if (event.kind == proto::WsEvent::Kind::close) {
        close(link.number, 1000);
        break;
      }
      if (event.kind != proto::WsEvent::Kind::data) continue;
      if (const auto frame = link.assembler.add(event)) hear(link, *frame);
    }
  }
  void hear(Link& link, Bytes frame) {
    if (link.closing) return;
    const auto view = proto::parse_frame(frame);
    if (view && (view->head.is(proto::FrameType::hello) || view->head.is(proto::FrameType::resume))) {
      openings.emplace_back(link.socket.peer_address(), proto::frame_name(view->head.type));
    }
    if (!mute) toy.frame(link.number, frame);
  }
  bool shake_hands(Link& link, std::string& behind) {
    proto::RequestHead head;
    const proto::HeadVerdict verdict = head.feed(link.head);
    if (verdict.state != proto::HeadState::complete) return false;
    const auto field = [&](std::string_view name) {
      const proto::Field* at = head.find(name);
      return at == nullptr ? std::string() : std::string(head.value(*at));
    };
    Asked what{std::string(head.target()),
               field("Origin"),
               field(proto::kTicketHeader),
               field("Cookie"),
               field("X-Extra"),
               false};
    std::string item_frame;
    proto::OfferedProtocols offered(head);
    bool speaks = false;
    while (const auto item = offered.next()) {
      speaks = speaks || *item == proto::kResumeProtocol;
      if (const auto frame = proto::resume_in_item(*item)) item_frame = *frame;
    }
    what.with_item = !item_frame.empty();
    asked.push_back(what);
    const proto::UpgradeVerdict upgrade = proto::check_upgrade_request(head);
    if (!upgrade.ok() || (refuse_with != 0 && (!items_only || what.with_item))) {
      link.out += "HTTP/1.1 " + std::to_string(refuse_with == 0 ? 400 : refuse_with) +
                  " No\r\nContent-Length: 0\r\n" + refuse_lines + "\r\n";
      link.closing = true;
      return false;
    }
    proto::AcceptHasher hasher;
    Buffer answer = world_.buffers.borrow();
    (void)proto::write_upgrade_response(answer, hasher.accept(upgrade.key),
                                        speaks ? proto::kResumeProtocol : Bytes(), more_lines);
    link.out += answer.view();
    link.handshaken = true;
    behind = link.head.substr(verdict.consumed);
    link.head.clear();
    if (!item_frame.empty()) hear(link, item_frame);
    return true;
  }

  void put(int number, Bytes frame) {
    const auto at = links_.find(number);
    if (at == links_.end() || at->second->dead || at->second->closing) return;
    Link& link = *at->second;
    if (link.websocket) {
      proto::append_frame(link.out, proto::WsOpcode::binary, frame, {});
    } else {
      char length[4];
      store_u32(length, static_cast<std::uint32_t>(frame.size()));
      link.out.append(length, sizeof length);
      link.out += frame;
    }
    flush(link);
  }
  void close(int number, std::uint16_t code) {
    const auto at = links_.find(number);
    if (at == links_.end() || std::exchange(at->second->closing, true)) return;
    if (at->second->websocket && at->second->handshaken)
      at->second->out += proto::write_close(static_cast<proto::CloseCode>(code), {}, {}).view();
    toy.lost(number);
    flush(*at->second);
  }
  void flush(Link& link) {
    while (!link.dead && !link.out.empty() && link.socket.may_write()) {
      const io::WriteResult written = link.socket.write(link.out);
      if (written.errnum != 0) break;
      link.out.erase(0, written.taken);
    }
    if (link.closing && !link.dead && link.out.empty() && !std::exchange(link.said_fin, true))
      link.socket.shutdown_write();
  }
  void sweep() {
    std::erase_if(links_, [](const auto& each) { return each.second->dead; });
  }

  io::World& world_;
  std::map<int, std::unique_ptr<Link>> links_;
  std::vector<std::unique_ptr<Door>> listeners_;
  int last_link_ = 0;
  Timer tick_;
};

}  // namespace rejoin::client
