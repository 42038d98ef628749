// For tests: a client that speaks rejoin.v1 as its test wants it, right or wrong, over WebSocket or TCP.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "apps/gateway/test_scene.h"
#include "proto/resume_frame.h"

namespace rejoin::gateway {

enum class Road { websocket, tcp };

/// What a client keeps of its session.
struct Kept {
  proto::SessionSecret secret{};
  std::string ticket;
  std::uint32_t epoch = 1;
  std::uint64_t received = 0;

  /// The next RESUME, with a proof that holds.
  std::string resume() {
    std::string frame;
    proto::Resume fields;
    fields.ticket = ticket;
    fields.epoch = ++epoch;
    fields.received = received;
    proto::append_resume(frame, fields, secret);
    return frame;
  }
};

inline std::string hello(std::string_view identity = "player", std::uint8_t version = 1) {
  std::string frame;
  proto::Hello fields;
  fields.version = version;
  fields.identity = identity;
  proto::append_hello(frame, fields);
  return frame;
}
inline std::string data(std::uint64_t seq, std::string_view message, std::uint64_t ack = 0) {
  std::string frame;
  proto::append_data(frame, true, seq, ack, message);
  return frame;
}
inline std::string ack_of(std::uint64_t count) {
  std::string frame;
  proto::append_ack(frame, count);
  return frame;
}

/// One link.
class ResumeLink {
 public:
  /// With `resume`, a WebSocket brings it in its list of sub-protocols.
  ResumeLink(Scene& scene, Road road, std::string_view resume = {}, const std::string& more_fields = {})
      : scene_(scene),
        road_(road),
        raw_(scene.client(road == Road::websocket ? Scene::kWebSocketPort : Scene::kTcpPort)) {
    if (road == Road::tcp) {
      if (!resume.empty()) say(resume);
      return;
    }
    std::string protocols = "rejoin.v1";
    if (!resume.empty()) protocols += ", " + *proto::resume_item(resume);
    raw_.say(kUpgrade + "Sec-WebSocket-Protocol: " + protocols + "\r\n" + more_fields + "\r\n");
  }

  void say(std::string_view frame) {
    if (road_ == Road::websocket) {
      raw_.say(masked(proto::WsOpcode::binary, frame));
      return;
    }
    char length[4];
    store_u32(length, static_cast<std::uint32_t>(frame.size()));
    raw_.say(std::string(length, 4) + std::string(frame));
  }

  /// Every whole frame so far; a WebSocket's close frame is "close CODE".
  std::vector<std::string> frames() const {
    std::string_view bytes = raw_.heard();
    std::vector<std::string> out;
    if (road_ == Road::websocket) {
      const std::size_t head = bytes.find("\r\n\r\n");
      if (head == bytes.npos) return out;
      for (const HeardFrame& frame : frames_in(bytes.substr(head + 4))) {
        out.push_back(frame.opcode == proto::WsOpcode::close ? "close " + std::to_string(frame.code)
                                                             : frame.payload);
      }
      return out;
    }
    while (bytes.size() >= 4 && bytes.size() - 4 >= load_u32(bytes.data())) {
      out.emplace_back(bytes.substr(4, load_u32(bytes.data())));
      bytes.remove_prefix(4 + out.back().size());
    }
    return out;
  }
  /// "WELCOME; DATA 1 'hello' ack 0; DETACH 4409 stop; close 4409"
  std::string told() const {
    std::string out;
    for (const std::string& frame : frames()) out += (out.empty() ? "" : "; ") + describe(frame);
    return out;
  }
  /// Waits until what was told ends so.
  testing::AssertionResult hears(std::string_view end) {
    if (scene_.until([&] { return std::string_view(told()).ends_with(end); }))
      return testing::AssertionSuccess();
    return testing::AssertionFailure() << "heard " << told() << (raw_.over() ? " (over)" : "");
  }

  /// Reads what a WELCOME gave.
  Kept kept() const {
    Kept kept;
    for (const std::string& bytes : frames()) {
      const auto frame = proto::parse_frame(bytes);
      if (!frame) continue;
      if (frame->head.is(proto::FrameType::data)) kept.received = frame->head.seq;
      if (!frame->head.is(proto::FrameType::welcome)) continue;
      const auto welcome = proto::parse_welcome(frame->body);
      kept.secret = welcome->secret;
      kept.ticket = welcome->ticket;
    }
    return kept;
  }

  RawClient& raw() { return raw_; }

  static std::string describe(std::string_view bytes) {
    const auto frame = proto::parse_frame(bytes);
    if (bytes.starts_with("close ") || !frame) return std::string(bytes);
    std::string out = proto::frame_name(frame->head.type);
    if (const auto resumed =
            frame->head.is(proto::FrameType::resumed) ? proto::parse_resumed(frame->body) : std::nullopt) {
      out += " " + std::to_string(resumed->received) + "/" + std::to_string(resumed->next) + "/" +
             std::to_string(resumed->last);
    } else if (frame->head.is(proto::FrameType::data)) {
      out += " " + std::to_string(frame->head.seq) + " '" + std::string(frame->body.substr(0, 12)) + "'";
    } else if (frame->head.is(proto::FrameType::ack)) {
      out += " " + std::to_string(frame->head.ack);
    } else if (frame->head.is(proto::FrameType::detach)) {
      const auto detach = proto::parse_detach(frame->body);
      static constexpr const char* kActions[] = {"move", "again", "login", "stop"};
      out += " " + std::to_string(detach->code) + " " + kActions[static_cast<int>(detach->action)];
      if (detach->epoch != 0) out += " epoch " + std::to_string(detach->epoch);
    } else if (frame->head.is(proto::FrameType::close)) {
      out += " " + std::to_string(proto::parse_close(frame->body)->code);
    }
    return out;
  }

 private:
  Scene& scene_;
  Road road_;
  RawClient& raw_;
};

}  // namespace rejoin::gateway
