// For tests: a gateway's worker and raw clients on a simulated network. A client says bytes and keeps bytes;
// what they mean is the test's business, so that a client may be as bad as it likes.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "apps/config/config.h"
#include "apps/gateway/worker.h"
#include "io/sim_network.h"
#include "proto/ws_frame.h"
#include "watch/memory_sink.h"

namespace rejoin::gateway {

/// One raw connection. Reads all that comes unless told not to.
class RawClient final : private io::SocketEvents {
 public:
  RawClient(io::SimHost& host, const Address& to) {
    auto socket = host.network().connect(to, {});
    if (!socket) {
      broken_ = true;
      return;
    }
    socket_ = std::move(*socket);
    socket_.set_events(this);
  }

  void say(std::string_view bytes) {
    unsent_ += bytes;
    flush();
  }
  /// FIN, behind what was said so far.
  void say_fin() {
    fin_ = true;
    flush();
  }
  /// A RST, as from a phone whose network is gone and tells so.
  void break_off() {
    socket_.reset();
    broken_ = true;
    open_ = false;
  }
  void stop_reading() { reading_ = false; }
  void read_on() {
    reading_ = true;
    read();
  }

  const std::string& heard() const { return heard_; }
  std::size_t unsent() const { return unsent_.size(); }
  /// The other side said FIN.
  bool ended() const { return ended_; }
  /// It was refused or reset.
  bool broken() const { return broken_; }
  bool over() const { return ended_ || broken_; }

 private:
  void on_ready(io::Ready ready) override {
    if (ready.writable) {
      if (!open_) {
        open_ = static_cast<bool>(socket_.connect_status());
        if (!open_) {
          broken_ = true;
          return;
        }
      }
      flush();
    }
    if (ready.readable) read();
  }

  void flush() {
    if (!open_ || broken_) return;
    while (!unsent_.empty() && socket_.may_write()) {
      const io::WriteResult written = socket_.write(unsent_);
      if (written.errnum != 0) {
        broken_ = true;
        return;
      }
      unsent_.erase(0, written.taken);
    }
    if (unsent_.empty() && std::exchange(fin_, false)) socket_.shutdown_write();
  }

  void read() {
    while (open_ && reading_ && !over() && socket_.may_read()) {
      const io::ReadResult read = socket_.read();
      switch (read.state) {
        case io::ReadResult::State::got: heard_ += read.view(); break;
        case io::ReadResult::State::would_block: return;
        case io::ReadResult::State::ended: ended_ = true; return;
        case io::ReadResult::State::failed: broken_ = true; return;
      }
    }
  }

  io::Socket socket_;
  std::string unsent_, heard_;
  bool open_ = false, reading_ = true, fin_ = false, ended_ = false, broken_ = false;
};

/// One frame that a client heard, or the place where there is none.
struct HeardFrame {
  proto::WsOpcode opcode{};
  std::string payload;
  std::uint16_t code = 0;  // of a close frame; 0 without one

  bool operator==(const HeardFrame&) const = default;
};
inline std::ostream& operator<<(std::ostream& out, const HeardFrame& frame) {
  return out << "opcode " << static_cast<int>(frame.opcode) << " code " << frame.code << " '"
             << frame.payload.substr(0, 40) << "' (" << frame.payload.size() << ')';
}

inline HeardFrame text_frame(std::string payload) { return {proto::WsOpcode::text, std::move(payload)}; }
inline HeardFrame close_frame(std::uint16_t code) { return {proto::WsOpcode::close, "", code}; }

/// Unmasked, unfragmented frames one behind the other, as our server sends them. Close reasons are left out.
inline std::vector<HeardFrame> frames_in(std::string_view bytes) {
  std::vector<HeardFrame> out;
  while (bytes.size() >= 2) {
    HeardFrame frame;
    EXPECT_EQ(bytes[0] & 0xf0, 0x80) << "FIN and nothing else";
    EXPECT_EQ(bytes[1] & 0x80, 0) << "a server does not mask";
    frame.opcode = static_cast<proto::WsOpcode>(bytes[0] & 15);
    std::size_t length = bytes[1] & 127, head = 2;
    if (length == 126 && bytes.size() >= 4) {
      length = load_u16(bytes.data() + 2);
      head = 4;
    } else if (length == 127 && bytes.size() >= 10) {
      length = load_u64(bytes.data() + 2);
      head = 10;
    }
    if (bytes.size() < head + length) break;
    frame.payload = bytes.substr(head, length);
    bytes.remove_prefix(head + length);
    if (frame.opcode == proto::WsOpcode::close) {
      if (length >= 2) frame.code = load_u16(frame.payload.data());
      frame.payload.clear();
    }
    out.push_back(std::move(frame));
  }
  EXPECT_TRUE(bytes.empty()) << bytes.size() << " bytes of a frame that did not come whole";
  return out;
}

/// A masked frame as a client sends it.
inline std::string masked(proto::WsOpcode opcode, std::string_view payload) {
  std::string out;
  proto::append_frame(out, opcode, payload, proto::MaskKey{'\x11', '\x22', '\x33', '\x44'});
  return out;
}

inline const std::string kUpgrade =
    "GET /play HTTP/1.1\r\nHost: play.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// A gateway "g1" with a websocket listener on port 8000, a tcp listener on 8001, and one for plain clients
/// on 8002.
class Scene {
 public:
  static constexpr std::uint16_t kWebSocketPort = 8000, kTcpPort = 8001, kPlainTcpPort = 8002;

  /// Of `base`'s listeners only the first one's edge is taken, for all of the scene's.
  explicit Scene(std::uint64_t seed = 1, const io::LinkOptions& link = {}, const config::Gateway& base = {})
      : sim(seed, link),
        gateway(sim.add_host({.name = "g1", .addresses = {"10.0.0.1"}})),
        phone(sim.add_host({.name = "phone", .addresses = {"10.1.0.2"}})),
        log(gateway.world().clock) {
    if (std::getenv("REJOIN_TRACE") != nullptr) sim.trace_to(&std::cerr);
    config::Config config;
    config.gateway = base;
    config.gateway->name = "g1";
    config::GatewayListener websocket, tcp, plain_tcp;
    websocket.listen = gateway.address(kWebSocketPort);
    tcp.listen = gateway.address(kTcpPort);
    tcp.kind = config::GatewayListenerKind::tcp;
    if (!base.listeners.empty()) websocket.edge = tcp.edge = base.listeners.front().edge;
    websocket.name = "ws";
    tcp.name = "tcp";
    plain_tcp = tcp;
    plain_tcp.name = "plain";
    plain_tcp.listen = gateway.address(kPlainTcpPort);
    plain_tcp.protocol = config::LinkProtocol::plain;
    config.gateway->listeners = {websocket, tcp, plain_tcp};
    SeededRandom random(seed);
    Result<Plan> made = make_plan(config, route::KeyRing(route::generate_key(random)), random);
    EXPECT_TRUE(made.ok());
    plan = std::make_unique<Plan>(std::move(*made));
    worker = std::make_unique<Worker>(gateway.world(), *plan, 0u, nullptr, &log);
    const Status open = worker->open({});
    EXPECT_TRUE(open.ok());
  }

  /// Ends all of it, and looks whether anything is left behind.
  ~Scene() {
    worker->stop();
    EXPECT_TRUE(sim.run_until([&] { return worker->idle(); }));
    worker.reset();
    clients_.clear();
    sim.run_for(1s);
    EXPECT_EQ(sim.leftovers_text(), "");
  }

  RawClient& client(std::uint16_t port = kWebSocketPort) { return client_at(gateway.address(port)); }
  /// Of another gateway, or another worker.
  RawClient& client_at(const Address& at) {
    clients_.push_back(std::make_unique<RawClient>(phone, at));
    return *clients_.back();
  }
  /// A client that has its 101 and its greeting; both are counted off by `heard_from`.
  RawClient& websocket(std::size_t& heard_from, const std::string& more_fields = "") {
    RawClient& one = client();
    one.say(kUpgrade + more_fields + "\r\n");
    EXPECT_TRUE(sim.run_until([&] { return one.heard().ends_with('}') || one.over(); }));
    EXPECT_TRUE(one.heard().starts_with("HTTP/1.1 101 ")) << one.heard();
    heard_from = one.heard().size();
    return one;
  }
  /// What was logged so far.
  std::vector<watch::Json> records() {
    worker->access_log()->flush();
    return log.records();
  }
  /// Waits for so many records, which there are in the end.
  std::vector<watch::Json> records(std::size_t count) {
    EXPECT_TRUE(until([&] { return records().size() >= count; })) << log.lines;
    std::vector<watch::Json> out = records();
    EXPECT_EQ(out.size(), count) << log.lines;
    return out;
  }
  bool until(const std::function<bool()>& done) { return sim.run_until(done); }

  io::Simulation sim;
  io::SimHost& gateway;
  io::SimHost& phone;
  watch::MemorySink log;
  std::unique_ptr<Plan> plan;
  std::unique_ptr<Worker> worker;

 private:
  std::vector<std::unique_ptr<RawClient>> clients_;
};

}  // namespace rejoin::gateway
