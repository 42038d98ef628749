#include "proto/ws_frame_walk.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/random.h"

namespace rejoin::proto {
namespace {

constexpr MaskKey kKey{'\x11', '\x22', '\x33', '\x44'};

struct Sent {
  WsOpcode opcode;
  std::size_t payload;
  Fin fin = Fin::yes;
};

std::string frame(const Sent& sent, WsRole sender) {
  FrameSpec spec;
  spec.opcode = sent.opcode;
  spec.payload_bytes = sent.payload;
  spec.fin = sent.fin;
  if (sender == WsRole::client) spec.mask = kKey;
  return std::string(write_frame_header(spec).view()) + std::string(sent.payload, 'p');
}

/// What a walk over `pieces` saw: one line per header, and where the borders were.
struct Seen {
  std::vector<std::string> headers;
  std::vector<std::size_t> borders;
  bool refused = false;
};

Seen walk(WsRole sender, const std::vector<std::string>& pieces) {
  WsFrameWalk walk(sender);
  Seen seen;
  std::size_t at = 0;
  for (const std::string& piece : pieces) {
    Bytes left = piece;
    while (!left.empty()) {
      const WsFrameWalk::Step step = walk.step(left);
      if (step.is == WsFrameWalk::Is::refused) {
        seen.refused = true;
        EXPECT_FALSE(walk.reason().empty());
        return seen;
      }
      if (step.is == WsFrameWalk::Is::header) {
        seen.headers.push_back(std::to_string(static_cast<int>(walk.opcode())) +
                               (walk.fin() ? " fin " : " ") + std::to_string(walk.length()) + " of " +
                               std::to_string(walk.message_bytes()));
        EXPECT_EQ(walk.mask(), sender == WsRole::client ? kKey : MaskKey());
      }
      at += step.bytes;
      left.remove_prefix(step.bytes);
      if (walk.at_boundary()) seen.borders.push_back(at);
    }
  }
  return seen;
}

const std::vector<Sent> kConversation{
    {WsOpcode::text, 5},
    {WsOpcode::binary, 0},
    {WsOpcode::ping, 8},
    {WsOpcode::text, 125, Fin::no},
    {WsOpcode::pong, 125},
    {WsOpcode::continuation, 126, Fin::no},
    {WsOpcode::continuation, 0, Fin::yes},
    {WsOpcode::binary, 65535},
    {WsOpcode::binary, 65536},
    {WsOpcode::close, 2},
};

TEST(WsFrameWalk, sees_the_same_headers_and_borders_however_the_bytes_are_cut) {
  for (const WsRole sender : {WsRole::client, WsRole::server}) {
    std::string all;
    std::vector<std::size_t> borders;
    for (const Sent& sent : kConversation) {
      all += frame(sent, sender);
      borders.push_back(all.size());
    }
    const std::vector<std::string> headers{
        "1 fin 5 of 5", "2 fin 0 of 0",   "9 fin 8 of 0",         "1 125 of 125",         "10 fin 125 of 125",
        "0 126 of 251", "0 fin 0 of 251", "2 fin 65535 of 65535", "2 fin 65536 of 65536", "8 fin 2 of 65536"};
    const auto check = [&](const std::vector<std::string>& pieces, const std::string& what) {
      const Seen seen = walk(sender, pieces);
      ASSERT_FALSE(seen.refused) << what;
      ASSERT_EQ(seen.headers, headers) << what;
      ASSERT_EQ(seen.borders, borders) << what;
    };
    check({all}, "whole");
    for (std::size_t cut = 1; cut < 500; ++cut)
      check({all.substr(0, cut), all.substr(cut)}, "cut at " + std::to_string(cut));
    std::vector<std::string> bytes;
    for (const char byte : all) bytes.emplace_back(1, byte);
    check(bytes, "byte by byte");
    SeededRandom random(3);
    for (int round = 0; round < 50; ++round) {
      std::vector<std::string> pieces;
      for (std::size_t at = 0; at < all.size();) {
        const std::size_t size =
            1 + static_cast<std::size_t>(random.below(random.below(2) == 0 ? 12 : 40'000));
        pieces.push_back(all.substr(at, size));
        at += size;
      }
      check(pieces, "round " + std::to_string(round));
    }
  }
}

TEST(WsFrameWalk, refuses_what_would_move_the_borders) {
  const struct {
    WsRole sender;
    std::string bytes;
  } cases[] = {
      {WsRole::client, frame({WsOpcode::text, 5}, WsRole::server)},
      {WsRole::server, frame({WsOpcode::text, 5}, WsRole::client)},
      {WsRole::server, std::string("\x09\x00", 2)},                       // a ping without FIN
      {WsRole::server, std::string("\x89\x7e\x00\x7e", 4)},               // a ping of 126 bytes
      {WsRole::server, std::string("\x82\x7e\x00\x7d", 4)},               // 125 in two bytes
      {WsRole::server, std::string("\x82\x7f\0\0\0\0\0\0\xff\xff", 10)},  // 65535 in eight
      {WsRole::server, std::string("\x82\x7f\x80\0\0\0\0\0\0\0", 10)},    // 2^63
  };
  for (const auto& it : cases) {
    EXPECT_TRUE(walk(it.sender, {it.bytes}).refused) << it.bytes;
    std::vector<std::string> bytes;
    for (const char byte : it.bytes) bytes.emplace_back(1, byte);
    EXPECT_TRUE(walk(it.sender, bytes).refused) << it.bytes;
  }
}

TEST(WsFrameWalk, agrees_with_the_reader_of_frames) {
  std::string all;
  for (const Sent& sent : kConversation) all += frame(sent, WsRole::client);
  WsFrameWalk walk(WsRole::client);
  FrameReader reader(WsRole::server, 1 << 20);
  std::string copy = all;
  MutableBytes input(copy.data(), copy.size());
  std::size_t frames = 0;
  Bytes left = all;
  while (!left.empty()) {
    const WsFrameWalk::Step step = walk.step(left);
    left.remove_prefix(step.bytes);
    if (walk.at_boundary()) ++frames;
  }
  std::size_t events = 0;
  for (WsEvent event = reader.feed(input);
       event.kind != WsEvent::Kind::more && event.kind != WsEvent::Kind::refused;
       event = reader.feed(input)) {
    ++events;
    if (event.kind == WsEvent::Kind::close) break;
  }
  EXPECT_EQ(frames, kConversation.size());
  EXPECT_GE(events + 1, frames) << "an empty last fragment may be no event of its own";
}

}  // namespace
}  // namespace rejoin::proto
