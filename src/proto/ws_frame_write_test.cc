// Writing frames, masking, and whole messages from pieces.
#include <gtest/gtest.h>

#include <string>

#include "base/random.h"
#include "proto/ws_frame.h"
#include "proto/ws_message.h"

namespace rejoin::proto {
namespace {

std::string header(WsOpcode opcode, std::uint64_t bytes, std::optional<MaskKey> mask = std::nullopt,
                   Fin fin = Fin::yes, bool compressed = false) {
  FrameSpec spec;
  spec.opcode = opcode;
  spec.payload_bytes = bytes;
  spec.mask = mask;
  spec.fin = fin;
  spec.compressed = compressed;
  return std::string(write_frame_header(spec).view());
}

constexpr MaskKey kKey{1, 2, 3, 4};

TEST(FrameWriter, HeadersAtTheBordersOfTheirLengths) {
  using namespace std::string_literals;
  EXPECT_EQ(header(WsOpcode::text, 0), "\x81\x00"s);
  EXPECT_EQ(header(WsOpcode::binary, 125), "\x82\x7d");
  EXPECT_EQ(header(WsOpcode::binary, 126), "\x82\x7e\x00\x7e"s);
  EXPECT_EQ(header(WsOpcode::binary, 65535), "\x82\x7e\xff\xff");
  EXPECT_EQ(header(WsOpcode::binary, 65536), "\x82\x7f\0\0\0\0\0\1\0\0"s);
  EXPECT_EQ(header(WsOpcode::binary, 0x7fffffffffffffff), "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff");
  EXPECT_EQ(header(WsOpcode::text, 5, kKey), "\x81\x85\1\2\3\4");
  EXPECT_EQ(header(WsOpcode::text, 70000, kKey).size(), 14u);
  EXPECT_EQ(header(WsOpcode::text, 1, std::nullopt, Fin::no), "\x01\x01");
  EXPECT_EQ(header(WsOpcode::continuation, 1, std::nullopt, Fin::yes), "\x80\x01");
  EXPECT_EQ(header(WsOpcode::text, 1, std::nullopt, Fin::yes, true), "\xc1\x01");
}

TEST(FrameWriter, MaskOfEveryLengthPlaceAndOffset) {
  SeededRandom random(3);
  for (std::size_t size = 0; size < 150; ++size) {
    for (std::size_t offset = 0; offset < 5; ++offset) {
      for (const std::size_t shift : {0, 1, 3}) {
        std::string bytes(size + shift, '\0');
        random.fill(bytes);
        const MaskKey key = make_mask_key(random);
        std::string expected = bytes;
        for (std::size_t i = 0; i < size; ++i)
          expected[i + shift] = static_cast<char>(expected[i + shift] ^ key[(i + offset) % 4]);
        apply_mask({bytes.data() + shift, size}, key, offset);
        ASSERT_EQ(bytes, expected) << size << " " << offset;
      }
    }
  }
}

TEST(FrameWriter, WhatIsWrittenIsRead) {
  SeededRandom random(4);
  for (const WsRole role : {WsRole::server, WsRole::client}) {
    for (const std::size_t size : {0, 1, 125, 126, 65535, 65536, 70001}) {
      std::string payload(size, '\0');
      random.fill(payload);
      const std::optional<MaskKey> mask =
          role == WsRole::server ? std::optional(make_mask_key(random)) : std::nullopt;
      std::string stream;
      append_frame(stream, WsOpcode::binary, payload, mask);
      FrameReader reader(role, 100000);
      MutableBytes input = stream;
      const WsEvent event = reader.feed(input);
      EXPECT_EQ(event.kind, WsEvent::Kind::data);
      EXPECT_TRUE(event.last && event.view() == payload) << size;
    }
  }
}

std::pair<std::uint16_t, std::string> read_close(const ControlFrame& frame, WsRole role) {
  std::string bytes(frame.view());
  FrameReader reader(role, 0);
  MutableBytes input = bytes;
  const WsEvent event = reader.feed(input);
  EXPECT_EQ(event.kind, WsEvent::Kind::close) << event.reason;
  EXPECT_TRUE(input.empty());
  return {number(event.code), std::string(event.view())};
}

TEST(FrameWriter, Closes) {
  using Read = std::pair<std::uint16_t, std::string>;
  EXPECT_EQ(read_close(write_close(CloseCode::normal, "bye", std::nullopt), WsRole::client),
            Read(1000, "bye"));
  EXPECT_EQ(read_close(write_close(CloseCode::too_big, "", kKey), WsRole::server), Read(1009, ""));
  EXPECT_EQ(read_close(write_close(CloseCode::none, "dropped", kKey), WsRole::server), Read(1005, ""));
  EXPECT_EQ(read_close(write_close(static_cast<CloseCode>(4404), "x", kKey), WsRole::server),
            Read(4404, "x"));
  EXPECT_EQ(read_close(write_close(CloseCode::policy, std::string(200, 'r'), kKey), WsRole::server),
            Read(1008, std::string(123, 'r')));
  EXPECT_EQ(read_close(write_close(CloseCode::policy, std::string(121, 'r') + "\xe2\x82\xac", kKey),
                       WsRole::server),
            Read(1008, std::string(121, 'r')));
  EXPECT_EQ(read_close(write_close(CloseCode::policy, "\xff", kKey), WsRole::server), Read(1008, ""));
  const std::string most(125, 'p');
  EXPECT_EQ(write_control(WsOpcode::ping, most, std::nullopt).view(), "\x89\x7d" + most);
  EXPECT_EQ(write_control(WsOpcode::pong, most, kKey).view().size(), 131u);
}

TEST(FrameWriter, EveryRefusalFitsIntoACloseFrame) {
  for (const char* stream : {"\x81\x01", "\xff\x81", "\x83\x80", "\x09\x80"}) {
    FrameReader reader(WsRole::server, 100);
    std::string bytes = stream;
    MutableBytes input = bytes;
    const WsEvent event = reader.feed(input);
    ASSERT_EQ(event.kind, WsEvent::Kind::refused);
    EXPECT_EQ(read_close(write_close(event.code, event.reason, std::nullopt), WsRole::client).second,
              event.reason);
  }
}

TEST(MessageAssembler, WholeOnesAreNotCopied) {
  MessageAssembler assembler;
  const std::string lent = "whole";
  const auto message = assembler.add(lent, true, true);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->data(), lent.data());
  EXPECT_EQ(assembler.held_bytes(), 0u);
}

TEST(MessageAssembler, PiecesAreHeldUntilTheLast) {
  MessageAssembler assembler;
  for (int round = 0; round < 2; ++round) {
    EXPECT_FALSE(assembler.add("ab", true, false));
    EXPECT_FALSE(assembler.add("", false, false));
    EXPECT_EQ(assembler.held_bytes(), 2u);
    assembler.release();  // holds on to what has not ended
    const auto message = assembler.add("cd", false, true);
    ASSERT_TRUE(message);
    EXPECT_EQ(*message, "abcd");
    EXPECT_EQ(assembler.held_bytes(), 0u);
    assembler.release();
  }
  EXPECT_FALSE(assembler.add("cut off", true, false));
  assembler.clear();
  EXPECT_EQ(assembler.held_bytes(), 0u);
  EXPECT_EQ(*assembler.add("new", true, true), "new");
  EXPECT_FALSE(assembler.add("a", true, false));
  EXPECT_EQ(*assembler.add("", false, true), "a");
  EXPECT_EQ(*assembler.add("", true, true), "");
}

}  // namespace
}  // namespace rejoin::proto
