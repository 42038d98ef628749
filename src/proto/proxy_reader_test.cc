#include "proto/proxy_reader.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace rejoin::proto {
namespace {

std::string bytes_of(std::string_view hex) {
  std::string out;
  std::string digits;
  for (const char c : hex) {
    if (c == ' ') continue;
    digits += c;
    if (digits.size() < 2) continue;
    out += static_cast<char>(std::stoi(digits, nullptr, 16));
    digits.clear();
  }
  return out;
}

const std::string kSignature = bytes_of("0d0a0d0a000d0a515549540a");

std::string v2(std::string_view behind_signature) { return kSignature + bytes_of(behind_signature); }

/// As read_proxy_header, on memory that ends with its input: ASan sees a byte too far.
ProxyVerdict read(const std::string& bytes, ProxyHeard& heard) {
  const auto exact = std::make_unique<char[]>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), exact.get());
  ProxyVerdict verdict = read_proxy_header({exact.get(), bytes.size()}, heard);
  heard.alpn = heard.authority = heard.unique_id = heard.session_id = {};  // they lie in what is freed now
  heard.tls_facts = {};
  return verdict;
}

struct Good {
  std::string header;
  std::string client, dialled;
  bool local = false;
};

const std::vector<Good>& good_headers() {
  static const std::vector<Good> all{
      {"PROXY TCP4 10.1.0.2 10.0.0.1 41000 8000\r\n", "10.1.0.2:41000", "10.0.0.1:8000"},
      {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535",
       "255.255.255.255:65535"},
      {"PROXY TCP4 1.2.3.4 5.6.7.8 0 0\r\n", "1.2.3.4:0", "5.6.7.8:0"},
      {"PROXY TCP6 2001:db8::7 ::1 41000 8000\r\n", "[2001:db8::7]:41000", "[::1]:8000"},
      {"PROXY TCP6 ::ffff:10.1.0.2 ::1 41000 8000\r\n", "10.1.0.2:41000", "[::1]:8000"},
      {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 "
       "65535\r\n",
       "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
      {"PROXY UNKNOWN\r\n", "-", "-"},
      {"PROXY UNKNOWN anything at all, 1 2 3\r\n", "-", "-"},
      {v2("21 11 000c 0a010002 0a000001 a028 1f40"), "10.1.0.2:41000", "10.0.0.1:8000"},
      {v2("21 21 0024 20010db8000000000000000000000007 00000000000000000000000000000001 a028 1f40"),
       "[2001:db8::7]:41000", "[::1]:8000"},
      {v2("21 21 0024 00000000000000000000ffff0a010002 00000000000000000000000000000001 a028 1f40"),
       "10.1.0.2:41000", "[::1]:8000"},
      {v2("21 00 0000"), "-", "-"},                                    // AF_UNSPEC
      {v2("21 12 000c 0a010002 0a000001 a028 1f40"), "-", "-"},        // UDP: not what we accept
      {v2("20 00 0000"), "-", "-", true},                              // a health check
      {v2("20 11 000c 0a010002 0a000001 a028 1f40"), "-", "-", true},  // with addresses that do not count
      {v2("20 11 0003 ffffff"), "-", "-", true},                       // and with anything
      {v2("21 11 0014 0a010002 0a000001 a028 1f40 04 0000 ee 0002 4142"), "10.1.0.2:41000", "10.0.0.1:8000"},
      {v2("21 31 00d8") + std::string(216, 'x'), "-", "-"},  // AF_UNIX
  };
  return all;
}

TEST(ProxyReader, reads_whole_headers_cut_at_every_byte_and_leaves_what_follows) {
  for (const Good& it : good_headers()) {
    ProxyHeard heard;
    for (std::size_t cut = 0; cut < it.header.size(); ++cut) {
      const ProxyVerdict part = read(it.header.substr(0, cut), heard);
      ASSERT_EQ(part.state, ProxyState::need_more) << it.header << " cut at " << cut << ": " << part.reason;
    }
    for (const char* behind : {"", "G", "GET / HTTP/1.1\r\n", "\r\n", "PROXY "}) {
      const ProxyVerdict whole = read(it.header + behind, heard);
      ASSERT_EQ(whole.state, ProxyState::complete) << it.header << ": " << whole.reason;
      EXPECT_EQ(whole.consumed, it.header.size());
      EXPECT_EQ(heard.client.text(), it.client) << it.header;
      EXPECT_EQ(heard.dialled.text(), it.dialled);
      EXPECT_EQ(heard.local, it.local);
    }
  }
}

TEST(ProxyReader, refuses_headers_that_are_nearly_right_at_the_same_byte_however_they_are_cut) {
  const std::string bad[] = {
      "PROXY TCP4 10.1.0.2 10.0.0.1 41000 8000\n",
      "PROXY TCP4 10.1.0.2 10.0.0.1 41000 8000 \r\n",
      "PROXY TCP4 10.1.0.2 10.0.0.1 41000 8000 1\r\n",
      "PROXY TCP4 10.1.0.2  10.0.0.1 41000 8000\r\n",
      "PROXY  TCP4 10.1.0.2 10.0.0.1 41000 8000\r\n",
      "PROXY TCP4 10.1.0.2 10.0.0.1 41000\r\n",
      "PROXY TCP4 10.1.0.2 10.0.0.1 041000 8000\r\n",
      "PROXY TCP4 10.1.0.2 10.0.0.1 65536 8000\r\n",
      "PROXY TCP4 10.1.0.2 10.0.0.1 -1 8000\r\n",
      "PROXY TCP4 10.1.0.2 10.0.0.1 +1 8000\r\n",
      "PROXY TCP4 10.1.0.2 10.0.0.1 1a 8000\r\n",
      "PROXY TCP4 10.1.0.256 10.0.0.1 41000 8000\r\n",
      "PROXY TCP4 10.1.2 10.0.0.1 41000 8000\r\n",
      "PROXY TCP4 ::1 ::1 41000 8000\r\n",
      "PROXY TCP6 10.1.0.2 10.0.0.1 41000 8000\r\n",
      "PROXY TCP6 2001:db8::7::1 ::1 41000 8000\r\n",
      "PROXY TCP5 10.1.0.2 10.0.0.1 41000 8000\r\n",
      "PROXY UDP4 10.1.0.2 10.0.0.1 41000 8000\r\n",
      "PROXY tcp4 10.1.0.2 10.0.0.1 41000 8000\r\n",
      "PROXY \r\n",
      "PROXY UNKNOWNX\r\n",
      "PROXY \rUNKNOWN\r\n",
      "PROXY TCP4 10.1.0.2\r10.0.0.1 41000 8000\r\n",
      std::string("PROXY UNKNOWN \0\r\n", 17),
      "PROXY UNKNOWN " + std::string(100, 'x') + "\r\n",
      v2("11 11 000c 0a010002 0a000001 a028 1f40"),
      v2("31 11 000c 0a010002 0a000001 a028 1f40"),
      v2("22 11 000c 0a010002 0a000001 a028 1f40"),
      v2("21 41 000c 0a010002 0a000001 a028 1f40"),
      v2("21 13 000c 0a010002 0a000001 a028 1f40"),
      v2("21 11 000b 0a010002 0a000001 a028 1f"),
      v2("21 21 000c 0a010002 0a000001 a028 1f40"),
      v2("21 11 000d 0a010002 0a000001 a028 1f40 04"),
      v2("21 11 000f 0a010002 0a000001 a028 1f40 04 0001"),
      v2("21 11 0013 0a010002 0a000001 a028 1f40 03 0004 00000000"),               // a wrong checksum
      v2("21 11 0011 0a010002 0a000001 a028 1f40 03 0002 0000"),                   // a checksum of two bytes
      v2("21 11 0013 0a010002 0a000001 a028 1f40 20 0004 01000000"),               // ssl without its verdict
      v2("21 11 0018 0a010002 0a000001 a028 1f40 20 0009 0100000000 21 0007 54"),  // a field beyond ssl
      v2("21 11 0090 0a010002 0a000001 a028 1f40 05 0081") + std::string(129, 'u'),  // a long unique id
      v2("21 11 ffff 0a010002"),
  };
  for (const std::string& header : bad) {
    ProxyHeard heard;
    const ProxyVerdict whole = read(header, heard);
    EXPECT_EQ(whole.state, ProxyState::refused) << header;
    EXPECT_FALSE(whole.reason.empty());
    bool seen = false;
    for (std::size_t cut = 0; cut <= header.size(); ++cut) {
      const ProxyState state = read(header.substr(0, cut), heard).state;
      ASSERT_NE(state, ProxyState::complete) << header << " cut at " << cut;
      ASSERT_NE(state, ProxyState::absent) << header << " cut at " << cut;
      ASSERT_TRUE(!seen || state == ProxyState::refused)
          << header << ": refused, and not any more, at " << cut;
      seen |= state == ProxyState::refused;
    }
  }
}

TEST(ProxyReader, knows_at_the_first_byte_that_differs_that_there_is_none) {
  const struct {
    std::string bytes;
    ProxyState state;
  } cases[] = {
      {"", ProxyState::need_more},
      {"P", ProxyState::need_more},
      {"POST / HTTP/1.1", ProxyState::absent},
      {"PROXY", ProxyState::need_more},
      {"PROXYX", ProxyState::absent},
      {"proxy ", ProxyState::absent},
      {"GET / HTTP/1.1", ProxyState::absent},
      {"\r\n\r\n", ProxyState::need_more},
      {"\r\n\r\n\r", ProxyState::absent},
      {"\x16\x03\x01", ProxyState::absent},
      {std::string(1, '\0'), ProxyState::absent},
  };
  for (const auto& it : cases) {
    ProxyHeard heard;
    EXPECT_EQ(read(it.bytes, heard).state, it.state) << it.bytes;
  }
}

TEST(ProxyReader, reads_its_fields) {
  const std::string header =
      v2("21 11 0050 0a010002 0a000001 a028 1f40"
         "01 0002 6832"      // alpn h2
         "02 0004 612e6263"  // authority a.bc
         "05 0003 69642d"    // unique id
         "e0 0002 732d"      // session id
         "20 0024 07 00000000 21 0007 544c5376312e33 22 0002 6d65 23 0004 41455347 24 0006 7368613235 36"
         "04 0003 000000");
  ProxyHeard heard;
  const ProxyVerdict verdict = read_proxy_header(header, heard);
  ASSERT_EQ(verdict.state, ProxyState::complete) << verdict.reason;
  EXPECT_EQ(heard.alpn, "h2");
  EXPECT_EQ(heard.authority, "a.bc");
  EXPECT_EQ(heard.unique_id, "id-");
  EXPECT_EQ(heard.session_id, "s-");
  EXPECT_TRUE(heard.tls);
  EXPECT_TRUE(heard.tls_facts.certificate);
  EXPECT_TRUE(heard.tls_facts.verified);
  EXPECT_EQ(heard.tls_facts.version, "TLSv1.3");
  EXPECT_EQ(heard.tls_facts.common_name, "me");
  EXPECT_EQ(heard.tls_facts.cipher, "AESG");
}

TEST(ProxyReader, takes_a_right_checksum_and_no_other) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c("6789", crc32c("12345")), 0xe3069283u);
  std::string header = v2("21 11 0013 0a010002 0a000001 a028 1f40 03 0004 00000000");
  const std::uint32_t sum = crc32c(header);
  store_u32(header.data() + header.size() - 4, sum);
  ProxyHeard heard;
  EXPECT_EQ(read(header, heard).state, ProxyState::complete);
  constexpr std::size_t kType = 28;  // of the field: with another one there is no checksum
  for (std::size_t i = 16; i < header.size(); ++i) {
    if (i == kType) continue;
    std::string other = header;
    other[i] = static_cast<char>(other[i] ^ 0x40);
    EXPECT_NE(read(other, heard).state, ProxyState::complete) << i;
  }
}

TEST(ProxyReader, reads_what_proxy_header_writes) {
  const char* addresses[] = {"10.1.0.2:41000", "[2001:db8::7]:1", "127.0.0.1:65535"};
  const std::string ssl = proxy_ssl_value({.certificate = true, .verified = false, .version = "TLSv1.2"});
  const std::vector<ProxyTlv> tlvs{{ProxyTlvType::unique_id, "42"}, {ProxyTlvType::ssl, ssl}};
  for (const char* client : addresses) {
    for (const char* dialled : addresses) {
      const Address from = *Address::parse(client), to = *Address::parse(dialled);
      ProxyHeard heard;
      const ProxyHeader line = write_proxy_v1(from, to);
      ASSERT_EQ(read_proxy_header(line.view(), heard).state, ProxyState::complete);
      EXPECT_EQ(heard.client, from);
      EXPECT_EQ(heard.dialled, to);
      const auto binary = write_proxy_v2(from, to, tlvs);
      ASSERT_EQ(read_proxy_header(binary->view(), heard).state, ProxyState::complete);
      EXPECT_EQ(heard.client, from);
      EXPECT_EQ(heard.dialled, to);
      EXPECT_EQ(heard.unique_id, "42");
      EXPECT_TRUE(heard.tls && heard.tls_facts.certificate && !heard.tls_facts.verified);
      EXPECT_EQ(heard.tls_facts.version, "TLSv1.2");
    }
  }
}

}  // namespace
}  // namespace rejoin::proto
