#include "proto/dns_answer.h"

#include <gtest/gtest.h>

namespace rejoin::proto {
namespace {

using namespace std::string_literals;

std::string u16(unsigned n) { return {static_cast<char>(n >> 8), static_cast<char>(n)}; }
std::string u32(std::uint32_t n) { return u16(n >> 16) + u16(n & 0xffff); }
/// "g1.play" as labels, with the end.
std::string labels(std::string name) {
  std::string out;
  name += '.';
  for (std::size_t at = 0, dot; (dot = name.find('.', at)) != name.npos; at = dot + 1) {
    out += static_cast<char>(dot - at);
    out += name.substr(at, dot - at);
  }
  return out + '\0';
}
std::string head(unsigned answers, unsigned authorities = 0, unsigned additional = 0,
                 unsigned flags = 0x8180) {
  return u16(7) + u16(flags) + u16(1) + u16(answers) + u16(authorities) + u16(additional);
}
std::string question(const std::string& name, unsigned type) { return labels(name) + u16(type) + u16(1); }
std::string record(const std::string& name, unsigned type, std::uint32_t ttl, const std::string& data,
                   unsigned group = 1) {
  return name + u16(type) + u16(group) + u32(ttl) + u16(static_cast<unsigned>(data.size())) + data;
}
const std::string kPointerToQuestion = "\xc0\x0c"s;

TEST(DnsAnswer, reads_addresses_with_their_ttl) {
  const std::string v6 = "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x07"s;
  const auto answer = parse_dns_answer(
      head(3) + question("Play.Example", 1) + record(kPointerToQuestion, 5, 60, labels("g.Example")) +
      record(labels("g.example"), 1, 30, "\x0a\0\0\x07"s) + record(labels("g.example"), 28, 0x80000001, v6));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->code, 0);
  ASSERT_EQ(answer->answers.size(), 3u);
  EXPECT_EQ(answer->answers[0].name, "play.example");
  EXPECT_EQ(answer->answers[0].target, "g.example");
  EXPECT_EQ(answer->answers[1].address.ip_text(), "10.0.0.7");
  EXPECT_EQ(answer->answers[1].ttl_s, 30u);
  EXPECT_EQ(answer->answers[2].address.ip_text(), "fd00::7");
  EXPECT_EQ(answer->answers[2].ttl_s, 0u);
}

TEST(DnsAnswer, reads_srv_and_what_stands_beside_it) {
  const std::string srv = u16(10) + u16(5) + u16(8000) + "\x02g1"s + kPointerToQuestion;
  const auto answer = parse_dns_answer(
      head(1, 1, 2) + question("play", 33) + record(kPointerToQuestion, 33, 9, srv) +
      record(kPointerToQuestion, 2, 9, labels("ns")) + record(labels("g1.play"), 1, 8, "\x0a\0\0\x01"s) +
      record(labels(""), 41, 0, "", 4096));  // EDNS
  ASSERT_TRUE(answer);
  ASSERT_EQ(answer->answers.size(), 1u);
  const DnsRecord& one = answer->answers[0];
  EXPECT_EQ(one.target, "g1.play");
  EXPECT_EQ(std::tuple(one.priority, one.weight, one.port), std::tuple(10, 5, 8000));
  ASSERT_EQ(answer->additional.size(), 1u);
  EXPECT_EQ(answer->additional[0].name, "g1.play");
}

TEST(DnsAnswer, an_answer_without_records_has_a_code) {
  const auto none = parse_dns_answer(head(0, 0, 0, 0x8183) + question("play", 1));
  ASSERT_TRUE(none);
  EXPECT_EQ(none->code, 3);
  EXPECT_TRUE(parse_dns_answer(head(0, 0, 0, 0x8380) + question("play", 1))->truncated);
}

TEST(DnsAnswer, what_is_broken_is_nothing) {
  const std::string whole = head(2) + question("play", 33) +
                            record(kPointerToQuestion, 33, 9, u16(1) + u16(1) + u16(1) + labels("g1")) +
                            record(kPointerToQuestion, 1, 9, "\x0a\0\0\x01"s);
  ASSERT_TRUE(parse_dns_answer(whole));
  for (std::size_t cut = 0; cut < whole.size(); ++cut)
    EXPECT_FALSE(parse_dns_answer(whole.substr(0, cut))) << cut;
  const struct {
    const char* what;
    std::string message;
  } cases[] = {
      {"a question", head(0, 0, 0, 0x0100) + question("play", 1)},
      {"a pointer to itself", head(1) + question("play", 1) + record("\xc0\x16"s, 1, 9, "\x0a\0\0\x01"s)},
      {"a pointer forwards", head(1) + question("play", 1) + record("\xc0\x30"s, 1, 9, "\x0a\0\0\x01"s)},
      {"a label of 64",
       head(1) + question("play", 1) + record("\x40"s + std::string(64, 'a') + "\0"s, 1, 9, "abcd")},
      {"five bytes of IPv4", head(1) + question("play", 1) + record(kPointerToQuestion, 1, 9, "abcde")},
      {"four bytes of IPv6", head(1) + question("play", 1) + record(kPointerToQuestion, 28, 9, "abcd")},
      {"more behind a target",
       head(1) + question("play", 5) + record(kPointerToQuestion, 5, 9, labels("g") + "x")},
      {"a short srv", head(1) + question("play", 33) + record(kPointerToQuestion, 33, 9, u16(1) + u16(1))},
      {"a line end in a name", head(1) + question("pl\nay", 1) + record(kPointerToQuestion, 1, 9, "abcd")},
  };
  for (const auto& it : cases) EXPECT_FALSE(parse_dns_answer(it.message)) << it.what;
  std::string deep;
  for (int i = 0; i < 60; ++i)
    deep +=
        "\x04"
        "aaaa"s;
  EXPECT_FALSE(parse_dns_answer(head(0) + deep + "\0"s + u16(1) + u16(1)));  // 300 bytes of name
}

}  // namespace
}  // namespace rejoin::proto
