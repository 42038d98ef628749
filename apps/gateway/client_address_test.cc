#include "apps/gateway/client_address.h"

#include <gtest/gtest.h>

namespace rejoin::gateway {
namespace {

TEST(ClientBehind, BelievesWhoIsTrustedAndNobodyElse) {
  struct Case {
    const char* fields;
    const char* peer;
    const char* client;
  };
  const Case cases[] = {
      {"X-Forwarded-For: 203.0.113.7\r\n", "10.0.0.1", "203.0.113.7"},
      {"X-Forwarded-For: 203.0.113.7\r\n", "192.0.2.1", "192.0.2.1"},
      {"X-Forwarded-For: 6.6.6.6, 203.0.113.7\r\n", "10.0.0.1", "203.0.113.7"},
      {"X-Forwarded-For: 203.0.113.7, 10.0.0.9\r\n", "10.0.0.1", "203.0.113.7"},
      {"X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-For: 10.0.0.9\r\n", "10.0.0.1", "203.0.113.7"},
      {"X-Forwarded-For: 10.0.0.8, 10.0.0.9\r\n", "10.0.0.1", "10.0.0.8"},
      {"X-Forwarded-For: unknown\r\n", "10.0.0.1", "10.0.0.1"},
      {"X-Forwarded-For: unknown, 10.0.0.9\r\n", "10.0.0.1", "10.0.0.9"},
      {"X-Forwarded-For: 203.0.113.7:4711\r\n", "10.0.0.1", "203.0.113.7"},
      {"X-Forwarded-For: [2001:db8::1]:4711\r\n", "10.0.0.1", "2001:db8::1"},
      {"", "10.0.0.1", "10.0.0.1"},
  };
  const PrefixSet trusted = *PrefixSet::parse(std::vector<std::string>{"10.0.0.0/24"});
  for (const Case& it : cases) {
    const std::string head = std::string("GET / HTTP/1.1\r\nHost: g\r\n") + it.fields + "\r\n";
    proto::RequestHead request;
    ASSERT_EQ(request.feed(head).state, proto::HeadState::complete);
    EXPECT_EQ(client_behind(request, *Address::parse_ip(it.peer), trusted).ip_text(), it.client) << it.fields;
  }
}

}  // namespace
}  // namespace rejoin::gateway
