#include "apps/balancer/come_again.h"

#include <gtest/gtest.h>

#include "base/limits.h"
#include "proto/resume_frame.h"

namespace rejoin::balancer {
namespace {

const std::string kHandshake =
    "GET /play HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

struct ComeAgain : testing::Test {
  std::string answer(const std::string& request_text, Duration wait = 1s) {
    proto::RequestHead request;
    EXPECT_EQ(request.feed(request_text).state, proto::HeadState::complete) << request_text;
    Buffer out = buffers.borrow();
    EXPECT_TRUE(write_come_again(out, request, wait, hasher).ok());
    return std::string(out.view());
  }
  static std::string field(const std::string& answer, const std::string& name) {
    const std::size_t at = answer.find("\r\n" + name + ": ");
    if (at == answer.npos) return "-";
    const std::size_t begin = at + name.size() + 4;
    return answer.substr(begin, answer.find("\r\n", begin) - begin);
  }

  BufferPool buffers{limits::kBufferBytes};
  proto::AcceptHasher hasher;
};

TEST_F(ComeAgain, only_a_handshake_that_offers_the_resume_protocol_becomes_a_websocket) {
  const std::string version = "Sec-WebSocket-Version: 13\r\n",
                    offer = "Sec-WebSocket-Protocol: rejoin.v1\r\n";
  const struct {
    std::string name, request, status;
  } cases[] = {
      {"an offer", kHandshake + version + offer, "101"},
      {"among others",
       kHandshake + version + "Sec-WebSocket-Protocol: chat, rejoin.v1, rejoin.v1.resume.AA\r\n", "101"},
      {"no offer", kHandshake + version, "503"},
      {"another protocol",
       kHandshake + version + "Sec-WebSocket-Protocol: rejoin.v2, rejoin.v1.resume.AA\r\n", "503"},
      {"a handshake that no server takes", kHandshake + "Sec-WebSocket-Version: 8\r\n" + offer, "503"},
      {"no handshake", "GET / HTTP/1.1\r\nHost: x\r\n" + offer, "503"},
  };
  for (const auto& c : cases) EXPECT_EQ(answer(c.request + "\r\n").substr(9, 3), c.status) << c.name;
}

TEST_F(ComeAgain, a_503_says_when_in_seconds_rounded_up) {
  const std::string get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  EXPECT_EQ(field(answer(get, 10ms), "Retry-After"), "1");
  EXPECT_EQ(field(answer(get, 1s), "Retry-After"), "1");
  EXPECT_EQ(field(answer(get, 1001ms), "Retry-After"), "2");
  EXPECT_EQ(field(answer(get, 1h), "Retry-After"), "3600");
  EXPECT_EQ(field(answer(get), "Connection"), "close");
  const std::string head = answer("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(head.ends_with("\r\n\r\n")) << head;
}

TEST_F(ComeAgain, on_tcp_the_frame_stands_behind_its_length) {
  const struct {
    Duration wait;
    std::uint32_t ms;
  } cases[] = {{Duration(1), 1}, {10ms, 10}, {1500ms, 1500}, {Duration(1'000'001), 1001}, {1h, 3'600'000}};
  for (const auto& c : cases) {
    const std::string bytes = come_again_on_tcp(c.wait);
    ASSERT_EQ(load_u32(bytes.data()), bytes.size() - 4);
    const auto frame = proto::parse_frame(Bytes(bytes).substr(4));
    ASSERT_TRUE(frame && frame->head.is(proto::FrameType::detach));
    const auto detach = proto::parse_detach(frame->body);
    ASSERT_TRUE(detach);
    EXPECT_EQ(detach->wait_ms, c.ms);
    EXPECT_EQ(detach->code, 4404);
  }
}

TEST_F(ComeAgain, without_room_nothing_is_said_by_halves) {
  BufferPool small(64);
  proto::RequestHead request;
  const std::string text =
      kHandshake + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: rejoin.v1\r\n\r\n";
  ASSERT_EQ(request.feed(text).state, proto::HeadState::complete);
  Buffer out = small.borrow();
  const Status written = write_come_again(out, request, 1s, hasher);
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().kind, ErrorKind::exhausted);
}

}  // namespace
}  // namespace rejoin::balancer
