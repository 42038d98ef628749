#include "proto/proxy_header.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace rejoin::proto {
namespace {

Address at(const char* text) {
  const auto parsed = Address::parse(text);
  return parsed ? *parsed : Address{};
}

std::string hex(Bytes bytes) {
  std::string out;
  for (const char byte : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    out += kDigits[static_cast<unsigned char>(byte) >> 4];
    out += kDigits[static_cast<unsigned char>(byte) & 15];
  }
  return out;
}

TEST(ProxyHeader, version_1_is_a_line_of_text) {
  const struct {
    const char *client, *local, *line;
  } cases[] = {
      {"10.1.0.2:41000", "10.0.0.1:8000", "PROXY TCP4 10.1.0.2 10.0.0.1 41000 8000\r\n"},
      {"255.255.255.255:65535", "255.255.255.255:65535",
       "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"},
      {"[2001:db8::7]:41000", "[::1]:8000", "PROXY TCP6 2001:db8::7 ::1 41000 8000\r\n"},
      {"10.1.0.2:41000", "[::1]:8000", "PROXY TCP6 ::ffff:10.1.0.2 ::1 41000 8000\r\n"},
      {"", "10.0.0.1:8000", "PROXY UNKNOWN\r\n"},
      {"10.1.0.2:41000", "", "PROXY UNKNOWN\r\n"},
  };
  for (const auto& it : cases) EXPECT_EQ(write_proxy_v1(at(it.client), at(it.local)).view(), it.line);
}

TEST(ProxyHeader, version_1_has_its_longest_line_within_107_bytes) {
  const Address longest = at("[1111:2222:3333:4444:5555:6666:7777:8888]:65535");
  EXPECT_LE(write_proxy_v1(longest, longest).view().size(), 107u);
}

TEST(ProxyHeader, version_2_is_signature_addresses_ports) {
  const std::string signature = "0d0a0d0a000d0a515549540a";
  const struct {
    const char *client, *local, *rest;
  } cases[] = {
      {"10.1.0.2:41000", "10.0.0.1:8000", "2111000c0a0100020a000001a0281f40"},
      {"[2001:db8::7]:41000", "[::1]:8000",
       "2121002420010db800000000000000000000000700000000000000000000000000000001a0281f40"},
      {"10.1.0.2:41000", "[::1]:8000",
       "2121002400000000000000000000ffff0a01000200000000000000000000000000000001a0281f40"},
      {"", "10.0.0.1:8000", "21000000"},
  };
  for (const auto& it : cases) {
    const auto header = write_proxy_v2(at(it.client), at(it.local));
    ASSERT_TRUE(header);
    EXPECT_EQ(hex(header->view()), signature + it.rest) << it.client;
  }
}

TEST(ProxyHeader, version_2_carries_fields_in_their_order_also_without_addresses) {
  const std::vector<ProxyTlv> tlvs{{ProxyTlvType::session_id, "s-1"}, {ProxyTlvType::unique_id, ""}};
  const auto header = write_proxy_v2(at("10.1.0.2:41000"), at("10.0.0.1:8000"), tlvs);
  ASSERT_TRUE(header);
  EXPECT_EQ(hex(header->view()),
            "0d0a0d0a000d0a515549540a211100150a0100020a000001a0281f40e00003732d31050000");
  const auto unknown = write_proxy_v2({}, {}, tlvs);
  ASSERT_TRUE(unknown);
  EXPECT_EQ(hex(unknown->view()), "0d0a0d0a000d0a515549540a21000009e00003732d31050000");
}

TEST(ProxyHeader, version_2_says_when_its_fields_are_too_long) {
  const Address client = at("10.1.0.2:41000"), local = at("10.0.0.1:8000");
  constexpr std::size_t kFits = limits::kProxyHeaderBytesMax - 16 - 12 - 3;
  for (const std::size_t bytes : {kFits, kFits + 1}) {
    const std::string value(bytes, 'x');
    const ProxyTlv tlv{ProxyTlvType::session_id, value};
    const auto header = write_proxy_v2(client, local, {&tlv, 1});
    EXPECT_EQ(header.ok(), bytes == kFits);
    if (header) {
      EXPECT_EQ(header->view().size(), limits::kProxyHeaderBytesMax);
    } else {
      EXPECT_EQ(header.error().kind, ErrorKind::too_large);
    }
  }
}

TEST(ProxyHeader, says_what_tls_the_client_spoke) {
  EXPECT_EQ(hex(proxy_ssl_value({.certificate = false, .verified = false, .version = "TLSv1.3"})),
            "01000000012100"
            "07544c5376312e33");
  EXPECT_EQ(hex(proxy_ssl_value(
                {.certificate = true, .verified = true, .version = "", .cipher = "C", .common_name = "me"})),
            "0700000000"
            "2200026d65"
            "23000143");
}

}  // namespace
}  // namespace rejoin::proto
