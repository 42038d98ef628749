// What the tests of this folder have in common: pools, keys and heads in one line each. Included by *_test.cc
// only.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "proto/http_editor.h"
#include "proto/http_head.h"
#include "route/router.h"

namespace rejoin::route::test {

/// The same key for the same number.
inline Key key(std::uint64_t number) {
  SeededRandom random(number);
  return generate_key(random);
}

inline Address address(std::string_view text) {
  const auto parsed = Address::parse_ip(text, 1000);
  EXPECT_TRUE(parsed.ok()) << text;
  return parsed ? *parsed : Address{};
}

/// Servers a, b, c, ... with these weights.
inline std::vector<Server> servers(const std::vector<std::uint32_t>& weights) {
  std::vector<Server> out;
  for (const std::uint32_t weight : weights) {
    const auto number = static_cast<std::uint8_t>(out.size() + 1);
    Address at = address("127.0.0." + std::to_string(number));
    out.push_back({std::string(1, static_cast<char>('a' + number - 1)), at, weight});
  }
  return out;
}

inline HealthRules probed() {
  HealthRules rules;
  rules.kind = HealthKind::tcp;
  return rules;
}

/// A pool named "gateways" with health checks on, so that tests can take servers down.
inline std::unique_ptr<Pool> pool(const std::vector<std::uint32_t>& weights, std::string name = "gateways") {
  auto made = Pool::make(std::move(name), servers(weights), probed());
  EXPECT_TRUE(made.ok());
  return std::move(*made);
}

inline void take_down(Pool& in, ServerIndex index, TimePoint now = TimePoint(1h)) {
  for (int i = 0; i < in.health_rules().fall; ++i) in.observe(index, ProbeResult::ill, now);
  ASSERT_FALSE(in.up(index));
}

/// A complete head, with the text it lies in. `fields` are whole lines without CRLF.
template <typename HeadType>
struct HeadOf {
  HeadOf(std::string start_line, const std::vector<std::string>& fields)
      : text(std::move(start_line) + "\r\n") {
    for (const std::string& field : fields) text.append(field).append("\r\n");
    text.append("\r\n");
    const proto::HeadVerdict verdict = head.feed(text);
    EXPECT_EQ(verdict.state, proto::HeadState::complete) << verdict.reason << "\n" << text;
  }
  HeadOf(const HeadOf&) = delete;

  std::string text;
  HeadType head;
};
struct Request : HeadOf<proto::RequestHead> {
  /// GET / with Host and one Cookie field per item.
  explicit Request(const std::vector<std::string>& cookies) : HeadOf("GET / HTTP/1.1", with_host(cookies)) {}
  static std::vector<std::string> with_host(const std::vector<std::string>& cookies) {
    std::vector<std::string> fields{"Host: x"};
    for (const std::string& cookie : cookies) fields.push_back("Cookie: " + cookie);
    return fields;
  }
};
struct Response : HeadOf<proto::ResponseHead> {
  explicit Response(const std::vector<std::string>& fields, std::string status = "200 OK")
      : HeadOf("HTTP/1.1 " + std::move(status), fields) {}
};

/// The values of all fields of one name in a head as edited, in their order.
template <typename HeadType>
std::vector<std::string> values_after(const proto::HeadEdits& edits, proto::KnownField known) {
  std::string text(edits.size(), '\0');
  const auto written = edits.write(MutableBytes(text.data(), text.size()));
  EXPECT_TRUE(written.ok()) << (written ? "" : written.error().detail);
  HeadType head;
  EXPECT_EQ(head.feed(text).state, proto::HeadState::complete) << text;
  std::vector<std::string> out;
  for (const proto::Field& field : head.all(known)) out.emplace_back(head.value(field));
  return out;
}

}  // namespace rejoin::route::test
