// Frames of a gateway written by hand, and what a client answers in words: for the tables of
// client_session_test.cc and its neighbours.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "session/client_session.h"

namespace rejoin::session {

using proto::DetachAction;
using proto::FrameType;
using proto::LinkCode;
using Kind = Heard::Kind;

inline proto::SessionSecret secret() {
  proto::SessionSecret out;
  out.fill('k');
  return out;
}

// --- frames of the gateway ---

inline std::string welcome(std::uint32_t window_messages = 8, std::uint32_t window_bytes = 1000) {
  proto::Welcome welcome;
  welcome.secret = secret();
  welcome.ticket = "ticket-1";
  welcome.grace_ms = 60'000;
  welcome.ping_ms = 15'000;
  welcome.dead_ms = 40'000;
  welcome.window_bytes = window_bytes;
  welcome.window_messages = window_messages;
  welcome.spread_ms = 700;
  welcome.addresses = {"ws://direct:1/"};
  std::string out;
  proto::append_welcome(out, welcome);
  return out;
}
inline std::string resumed(std::uint64_t received, std::uint64_t next, std::uint64_t last,
                           std::uint64_t ack) {
  std::string out;
  proto::append_resumed(out, {received, next, last}, ack);
  return out;
}
inline std::string detach(LinkCode code, DetachAction action, std::uint32_t wait = 0, std::uint32_t epoch = 0,
                          Bytes address = {}, Bytes reason = {}) {
  std::string out;
  proto::append_detach(out, {number(code), action, wait, epoch, address, reason}, 0);
  return out;
}
inline std::string data(std::uint64_t seq, Bytes message, std::uint64_t ack = 0, bool text = false) {
  std::string out;
  proto::append_data(out, text, seq, ack, message);
  return out;
}
inline std::string ack(std::uint64_t count) {
  std::string out;
  proto::append_ack(out, count);
  return out;
}
inline std::string ping(FrameType type, std::uint64_t value, std::uint64_t count = 0) {
  std::string out;
  proto::append_ping(out, type, value, count);
  return out;
}
inline std::string close_frame(std::uint16_t code, Bytes reason = {}) {
  std::string out;
  proto::append_close(out, {code, reason}, 0);
  return out;
}

inline ClientSession make(Bytes identity = "who", Bytes application = "app") {
  Result<ClientSession> made = ClientSession::make(identity, application);
  return std::move(*made);
}
/// With a session, on link 1, the ACK to WELCOME written.
inline ClientSession open_session(std::uint32_t window_messages = 8) {
  ClientSession session = make();
  session.open(1);
  const Heard heard = session.heard(1, welcome(window_messages));
  EXPECT_EQ(heard.kind, Kind::opened);
  std::string frame;
  while (session.next_frame(1, frame)) {
  }
  return session;
}

/// The frames that wait for a link, in words: "ACK:3 DATA#1:3=hello CLOSE PING=1 PONG=9".
inline std::string written(ClientSession& session, LinkNumber link) {
  std::string out, frame;
  while (session.next_frame(link, frame)) {
    const auto view = proto::parse_frame(frame);
    if (!out.empty()) out += ' ';
    out += proto::frame_name(view->head.type);
    if (view->head.is(FrameType::data)) out += "#" + std::to_string(view->head.seq);
    out += ":" + std::to_string(view->head.ack);
    if (view->head.is(FrameType::data)) out += "=" + std::string(view->body);
    if (view->head.is(FrameType::ping) || view->head.is(FrameType::pong))
      out += "=" + std::to_string(*proto::parse_ping(view->body));
    if (view->head.is(FrameType::close)) out += "=" + std::to_string(proto::parse_close(view->body)->code);
  }
  return out;
}
/// A whole message was given to the application.
inline void take(ClientSession& session, LinkNumber link, const std::string& frame) {
  const Heard heard = session.heard(link, frame);
  ASSERT_EQ(heard.kind, Kind::message) << heard.reason;
  session.accepted(heard.bytes.size());
}

}  // namespace rejoin::session
