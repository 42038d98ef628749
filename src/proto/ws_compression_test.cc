// permessage-deflate on a connection: two ends that talk, in frames cut anywhere, and peers that break the
// rules.
#include "proto/ws_compression.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/limits.h"
#include "base/random.h"

namespace rejoin::proto {
namespace {

constexpr DeflateTerms kTakeover{{12, Takeover::yes}, {12, Takeover::yes}};
constexpr DeflateTerms kShared{{12, Takeover::no}, {15, Takeover::no}};

constexpr std::uint32_t kMessageMax = 1 << 20;

CompressionSettings settings(WsRole role, Takeover takeover) {
  CompressionSettings out;
  out.takeover = takeover;
  out.message_min = 16;
  out.role = role;
  return out;
}

std::string text_of_length(std::size_t size) {
  std::string out;
  while (out.size() < size) out += R"({"player":)" + std::to_string(out.size() % 97) + R"(,"x":1.5},)";
  out.resize(size);
  return out;
}

struct Packed {
  Bytes payload;
  bool compressed = false;
};
Packed pack(MessageCompression& compression, Bytes message) {
  const std::optional<Bytes> payload = compression.pack(message);
  return {payload.value_or(message), payload.has_value()};
}

/// Frames of one message, its payload cut at `cuts`. A client masks.
std::string frames(WsOpcode opcode, const Packed& packed, WsRole from, std::vector<std::size_t> cuts = {}) {
  std::string out;
  cuts.push_back(packed.payload.size());
  std::size_t at = 0;
  for (std::size_t i = 0; i < cuts.size(); ++i) {
    const Bytes part = packed.payload.substr(at, cuts[i] - at);
    FrameSpec spec;
    spec.opcode = at == 0 && i == 0 ? opcode : WsOpcode::continuation;
    spec.payload_bytes = part.size();
    if (from == WsRole::client) spec.mask = MaskKey{1, 2, 3, 4};
    spec.fin = i + 1 == cuts.size() ? Fin::yes : Fin::no;
    spec.compressed = i == 0 && packed.compressed;
    out += write_frame_header(spec).view();
    const std::size_t begin = out.size();
    out += part;
    if (spec.mask) apply_mask({out.data() + begin, part.size()}, *spec.mask);
    at = cuts[i];
  }
  return out;
}

/// One end of a connection: what it hears is told as "text:...", "binary:..." or "refused:CODE".
struct End {
  End(CompressionShare& shared, const DeflateTerms& terms, std::uint32_t message_max = kMessageMax)
      : role(shared.settings().role),
        reader(role, message_max, Rsv1::allowed),
        compression(shared, terms, message_max) {}

  void hear(Bytes stream, std::size_t step = 100'000) {
    while (!stream.empty() && !refused) {
      std::string lent(stream.substr(0, step));
      stream.remove_prefix(lent.size());
      MutableBytes input = lent;
      for (;;) {
        const WsEvent event = reader.feed(input);
        if (event.kind == WsEvent::Kind::more) break;
        if (event.kind == WsEvent::Kind::refused) return refuse(event.code);
        if (event.kind != WsEvent::Kind::data) continue;
        const MessageCompression::Taken taken = compression.take(event);
        if (taken.kind == MessageCompression::Taken::Kind::more) continue;
        if (taken.kind == MessageCompression::Taken::Kind::refused) return refuse(taken.code);
        heard.push_back((event.opcode == WsOpcode::text ? "text:" : "binary:") + std::string(taken.message));
      }
      compression.release();
    }
  }
  void refuse(CloseCode code) {
    heard.push_back("refused:" + std::to_string(number(code)));
    refused = true;
  }

  WsRole role;
  FrameReader reader;
  MessageCompression compression;
  std::vector<std::string> heard;
  bool refused = false;
};

struct Pair {
  explicit Pair(Takeover takeover, const DeflateTerms& terms)
      : server_share(settings(WsRole::server, takeover)),
        client_share(settings(WsRole::client, takeover)),
        server(server_share, terms),
        client(client_share, terms) {}
  CompressionShare server_share, client_share;
  End server, client;
};

const DeflateTerms& terms_of(Takeover takeover) { return takeover == Takeover::yes ? kTakeover : kShared; }

TEST(MessageCompression, BothWaysCutAtEveryByte) {
  for (const Takeover takeover : {Takeover::no, Takeover::yes}) {
    Pair pair(takeover, terms_of(takeover));
    std::vector<std::string> expected;
    int compressed = 0;
    for (int i = 0; i < 60; ++i) {
      const bool text = i % 2 == 0;
      const std::string message = text_of_length(static_cast<std::size_t>(i) * 4);
      expected.push_back((text ? "text:" : "binary:") + message);
      for (End* const to : {&pair.server, &pair.client}) {
        End& from = to == &pair.server ? pair.client : pair.server;
        const auto packed = pack(from.compression, message);
        const bool shorter = packed.payload.size() < message.size();
        EXPECT_EQ(packed.compressed, takeover == Takeover::yes ? message.size() >= 16 : shorter) << i;
        compressed += packed.compressed;
        std::vector<std::size_t> cuts;
        for (std::size_t at = 0; i % 3 == 0 && at < packed.payload.size(); at += 3) cuts.push_back(at);
        to->hear(frames(text ? WsOpcode::text : WsOpcode::binary, packed, from.role, cuts),
                 i % 5 == 0 ? 1 : 1 + static_cast<std::size_t>(i));
        EXPECT_EQ(to->heard.back(), expected.back());
      }
    }
    EXPECT_GT(compressed, 80);
    EXPECT_EQ(pair.server.heard, expected);
    EXPECT_EQ(pair.client.heard, expected);
  }
}

TEST(MessageCompression, FramesOfRfc7692Section723) {
  struct Case {
    const char* what;
    std::string stream;
    std::vector<std::string> heard;
  };
  const auto raw = [](const char* text, std::size_t size) { return std::string(text, size); };
#define RAW(text) raw(text, sizeof text - 1)
  const Case cases[] = {
      {"one frame", RAW("\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"), {"text:Hello"}},
      {"fragments", RAW("\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00"), {"text:Hello"}},
      {"a ping between them", RAW("\x41\x03\xf2\x48\xcd\x89\x00\x80\x04\xc9\xc9\x07\x00"), {"text:Hello"}},
      {"an empty fragment at the end", RAW("\x41\x07\xf2\x48\xcd\xc9\xc9\x07\x00\x80\x00"), {"text:Hello"}},
      {"an empty fragment before", RAW("\x41\x00\x80\x07\xf2\x48\xcd\xc9\xc9\x07\x00"), {"text:Hello"}},
      {"without compression", RAW("\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), {"text:Hello"}},
      {"BFINAL", RAW("\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), {"text:Hello"}},
      {"empty", RAW("\xc2\x01\x00"), {"binary:"}},
      {"empty, no payload", RAW("\xc2\x00"), {"binary:"}},
      {"not compressed", RAW("\x81\x05Hello"), {"text:Hello"}},
      {"RSV1 on a continuation", RAW("\x41\x03\xf2\x48\xcd\xc0\x04\xc9\xc9\x07\x00"), {"refused:1002"}},
      {"RSV1 on a ping", RAW("\xc9\x00"), {"refused:1002"}},
      {"corrupt", RAW("\xc1\x01\x07"), {"refused:1007"}},
      {"cut short", RAW("\xc1\x05\xf2\x48\xcd\xc9\xc9"), {"refused:1007"}},
  };
  for (const Case& it : cases) {
    for (const Takeover takeover : {Takeover::no, Takeover::yes}) {
      for (std::size_t step = 1; step <= it.stream.size(); ++step) {
        CompressionShare share(settings(WsRole::client, takeover));
        End end(share, terms_of(takeover));
        end.hear(it.stream, step);
        EXPECT_EQ(end.heard, it.heard) << it.what << " by " << step;
      }
    }
  }
  const std::string twice = RAW("\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\xc1\x05\xf2\x00\x11\x00\x00");
  const std::vector<std::string> hellos{"text:Hello", "text:Hello"}, refused{"text:Hello", "refused:1007"};
  for (const Takeover takeover : {Takeover::no, Takeover::yes}) {
    CompressionShare share(settings(WsRole::client, takeover));
    End end(share, terms_of(takeover));
    end.hear(twice);
    EXPECT_EQ(end.heard, takeover == Takeover::yes ? hellos : refused) << "sharing the window";
  }
}

TEST(MessageCompression, TextIsUtf8WhenInflated) {
  // No takeover on the server's side lets one payload stand for any connection.
  CompressionShare sender(settings(WsRole::server, Takeover::no));
  MessageCompression packer(sender, kShared, kMessageMax);
  const std::string euros = text_of_length(100) + "\xe2\x82\xac\xf0\x9f\x98\x80";
  struct Case {
    const char* what;
    std::string text;
    bool good;
  };
  const Case cases[] = {
      {"characters of 3 and 4 bytes", euros, true},
      {"cut off at the end", euros.substr(0, euros.size() - 1), false},
      {"a byte that cannot be", text_of_length(50) + "\xff" + text_of_length(50), false},
      {"a surrogate", text_of_length(50) + "\xed\xa0\x80" + text_of_length(50), false},
      {"goes on behind a cut character", text_of_length(50) + "\xe2\x82" + text_of_length(50), false},
  };
  for (const Case& it : cases) {
    const auto packed = pack(packer, it.text);
    ASSERT_TRUE(packed.compressed) << it.what;
    for (const WsOpcode opcode : {WsOpcode::text, WsOpcode::binary}) {
      const std::string stream =
          frames(opcode, packed, WsRole::server, {packed.payload.size() / 3, packed.payload.size() / 2});
      for (const Takeover takeover : {Takeover::no, Takeover::yes}) {
        for (std::size_t step = 1; step <= stream.size(); ++step) {
          CompressionShare share(settings(WsRole::client, takeover));
          End end(share, terms_of(takeover));
          end.hear(stream, step);
          const bool text = opcode == WsOpcode::text;
          const std::string expected =
              text && !it.good ? "refused:1007" : (text ? "text:" : "binary:") + it.text;
          ASSERT_EQ(end.heard, std::vector{expected}) << it.what << " by " << step;
        }
      }
    }
  }
}

/// The same two texts over one reader: a broken one in the middle leaves no state to the next connection.
TEST(MessageCompression, OneShareManyConnections) {
  for (const Takeover takeover : {Takeover::no, Takeover::yes}) {
    CompressionShare server_share(settings(WsRole::server, takeover));
    CompressionShare client_share(settings(WsRole::client, takeover));
    std::vector<std::unique_ptr<End>> servers, clients;
    for (int i = 0; i < 5; ++i) {
      servers.push_back(std::make_unique<End>(server_share, terms_of(takeover)));
      clients.push_back(std::make_unique<End>(client_share, terms_of(takeover)));
    }
    // Each message in two frames, the second of which leaves after everybody's first.
    for (int round = 0; round < 20; ++round) {
      std::vector<std::string> streams;
      for (std::size_t i = 0; i < servers.size(); ++i) {
        const std::string message = text_of_length(100 + 13 * i) + std::to_string(round);
        const auto packed = pack(clients[i]->compression, message);
        streams.push_back(frames(WsOpcode::text, packed, WsRole::client, {packed.payload.size() / 2}));
      }
      for (std::size_t i = 0; i < servers.size(); ++i)
        servers[i]->hear(Bytes(streams[i]).substr(0, streams[i].size() / 2 + i));
      if (round == 10) {
        End bad(server_share, terms_of(takeover));
        const std::string corrupt(100, '\xff');
        bad.hear(frames(WsOpcode::text, {corrupt, true}, WsRole::client));
        EXPECT_EQ(bad.heard, std::vector<std::string>{"refused:1007"});
      }
      for (std::size_t i = 0; i < servers.size(); ++i) {
        servers[i]->hear(Bytes(streams[i]).substr(streams[i].size() / 2 + i));
        ASSERT_EQ(servers[i]->heard.size(), static_cast<std::size_t>(round) + 1);
        EXPECT_EQ(servers[i]->heard.back(), "text:" + text_of_length(100 + 13 * i) + std::to_string(round));
      }
    }
  }
}

TEST(MessageCompression, BombsAreRefusedAndTakeNoMemory) {
  constexpr std::uint32_t kMax = 20'000;
  CompressionShare sender(settings(WsRole::client, Takeover::no));
  MessageCompression packer(sender, kShared, kMessageMax);
  const std::string bomb(1'000'000, '\0');
  const auto packed = pack(packer, bomb);
  ASSERT_LT(packed.payload.size(), 5000u);
  for (const Takeover takeover : {Takeover::no, Takeover::yes}) {
    for (const std::size_t step : {1, 100, 10'000}) {
      CompressionShare share(settings(WsRole::server, takeover));
      End end(share, terms_of(takeover), kMax);
      const std::string stream = frames(WsOpcode::binary, packed, WsRole::client, {10, 100});
      std::size_t used = 0;
      while (!end.refused && used < stream.size()) {
        end.hear(Bytes(stream).substr(used, step));
        used += step;
        EXPECT_LE(end.compression.memory_bytes() + share.memory_bytes(), kMax + 60'000u);
      }
      EXPECT_EQ(end.heard, std::vector<std::string>{"refused:1009"});
      // With takeover it is seen where it happens.
      if (takeover == Takeover::yes && step <= 100) {
        EXPECT_LT(used, stream.size() / 4);
      }
    }
  }
}

/// The limit is of the message: bytes that do not shrink may be a little longer on the wire.
TEST(MessageCompression, AMessageOfTheLimitMayNotShrink) {
  constexpr std::uint32_t kMax = 20'000;
  SeededRandom random(7);
  std::string noise(kMax, '\0');
  random.fill(noise);
  for (const Takeover takeover : {Takeover::no, Takeover::yes}) {
    CompressionShare sender(settings(WsRole::client, Takeover::yes));
    MessageCompression packer(sender, kTakeover, kMessageMax);
    CompressionShare share(settings(WsRole::server, takeover));
    End end(share, terms_of(takeover), kMax);
    const auto packed = pack(packer, noise);
    ASSERT_TRUE(packed.compressed);
    ASSERT_GT(packed.payload.size(), noise.size());
    end.hear(frames(WsOpcode::binary, packed, WsRole::client, {1000}), 777);
    EXPECT_EQ(end.heard, std::vector{"binary:" + noise});
    end.hear(frames(WsOpcode::binary, {noise, false}, WsRole::client));
    EXPECT_EQ(end.heard.size(), 2u) << "not compressed";
    const std::string more = noise + "x";
    end.hear(frames(WsOpcode::binary, pack(packer, more), WsRole::client));
    EXPECT_EQ(end.heard.back(), "refused:1009");
    // What cannot be the compressed form of a permitted message is refused at its header.
    End other(share, terms_of(takeover), kMax);
    const std::string wire(kMax + kMax / 8 + 65, '\0');
    other.hear(Bytes(frames(WsOpcode::binary, {wire, true}, WsRole::client)).substr(0, 14));
    EXPECT_EQ(other.heard, std::vector<std::string>{"refused:1009"});
  }
}

TEST(MessageCompression, WhatIsNotWorthItIsSentAsItIs) {
  SeededRandom random(3);
  std::string noise(500, '\0');
  random.fill(noise);
  CompressionShare shared(settings(WsRole::server, Takeover::no));
  MessageCompression packer(shared, kShared, kMessageMax);
  const std::string same(15, 'x'), enough(16, 'x');
  EXPECT_FALSE(pack(packer, same).compressed) << "below message_min";
  EXPECT_EQ(pack(packer, same).payload.data(), same.data()) << "not copied";
  EXPECT_TRUE(pack(packer, enough).compressed);
  EXPECT_FALSE(pack(packer, noise).compressed) << "would not shrink";
  EXPECT_EQ(pack(packer, noise).payload.data(), noise.data());

  CompressionShare keeping(settings(WsRole::server, Takeover::yes));
  MessageCompression keeper(keeping, kTakeover, kMessageMax);
  EXPECT_TRUE(pack(keeper, noise).compressed) << "its window has it now";
  EXPECT_LT(pack(keeper, noise).payload.size(), 100u);

  CompressionSettings client = settings(WsRole::client, Takeover::yes);
  CompressionShare client_share(client);
  MessageCompression tiny(client_share, {{12, Takeover::yes}, {8, Takeover::yes}}, kMessageMax);
  EXPECT_FALSE(pack(tiny, enough).compressed) << "zlib cannot do 8 bits, and no message must be compressed";
}

TEST(MessageCompression, WhereTheMemoryIs) {
  const std::string message = text_of_length(3000);
  {
    Pair pair(Takeover::no, kShared);
    EXPECT_EQ(pair.server_share.memory_bytes(), 0u);
    pair.server.hear(frames(WsOpcode::text, pack(pair.client.compression, message), WsRole::client));
    pair.client.hear(frames(WsOpcode::text, pack(pair.server.compression, message), WsRole::server));
    EXPECT_EQ(pair.server.compression.memory_bytes(), sizeof(MessageCompression)) << "nothing per connection";
    EXPECT_GT(pair.server_share.memory_bytes(), 38'000u + 40'000u);
  }
  {
    Pair pair(Takeover::yes, kTakeover);
    EXPECT_EQ(pair.server.compression.memory_bytes(), sizeof(MessageCompression));
    pair.server.hear(frames(WsOpcode::text, pack(pair.client.compression, message), WsRole::client));
    EXPECT_LT(pair.server.compression.memory_bytes(), 12'000u) << "an inflater";
    pair.client.hear(frames(WsOpcode::text, pack(pair.server.compression, message), WsRole::server));
    const std::size_t idle = pair.server.compression.memory_bytes();
    EXPECT_GT(idle, 49'000u);
    EXPECT_LT(idle, 51'500u);
    const auto packed = pack(pair.client.compression, message);
    const std::string stream = frames(WsOpcode::text, packed, WsRole::client, {packed.payload.size() / 2});
    pair.server.hear(Bytes(stream).substr(0, stream.size() / 2 + 10));
    EXPECT_GT(pair.server.compression.memory_bytes(), idle + 1000) << "inside a message";
    pair.server.hear(Bytes(stream).substr(stream.size() / 2 + 10));
    EXPECT_EQ(pair.server.heard.size(), 2u);
    EXPECT_EQ(pair.server.compression.memory_bytes(), idle);
    // A large message leaves nothing behind.
    const std::string large = text_of_length(500'000);
    pair.server.hear(frames(WsOpcode::text, pack(pair.client.compression, large), WsRole::client, {100}),
                     1000);
    pack(pair.server.compression, large);
    EXPECT_GT(pair.server_share.memory_bytes(), 500'000u);
    pair.server.compression.release();
    EXPECT_LE(pair.server_share.memory_bytes(), 2 * limits::kCompressionKeptBytes);
    EXPECT_EQ(pair.server.compression.memory_bytes(), idle);
    pair.server.hear(Bytes(stream).substr(0, stream.size() / 2));
    pair.server.compression.clear();
    EXPECT_EQ(pair.server.compression.memory_bytes(), idle);
  }
}

/// The clients of one worker may ask for different windows.
TEST(MessageCompression, AgreedWindowsAreKept) {
  CompressionShare share(settings(WsRole::server, Takeover::no));
  const std::string message = text_of_length(3000) + text_of_length(3000);
  for (std::uint8_t bits = kDeflaterWindowBitsMin; bits <= 12; ++bits) {
    for (const Takeover takeover : {Takeover::no, Takeover::yes}) {
      MessageCompression packer(share, {{bits, takeover}, {15, Takeover::no}}, kMessageMax);
      const auto packed = pack(packer, message);
      Inflater inflater({bits, takeover});
      GrowingBlock out;
      for (std::size_t i = 0; i < packed.payload.size(); ++i) {
        ASSERT_EQ(
            inflater.feed(packed.payload.substr(i, 1), i == 0, i + 1 == packed.payload.size(), out, 10'000),
            Inflater::Verdict::good);
      }
      EXPECT_EQ(out.view(), message);
    }
  }
}

/// A message in two parts is one message, and a connection may change its worker at any time between
/// messages.
TEST(MessageCompression, MovesToAnotherWorkersShare) {
  for (const Takeover takeover : {Takeover::no, Takeover::yes}) {
    auto first = std::make_unique<CompressionShare>(settings(WsRole::server, takeover));
    CompressionShare second(settings(WsRole::server, takeover));
    CompressionShare client_share(settings(WsRole::client, takeover));
    End client(client_share, terms_of(takeover)), server(*first, terms_of(takeover));
    const std::string message = text_of_length(300);
    for (int i = 0; i < 3; ++i) {
      server.hear(frames(WsOpcode::text, pack(client.compression, message), WsRole::client));
      const auto payload = server.compression.pack(Bytes(message).substr(0, 16), Bytes(message).substr(16));
      ASSERT_TRUE(payload);
      client.hear(frames(WsOpcode::text, {*payload, true}, WsRole::server));
      if (i != 0) continue;
      EXPECT_EQ(first->takeover_memory_bytes(), takeover == Takeover::yes ? takeover_bytes(12, 5) : 0);
      server.compression.leave();
      EXPECT_EQ(first->takeover_memory_bytes(), 0u);
      first.reset();
      server.compression.join(second);
      EXPECT_EQ(second.takeover_memory_bytes(), takeover == Takeover::yes ? takeover_bytes(12, 5) : 0);
      EXPECT_EQ(server.compression.terms(), terms_of(takeover));
    }
    EXPECT_EQ(server.heard, std::vector<std::string>(3, "text:" + message));
    EXPECT_EQ(client.heard, server.heard);
  }
}

TEST(CompressionShare, WhatItWantsOfAHandshake) {
  EXPECT_EQ(CompressionShare(settings(WsRole::server, Takeover::yes)).wanted(), kTakeover);
  EXPECT_EQ(CompressionShare(settings(WsRole::server, Takeover::no)).wanted(), kShared);
  EXPECT_EQ(CompressionShare(settings(WsRole::server, Takeover::yes)).wanted(Takeover::no), kShared);
  EXPECT_EQ(CompressionShare(settings(WsRole::client, Takeover::no)).wanted(),
            (DeflateTerms{{15, Takeover::no}, {12, Takeover::no}}));
}

TEST(CompressionShare, TakeoverHasABudget) {
  CompressionSettings modest = settings(WsRole::server, Takeover::yes);
  modest.memory_max = 2 * takeover_bytes(12, 5) + 1000;
  CompressionShare share(modest);
  MessageCompression first(share, share.wanted(), kMessageMax);
  {
    MessageCompression without(share, kShared, kMessageMax);
    EXPECT_EQ(share.wanted(), kTakeover) << "without takeover it costs nothing";
    MessageCompression second(share, share.wanted(), kMessageMax);
    EXPECT_EQ(share.wanted(), kShared);
  }
  EXPECT_EQ(share.wanted(), kTakeover) << "one has gone";
}

/// The estimate is never below what zlib takes, and not far above it.
TEST(CompressionShare, WhatTakeoverCosts) {
  const std::string message = text_of_length(70'000);
  for (std::uint8_t bits = kDeflaterWindowBitsMin; bits <= kWindowBitsMax; ++bits) {
    for (std::uint8_t level = 1; level <= 9; ++level) {
      CompressionSettings both = settings(WsRole::server, Takeover::yes);
      both.window_bits = bits;
      both.memory_level = level;
      CompressionShare share(both);
      MessageCompression link(share, share.wanted(), kMessageMax);
      std::string payload(pack(link, message).payload);
      WsEvent event;
      event.kind = WsEvent::Kind::data;
      event.first = event.last = event.compressed = true;
      event.payload = payload;
      ASSERT_EQ(link.take(event).message, message);
      const std::size_t held = link.memory_bytes() - sizeof link;
      EXPECT_LE(held, takeover_bytes(bits, level)) << int{bits} << '/' << int{level};
      EXPECT_GE(held + 2000, takeover_bytes(bits, level)) << int{bits} << '/' << int{level};
    }
  }
}

}  // namespace
}  // namespace rejoin::proto
