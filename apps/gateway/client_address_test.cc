#include "apps/gateway/client_address.h"

#include <gtest/gtest.h>

namespace rejoin::gateway {
namespace {

TEST(AddressRange, HasWhatItSays) {
  struct Case {
    const char* range;
    const char* address;
    bool has;
  };
  const Case cases[] = {
      {"10.0.0.0/8", "10.255.1.2", true}, {"10.0.0.0/8", "11.0.0.1", false}, {"10.0.0.1", "10.0.0.1", true},
      {"10.0.0.1", "10.0.0.2", false},    {"0.0.0.0/0", "8.8.8.8", true},    {"0.0.0.0/0", "::1", false},
      {"fd00::/8", "fd12::1", true},      {"fd00::/8", "fe80::1", false},    {"10.1.2.3/8", "10.9.9.9", true},
  };
  for (const Case& it : cases) {
    const Result<AddressRange> range = AddressRange::parse(it.range);
    ASSERT_TRUE(range) << it.range;
    EXPECT_EQ(range->has(*Address::parse_ip(it.address)), it.has) << it.range << " " << it.address;
  }
  for (const char* wrong :
       {"", "/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8x", "::1/129", "host", "10.0.0.0/-1"}) {
    EXPECT_FALSE(AddressRange::parse(wrong)) << wrong;
  }
}

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
  const std::vector<AddressRange> trusted{*AddressRange::parse("10.0.0.0/24")};
  for (const Case& it : cases) {
    const std::string head = std::string("GET / HTTP/1.1\r\nHost: g\r\n") + it.fields + "\r\n";
    proto::RequestHead request;
    ASSERT_EQ(request.feed(head).state, proto::HeadState::complete);
    EXPECT_EQ(client_behind(request, *Address::parse_ip(it.peer), trusted).ip_text(), it.client) << it.fields;
  }
}

}  // namespace
}  // namespace rejoin::gateway
