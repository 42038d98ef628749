#include "proto/resume_frame.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "proto/base64.h"

namespace rejoin::proto {
namespace {

using namespace std::string_literals;

SessionSecret secret_of(int first) {
  SessionSecret secret;
  for (std::size_t i = 0; i < secret.size(); ++i) secret[i] = static_cast<char>(first + static_cast<int>(i));
  return secret;
}

std::string hex(Bytes bytes) {
  std::string out;
  for (const char c : bytes) {
    out += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
    out += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

std::string written(const std::function<void(std::string&)>& append) {
  std::string out = "before";  // appended to, not written over
  append(out);
  EXPECT_EQ(out.substr(0, 6), "before");
  return out.substr(6);
}

const Welcome& a_welcome() {
  static const Welcome welcome = [] {
    Welcome w;
    w.secret = secret_of(0x40);
    w.ticket = "tkt";
    w.grace_ms = 60000;
    w.ping_ms = 15000;
    w.dead_ms = 40000;
    w.window_bytes = 0x40000;
    w.window_messages = 2048;
    w.spread_ms = 1000;
    w.addresses = {"wss://a.example/", "", "tcp://b.example:4000"};
    return w;
  }();
  return welcome;
}

Resume a_resume() {
  Resume resume;
  resume.ticket = "tkt";
  resume.epoch = 7;
  resume.received = 0x0102030405060708;
  return resume;
}

Detach a_detach() {
  Detach detach;
  detach.code = 4412;
  detach.action = DetachAction::again;
  detach.wait_ms = 250;
  detach.epoch = 9;
  detach.address = "wss://b/";
  detach.reason = "epoch used";
  return detach;
}

TEST(ResumeFrame, Layouts) {
  const struct {
    const char* what;
    std::function<void(std::string&)> append;
    std::string hex;
  } table[] = {
      {"HELLO",
       [](auto& out) {
         append_hello(out, {1, "me", "app"});
       },
       "01000000000000000000"
       "01"
       "00026d65"
       "0003617070"},
      {"WELCOME", [](auto& out) { append_welcome(out, a_welcome()); },
       "02000000000000000000"
       "01"
       "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f"
       "0003746b74"
       "0000ea60"
       "00003a98"
       "00009c40"
       "00040000"
       "00000800"
       "000003e8"
       "03"
       "00107773733a2f2f612e6578616d706c652f"
       "0000"
       "00147463703a2f2f622e6578616d706c653a34303030"},
      {"RESUMED",
       [](auto& out) {
         append_resumed(out, {1, 2, 0x0100000002}, 0x0300000004);
       },
       "04000000000000000004"
       "0000000000000001"
       "0000000000000002"
       "0000000100000002"},
      {"TICKET", [](auto& out) { append_ticket(out, "tkt", 5); },
       "05000000000000000005"
       "0003746b74"},
      {"DETACH", [](auto& out) { append_detach(out, a_detach(), 6); },
       "06000000000000000006"
       "113c"
       "01"
       "000000fa"
       "00000009"
       "00087773733a2f2f622f"
       "000a65706f63682075736564"},
      {"DATA, text", [](auto& out) { append_data(out, true, 0x1ffffffff, 0x200000007, "hi"); },
       "1001ffffffff00000007"
       "6869"},
      {"DATA, binary, empty", [](auto& out) { append_data(out, false, 1, 0, ""); }, "10000000000100000000"},
      {"ACK", [](auto& out) { append_ack(out, 0x100000001); }, "11000000000000000001"},
      {"PING", [](auto& out) { append_ping(out, FrameType::ping, 0x1122334455667788, 3); },
       "12000000000000000003"
       "1122334455667788"},
      {"PONG", [](auto& out) { append_ping(out, FrameType::pong, 1, 3); },
       "13000000000000000003"
       "0000000000000001"},
      {"CLOSE",
       [](auto& out) {
         append_close(out, {1000, "bye"}, 8);
       },
       "14000000000000000008"
       "03e8"
       "0003627965"},
  };
  for (const auto& row : table) EXPECT_EQ(hex(written(row.append)), row.hex) << row.what;
}

TEST(ResumeFrame, ResumeIsProvenFromItsFirstByteToItsFields) {
  const SessionSecret secret = secret_of(0x40);
  const std::string frame = written([&](auto& out) { append_resume(out, a_resume(), secret); });
  const std::string proven =
      "03000000000000000000"
      "0003746b74"
      "00000007"
      "0102030405060708";
  ASSERT_EQ(hex(frame.substr(0, frame.size() - 32)), proven);
  // From Python's hmac module.
  EXPECT_EQ(hex(frame.substr(frame.size() - 32)),
            "36634a67b73e9bef6d0429b92d38020dfa4778e4f07fd1ac06e5cbc327fabb79");

  const auto parsed = parse_resume(frame);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->ticket, "tkt");
  EXPECT_EQ(parsed->epoch, 7u);
  EXPECT_EQ(parsed->received, 0x0102030405060708u);
  EXPECT_EQ(hex(parsed->proven), proven);
  EXPECT_TRUE(proof_holds(*parsed, secret));

  EXPECT_FALSE(proof_holds(*parsed, secret_of(0x41)));
  for (std::size_t bit = 0; bit < frame.size() * 8; ++bit) {
    std::string changed = frame;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ 1 << bit % 8);
    const auto read = parse_resume(changed);
    EXPECT_FALSE(read && proof_holds(*read, secret)) << bit;
  }
}

TEST(ResumeFrame, ProofsDifferBySecretAndText) {
  std::set<std::string> seen;
  for (const int first : {0, 1}) {
    for (const Bytes proven : {Bytes(""), Bytes("x"), Bytes("xy")}) {
      const ResumeProof proof = resume_proof(secret_of(first), proven);
      EXPECT_TRUE(seen.insert(hex({proof.data(), proof.size()})).second);
      EXPECT_EQ(resume_proof(secret_of(first), proven), proof);
    }
  }
}

/// Every frame with its parser: what it says of a whole frame.
struct Kind {
  const char* what;
  std::string frame;
  std::function<bool(Bytes frame)> parses;
  bool fixed = true;  // false: the body may have any length
};

template <typename Parse>
std::function<bool(Bytes)> body_of(Parse parse) {
  return [parse](Bytes frame) {
    const auto view = parse_frame(frame);
    return view && parse(view->body).has_value();
  };
}

std::vector<Kind> every_kind() {
  std::vector<Kind> kinds;
  const auto add = [&](const char* what, const std::function<void(std::string&)>& append,
                       std::function<bool(Bytes)> parses) {
    kinds.push_back({what, written(append), std::move(parses)});
  };
  add(
      "HELLO",
      [](auto& out) {
        append_hello(out, {1, "me", "app"});
      },
      body_of(parse_hello));
  add(
      "WELCOME", [](auto& out) { append_welcome(out, a_welcome()); }, body_of(parse_welcome));
  add(
      "RESUME", [](auto& out) { append_resume(out, a_resume(), secret_of(1)); },
      [](Bytes frame) { return parse_resume(frame).has_value(); });
  add(
      "RESUMED",
      [](auto& out) {
        append_resumed(out, {1, 2, 3}, 4);
      },
      body_of(parse_resumed));
  add(
      "TICKET", [](auto& out) { append_ticket(out, "tkt", 4); }, body_of(parse_ticket));
  add(
      "DETACH", [](auto& out) { append_detach(out, a_detach(), 4); }, body_of(parse_detach));
  add(
      "PING", [](auto& out) { append_ping(out, FrameType::ping, 5, 4); }, body_of(parse_ping));
  add(
      "PONG", [](auto& out) { append_ping(out, FrameType::pong, 5, 4); }, body_of(parse_ping));
  add(
      "CLOSE",
      [](auto& out) {
        append_close(out, {4410, "over"}, 4);
      },
      body_of(parse_close));
  kinds.push_back({"ACK", written([](auto& out) { append_ack(out, 4); }),
                   [](Bytes frame) { return parse_frame(frame).has_value(); }, true});
  kinds.push_back({"DATA", written([](auto& out) { append_data(out, false, 1, 4, "hello"); }),
                   [](Bytes frame) { return parse_frame(frame).has_value(); }, false});
  return kinds;
}

TEST(ResumeFrame, CutAtEveryByte) {
  for (const Kind& kind : every_kind()) {
    EXPECT_TRUE(kind.parses(kind.frame)) << kind.what;
    for (std::size_t cut = 0; cut < kind.frame.size(); ++cut) {
      const std::string lent = kind.frame.substr(0, cut);  // its own memory: a read behind its end is seen
      EXPECT_EQ(kind.parses(lent), !kind.fixed && cut >= FrameHead::kBytes) << kind.what << " cut at " << cut;
    }
  }
}

TEST(ResumeFrame, BytesBehindTheKnownFieldsAreSkipped) {
  for (const Kind& kind : every_kind()) {
    if (std::string_view(kind.what) == "RESUME") continue;
    EXPECT_TRUE(kind.parses(kind.frame + "\0more from a later version"s)) << kind.what;
  }
  // In RESUME they stand before the proof, which covers them.
  const SessionSecret secret = secret_of(5);
  std::string frame = written([&](auto& out) { append_resume(out, a_resume(), secret); });
  frame.resize(frame.size() - 32);
  frame += "later";
  const ResumeProof proof = resume_proof(secret, frame);
  frame.append(proof.data(), proof.size());
  const auto parsed = parse_resume(frame);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->epoch, 7u);
  EXPECT_TRUE(parsed->proven.ends_with("later"));
  EXPECT_TRUE(proof_holds(*parsed, secret));
}

TEST(ResumeFrame, TypesFlagsAndCounts) {
  const std::set<int> named{1, 2, 3, 4, 5, 6, 0x10, 0x11, 0x12, 0x13, 0x14};
  for (int type = 0; type < 256; ++type) {
    for (const int flags : {0, 1, 0x80, 0xff}) {
      const FrameHead head{static_cast<std::uint8_t>(type), static_cast<std::uint8_t>(flags), 0x01020304,
                           0xfffefdfc};
      const FrameHeadBytes bytes = write_frame_head(head);
      const auto view = parse_frame({bytes.data(), bytes.size()});
      EXPECT_EQ(view.has_value(), type >= 0x20 || named.contains(type)) << type;
      if (!view) continue;
      EXPECT_EQ(view->head, head);
      EXPECT_EQ(view->unknown_kind(), type >= 0x20);
      EXPECT_TRUE(view->body.empty());
    }
  }
  EXPECT_EQ(frame_name(0x01), "HELLO");
  EXPECT_EQ(frame_name(0x14), "CLOSE");
  EXPECT_EQ(frame_name(0x07), "0x07");
  EXPECT_EQ(frame_name(0xfe), "0xfe");
}

TEST(ResumeFrame, WhatIsWrittenIsRead) {
  const auto view = [](const std::string& frame) { return parse_frame(frame)->body; };
  std::string frame = written([](auto& out) { append_welcome(out, a_welcome(), 77); });
  EXPECT_EQ(parse_frame(frame)->head.ack, 77u);
  const auto welcome = parse_welcome(view(frame));
  ASSERT_TRUE(welcome);
  EXPECT_EQ(welcome->secret, a_welcome().secret);
  EXPECT_EQ(welcome->ticket, "tkt");
  EXPECT_EQ(welcome->grace_ms, 60000u);
  EXPECT_EQ(welcome->ping_ms, 15000u);
  EXPECT_EQ(welcome->dead_ms, 40000u);
  EXPECT_EQ(welcome->window_bytes, 0x40000u);
  EXPECT_EQ(welcome->window_messages, 2048u);
  EXPECT_EQ(welcome->spread_ms, 1000u);
  EXPECT_EQ(welcome->addresses, a_welcome().addresses);

  frame = written([](auto& out) { append_hello(out, {9, std::string(16000, 'i'), "\0\xff"s}); });
  const auto hello = parse_hello(view(frame));
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello->version, 9);
  EXPECT_EQ(hello->identity, std::string(16000, 'i'));
  EXPECT_EQ(hello->application, "\0\xff"s);

  const Resumed resumed{~std::uint64_t{0}, 1, ~std::uint64_t{0}};
  frame = written([&](auto& out) { append_resumed(out, resumed, 0); });
  EXPECT_EQ(parse_resumed(view(frame)), resumed);

  for (int action = 0; action < 256; ++action) {
    Detach detach = a_detach();
    detach.action = static_cast<DetachAction>(action);
    frame = written([&](auto& out) { append_detach(out, detach, 0); });
    const auto read = parse_detach(view(frame));
    ASSERT_EQ(read.has_value(), action <= 3) << action;
    if (!read) continue;
    EXPECT_EQ(read->action, detach.action);
    EXPECT_EQ(read->code, 4412);
    EXPECT_EQ(read->wait_ms, 250u);
    EXPECT_EQ(read->epoch, 9u);
    EXPECT_EQ(read->address, "wss://b/");
    EXPECT_EQ(read->reason, "epoch used");
  }
  frame = written([](auto& out) { append_data(out, true, 5, 6, "a message"); });
  EXPECT_EQ(parse_frame(frame)->head, (FrameHead{0x10, kFlagText, 5, 6}));
  EXPECT_EQ(view(frame), "a message");
  EXPECT_EQ(view(frame).data(), frame.data() + FrameHead::kBytes);  // lies in the frame, no copy
}

TEST(ResumeFrame, RefusesWhatDoesNotAddUp) {
  const std::string secret(32, 'k'), six(24, '\0');
  EXPECT_FALSE(parse_ticket("\0\4abc"s));
  EXPECT_FALSE(parse_ticket("\xff\xff" + std::string(65534, 'x')));
  EXPECT_TRUE(parse_ticket("\xff\xff" + std::string(65535, 'x')));
  EXPECT_TRUE(parse_ticket("\0\0"s));
  // The identity's length takes what belongs to the next field.
  EXPECT_FALSE(parse_hello("\1\0\4me\0\3app"s.substr(0, 7)));
  EXPECT_FALSE(parse_hello("\1\0\x9me\0\3app"s));
  EXPECT_TRUE(parse_welcome("\1" + secret + "\0\0"s + six + "\0"s));
  EXPECT_TRUE(parse_welcome("\1" + secret + "\0\0"s + six + "\2\0\0\0\1x"s));
  EXPECT_FALSE(parse_welcome("\1" + secret + "\0\0"s + six + "\3\0\0\0\1x"s));
  EXPECT_FALSE(parse_welcome("\1" + secret + "\0\0"s + six + "\xff"));
  // `next` - 1 must be a count of messages that were sent.
  const auto resumed = [](std::uint64_t next, std::uint64_t last) {
    const std::string frame = written([&](auto& out) { append_resumed(out, {0, next, last}, 0); });
    return parse_resumed(parse_frame(frame)->body).has_value();
  };
  EXPECT_TRUE(resumed(1, 0));
  EXPECT_TRUE(resumed(6, 5));
  EXPECT_FALSE(resumed(0, 5));
  EXPECT_FALSE(resumed(7, 5));
  // A RESUME, and nothing else that is as long.
  std::string frame = written([](auto& out) { append_resume(out, a_resume(), secret_of(1)); });
  frame[0] = 0x01;
  EXPECT_FALSE(parse_resume(frame));
  EXPECT_FALSE(parse_resume(std::string(64, '\0')));
}

TEST(ResumeFrame, OpeningFramesHaveALimit) {
  const auto resume = [](std::size_t ticket_bytes) {
    const std::string ticket(ticket_bytes, 't');
    Resume fields = a_resume();
    fields.ticket = ticket;
    return written([&](auto& out) { append_resume(out, fields, secret_of(1)); });
  };
  EXPECT_EQ(resume(968).size(), limits::kResumeBytesMax);
  EXPECT_TRUE(parse_resume(resume(968)));
  EXPECT_FALSE(parse_resume(resume(969)));
  const std::string identity(limits::kHelloBytesMax - 15, 'i');
  std::string frame = written([&](auto& out) { append_hello(out, {1, identity, ""}); });
  EXPECT_EQ(frame.size(), limits::kHelloBytesMax);
  EXPECT_TRUE(parse_hello(parse_frame(frame)->body));
  EXPECT_FALSE(parse_hello(parse_frame(frame + "x")->body));
}

TEST(ResumeFrame, ReasonsAreCutAtACharacter) {
  const std::string ninety_nine(99, 'a');
  const struct {
    std::string reason, says;
  } table[] = {
      {"", ""},
      {std::string(100, 'a'), std::string(100, 'a')},
      {std::string(101, 'a'), std::string(100, 'a')},
      {ninety_nine + "\u00e9", ninety_nine},
      {std::string(98, 'a') + "\u00e9", std::string(98, 'a') + "\u00e9"},
      {std::string(97, 'a') + "\U0001f600", std::string(97, 'a')},
      {std::string(96, 'a') + "\U0001f600 and on", std::string(96, 'a') + "\U0001f600"},
      {std::string(70000, 'a'), std::string(100, 'a')},
      {"not \xff UTF-8", ""},
      {std::string(200, '\x80'), ""},
  };
  for (const auto& row : table) {
    std::string frame = written([&](auto& out) { append_close(out, {4410, row.reason}, 0); });
    EXPECT_EQ(parse_close(parse_frame(frame)->body)->reason, row.says) << row.reason.size();
    EXPECT_EQ(frame.size(), FrameHead::kBytes + 4 + row.says.size());
    Detach detach = a_detach();
    detach.reason = row.reason;
    frame = written([&](auto& out) { append_detach(out, detach, 0); });
    EXPECT_EQ(parse_detach(parse_frame(frame)->body)->reason, row.says) << row.reason.size();

    // From a writer that does not cut: the frame still counts, and its reader is as careful.
    if (row.reason.size() > 65535) continue;
    std::string body{'\x11', '\x3a', static_cast<char>(row.reason.size() >> 8),
                     static_cast<char>(row.reason.size() & 0xff)};
    body += row.reason;
    EXPECT_EQ(parse_close(body)->reason, row.says) << row.reason.size();
  }
}

TEST(ResumeFrame, MoreAddressesThanAListCounts) {
  Welcome welcome = a_welcome();
  welcome.addresses.assign(255, "ws://a/");
  const std::string most = written([&](auto& out) { append_welcome(out, welcome); });
  EXPECT_EQ(parse_welcome(parse_frame(most)->body)->addresses.size(), 255u);
  welcome.addresses.emplace_back("ws://b/");
  EXPECT_EQ(written([&](auto& out) { append_welcome(out, welcome); }), most);
}

TEST(ResumeFrameDeathTest, StringsBeyondTheirLength) {
  const std::string longest(65535, 'x'), longer(65536, 'x');
  EXPECT_EQ(written([&](auto& out) { append_ticket(out, longest, 0); }).size(), 65535u + 12u);
  EXPECT_DEATH(written([&](auto& out) { append_ticket(out, longer, 0); }), "");
  EXPECT_DEATH(written([&](auto& out) { append_ping(out, FrameType::ack, 0, 0); }), "");
}

TEST(ResumeItem, RoundTripAndLimit) {
  const std::string frame = written([](auto& out) { append_resume(out, a_resume(), secret_of(1)); });
  const auto item = resume_item(frame);
  ASSERT_TRUE(item);
  EXPECT_TRUE(item->starts_with("rejoin.v1.resume.AwAAAA"));
  EXPECT_EQ(item->find_first_of("=+/, \t"), std::string::npos);
  EXPECT_EQ(resume_in_item(*item), frame);

  // 2048 characters: 17 of the prefix, 2031 of base64url, which is no length of it: 2030 are 1522 bytes and
  // 2 characters over.
  EXPECT_TRUE(resume_item(std::string(1523, 'x')));
  EXPECT_EQ(resume_item(std::string(1523, 'x'))->size(), 2048u);
  EXPECT_FALSE(resume_item(std::string(1524, 'x')));
  EXPECT_EQ(resume_in_item(*resume_item(std::string(1523, 'x'))), std::string(1523, 'x'));
  EXPECT_FALSE(resume_in_item("rejoin.v1.resume." + base64_encode(std::string(1524, 'x'), Base64::url)));
}

TEST(ResumeItem, OtherItems) {
  for (const char* item : {"", "rejoin.v1", "rejoin.v1.resume", "rejoin.v2.resume.AwAA",
                           "Rejoin.v1.resume.AwAA", "rejoin.v1.resume.AwAA=", "rejoin.v1.resume.Aw+A",
                           "rejoin.v1.resume.AwA A", "rejoin.v1.resume.A", "rejoin.v1.resume.AwB", "chat"}) {
    EXPECT_FALSE(resume_in_item(item)) << item;
  }
  EXPECT_EQ(resume_in_item("rejoin.v1.resume."), "");  // and parse_resume() refuses it
  EXPECT_EQ(resume_in_item("rejoin.v1.resume.AwAA"), "\3\0\0"s);
}

TEST(LinkCodes, HaveWordsWithTheirNumber) {
  for (const LinkCode code :
       {LinkCode::normal, LinkCode::going_away, LinkCode::restart, LinkCode::bad_frame,
        LinkCode::login_needed, LinkCode::owner_unreachable, LinkCode::version, LinkCode::silent,
        LinkCode::replaced, LinkCode::session_ended, LinkCode::game_server_gone, LinkCode::epoch_used,
        LinkCode::over_limit, LinkCode::too_fast}) {
    EXPECT_TRUE(to_string(code).ends_with(" (" + std::to_string(number(code)) + ")")) << to_string(code);
    EXPECT_LE(to_string(code).size(), limits::kReasonBytesMax);
  }
  EXPECT_EQ(to_string(static_cast<LinkCode>(4999)), "unknown code");
}

}  // namespace
}  // namespace rejoin::proto
