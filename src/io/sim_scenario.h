// Small programs for the tests of the simulation itself: a server that echoes until a connection is over, and
// a client that sends a known stream and checks what comes back. They hold when anything breaks at any
// moment.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "io/sim_network.h"

namespace rejoin::io::scenario {

/// The byte at a position of the stream of client `who`.
inline char stream_byte(std::size_t who, std::size_t at) {
  return static_cast<char>(((who + 1) * 7919 + at) * 2654435761u >> 11);
}

/// One connection that is read and written by turns; over when either fails or ends.
class Talk final : public SocketEvents {
 public:
  explicit Talk(Socket given) : socket(std::move(given)) { socket.set_events(this); }
  Talk(const Talk&) = delete;
  Talk& operator=(const Talk&) = delete;
  void on_ready(Ready) override {
    if (act) act();
  }
  /// Reads what is there into `received`. False when the connection is over.
  bool pull() {
    while (!ended && socket.may_read()) {
      const ReadResult got = socket.read();
      if (got.state == ReadResult::State::would_block) break;
      if (got.state == ReadResult::State::ended) ended = true;
      if (got.state == ReadResult::State::failed) errnum = got.errnum;
      if (errnum != 0) return false;
      received.append(got.view());
    }
    return true;
  }
  /// Writes what of `to_send` is left. False when the connection is over.
  bool push() {
    while (sent < to_send.size() && socket.may_write()) {
      const WriteResult done = socket.write(Bytes(to_send).substr(sent));
      if (done.errnum != 0) errnum = done.errnum;
      if (errnum != 0) return false;
      sent += done.taken;
    }
    return true;
  }

  Socket socket;
  std::function<void()> act;
  std::string received, to_send;
  std::size_t sent = 0;
  int errnum = 0;
  bool ended = false;
};

class EchoServer final : public AcceptEvents {
 public:
  EchoServer(SimHost& host, std::uint16_t port) : EchoServer(host, host.network(), port) {}
  /// Over a network of that host's that is not its own.
  EchoServer(SimHost& host, Network& network, std::uint16_t port) : host_(host), network_(network) {
    open(port);
  }
  void open(std::uint16_t port) {
    auto made = network_.listen(host_.address(port), {}, *this);
    ASSERT_TRUE(made) << to_string(made.error());
    listener_ = std::move(*made);
  }
  void on_accept(Socket socket, const Address&) override {
    ++accepted;
    talks_.push_back(std::make_unique<Talk>(std::move(socket)));
    Talk* talk = talks_.back().get();
    talk->act = [this, talk] { serve(*talk); };
    serve(*talk);
  }
  void stop() {
    listener_.reset();
    talks_.clear();
  }
  std::vector<std::unique_ptr<Talk>>& talks() { return talks_; }
  std::size_t accepted = 0;

 private:
  void serve(Talk& talk) {
    if (!talk.socket) return;
    bool good = talk.pull();
    talk.to_send.append(std::exchange(talk.received, {}));
    good = good && talk.push();
    if (!good || (talk.ended && talk.sent == talk.to_send.size())) talk.socket.close();
  }
  SimHost& host_;
  Network& network_;
  std::unique_ptr<Listener> listener_;
  std::vector<std::unique_ptr<Talk>> talks_;
};

/// Dials once, sends `bytes` of its stream, and expects them back. `over()` when all came, or the connection
/// did not hold.
class EchoClient {
 public:
  EchoClient(SimHost& host, Address to, std::size_t who, std::size_t bytes)
      : EchoClient(host.network(), to, who, bytes) {}
  EchoClient(Network& network, Address to, std::size_t who, std::size_t bytes) : who_(who) {
    auto made = network.connect(to, {});
    if (!made) {
      refused = true;
      return;
    }
    talk = std::make_unique<Talk>(std::move(*made));
    for (std::size_t at = 0; at < bytes; ++at) talk->to_send.push_back(stream_byte(who, at));
    talk->act = [this] { go_on(); };
  }
  bool over() const { return talk == nullptr || !talk->socket; }
  bool complete() const { return talk != nullptr && talk->received.size() == talk->to_send.size(); }
  /// What came is a beginning of what was sent, and nobody else's.
  void check() const {
    if (talk == nullptr) return;
    ASSERT_LE(talk->received.size(), talk->sent);
    ASSERT_TRUE(Bytes(talk->to_send).starts_with(talk->received)) << "client " << who_ << " got other bytes";
  }
  void give_up() {
    if (talk != nullptr) talk->socket.close();
  }
  bool refused = false;
  std::unique_ptr<Talk> talk;

 private:
  void go_on() {
    if (!talk->socket) return;
    if (!opened_) {
      if (!talk->socket.may_write()) return;
      const Status open = talk->socket.connect_status();
      refused = !open;
      opened_ = true;
    }
    if (refused || !talk->push() || !talk->pull() || talk->ended || complete()) talk->socket.close();
  }
  std::size_t who_;
  bool opened_ = false;
};

}  // namespace rejoin::io::scenario
