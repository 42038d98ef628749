// Sec-WebSocket-Extensions: its grammar, and what is agreed on for each offer and each answer.
#include "proto/ws_extensions.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace rejoin::proto {
namespace {

/// "name[;parameter[=value]]..., ..." in one form, or "malformed".
std::string read(Bytes value) {
  using Item = ExtensionReader::Item;
  ExtensionReader reader(value);
  std::string out;
  for (Item item; (item = reader.next()) != Item::end;) {
    if (item == Item::malformed) {
      EXPECT_EQ(reader.next(), Item::malformed) << "for ever";
      return "malformed";
    }
    if (item == Item::extension && !out.empty()) out += ',';
    if (item == Item::parameter) out += ';';
    out += reader.name();
    if (item == Item::parameter && reader.value()) out.append("=").append(*reader.value());
  }
  EXPECT_EQ(reader.next(), Item::end);
  return out;
}

TEST(ExtensionReader, Grammar) {
  struct Case {
    const char* value;
    const char* read;
  };
  const Case cases[] = {
      {"permessage-deflate", "permessage-deflate"},
      {"permessage-deflate; client_max_window_bits", "permessage-deflate;client_max_window_bits"},
      {"foo, bar; baz=2", "foo,bar;baz=2"},  // RFC 6455 9.1
      {"foo;bar; baz , boo", "foo;bar;baz,boo"},
      {"a;b=c;b=d", "a;b=c;b=d"},
      {"a;b=\"c\"", "a;b=c"},
      {"a;b=\"1\\0\"", "a;b=10"},
      {"a;b=\"\\1\\0\";c=\"x\", d;e=\"f\\g\\h\"", "a;b=10;c=x,d;e=fgh"},
      {" \ta\t;\tb = \"c\" ,\td ", "a;b=c,d"},
      {"", ""},
      {"  ", ""},
      {",", ""},
      {",a,, ,b,", "a,b"},
      {"!#$%&'*+-.^_`|~9A", "!#$%&'*+-.^_`|~9A"},

      {";", "malformed"},
      {"a;", "malformed"},
      {"a;;b", "malformed"},
      {"a;,b", "malformed"},
      {"a;b=", "malformed"},
      {"a;b=;c", "malformed"},
      {"a;=b", "malformed"},
      {"=b", "malformed"},
      {"a=b", "malformed"},  // only parameters have values
      {"a b", "malformed"},
      {"a;b c", "malformed"},
      {"a;b=c d", "malformed"},
      {"a;b=c=d", "malformed"},
      {"a;b=\"c", "malformed"},
      {"a;b=\"c\\", "malformed"},
      {"a;b=\"", "malformed"},
      {"a;b=\"\"", "malformed"},     // empty: no token
      {"a;b=\"c d\"", "malformed"},  // not a token without its quotes
      {"a;b=\"c\\ d\"", "malformed"},
      {"a;b=\"c\\\"d\"", "malformed"},
      {"a;b=\"c\"d", "malformed"},
      {"\"a\"", "malformed"},
      {"a;\"b\"", "malformed"},
      {"a/b", "malformed"},
      {"a\x80", "malformed"},
      {"a, b\x01", "malformed"},
  };
  for (const Case& it : cases) EXPECT_EQ(read(it.value), it.read) << it.value;
}

std::string request(const std::vector<std::string>& values) {
  std::string out = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (const std::string& value : values) out += "Sec-WebSocket-Extensions: " + value + "\r\n";
  return out + "\r\n";
}

/// The answer's value, "none", or "malformed".
std::string accept(const std::vector<std::string>& values, const DeflateTerms& wanted) {
  const std::string bytes = request(values);
  RequestHead head;
  EXPECT_EQ(head.feed(bytes).state, HeadState::complete) << bytes;
  const auto terms = accept_deflate(head, wanted);
  if (!terms) {
    EXPECT_EQ(terms.error().kind, ErrorKind::bad_input);
    EXPECT_EQ(terms.error().side, Side::client);
    return "malformed";
  }
  return *terms ? deflate_answer(**terms) : "none";
}

constexpr DeflateTerms kTakeover12{{12, Takeover::yes}, {12, Takeover::yes}};
constexpr DeflateTerms kAll{};
constexpr DeflateTerms kShared{{12, Takeover::no}, {15, Takeover::no}};

#define NO_CONTEXT "; server_no_context_takeover; client_no_context_takeover"

TEST(AcceptDeflate, WhatIsAnswered) {
  struct Case {
    std::vector<std::string> offers;
    const char* takeover;  // wanted: takeover and windows of 12 bits
    const char* shared;    // wanted: no takeover, our window of 12 bits
  };
  const std::string p = "permessage-deflate";
  const Case cases[] = {
      // as Chromium, Firefox and ws (npm) offer it
      {{p + "; client_max_window_bits"},
       "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
       "permessage-deflate" NO_CONTEXT "; server_max_window_bits=12"},
      {{p},
       "permessage-deflate; client_no_context_takeover; server_max_window_bits=12",
       "permessage-deflate" NO_CONTEXT "; server_max_window_bits=12"},
      // every parameter
      {{p + "; server_no_context_takeover; client_max_window_bits"},
       "permessage-deflate; server_no_context_takeover; server_max_window_bits=12; client_max_window_bits=12",
       "permessage-deflate" NO_CONTEXT "; server_max_window_bits=12"},
      {{p + "; client_no_context_takeover; client_max_window_bits"},
       "permessage-deflate; client_no_context_takeover; server_max_window_bits=12; client_max_window_bits=12",
       "permessage-deflate" NO_CONTEXT "; server_max_window_bits=12"},
      {{p + "; server_max_window_bits=10; client_max_window_bits=9"},
       "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9",
       "permessage-deflate" NO_CONTEXT "; server_max_window_bits=10; client_max_window_bits=9"},
      {{p + "; server_max_window_bits=15; client_max_window_bits=15"},
       "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
       "permessage-deflate" NO_CONTEXT "; server_max_window_bits=12"},
      {{p + "; client_max_window_bits=8"},
       "permessage-deflate; server_max_window_bits=12; client_max_window_bits=8",
       "permessage-deflate" NO_CONTEXT "; server_max_window_bits=12; client_max_window_bits=8"},
      {{p + "; server_max_window_bits=\"1\\0\"; client_max_window_bits=\"14\""},
       "permessage-deflate; server_max_window_bits=10; client_max_window_bits=12",
       "permessage-deflate" NO_CONTEXT "; server_max_window_bits=10; client_max_window_bits=14"},
      // zlib has no deflater with 8
      {{p + "; server_max_window_bits=8"}, "none", "none"},
      {{p + "; server_max_window_bits=8, " + p + "; server_max_window_bits=9; client_max_window_bits"},
       "permessage-deflate; server_max_window_bits=9; client_max_window_bits=12",
       "permessage-deflate" NO_CONTEXT "; server_max_window_bits=9"},
      // several offers, on one line and on many; the first that will do
      {{"x-webkit-deflate-frame, " + p + "; client_max_window_bits"},
       "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
       "permessage-deflate" NO_CONTEXT "; server_max_window_bits=12"},
      {{"foo; bar=\"1\"", p + "; nonsense", p + "; server_max_window_bits=11; client_max_window_bits", p},
       "permessage-deflate; server_max_window_bits=11; client_max_window_bits=12",
       "permessage-deflate" NO_CONTEXT "; server_max_window_bits=11"},
      {{}, "none", "none"},
      {{""}, "none", "none"},
      {{"permessage-bzip2"}, "none", "none"},
      {{"Permessage-Deflate"}, "none", "none"},
  };
  for (const Case& it : cases) {
    const std::string what = request(it.offers);
    EXPECT_EQ(accept(it.offers, kTakeover12), it.takeover) << what;
    EXPECT_EQ(accept(it.offers, kShared), it.shared) << what;
  }
  EXPECT_EQ(accept({p}, kAll), "permessage-deflate; server_max_window_bits=15");
  EXPECT_EQ(accept({p + "; client_max_window_bits=12"}, kAll),
            "permessage-deflate; server_max_window_bits=15; client_max_window_bits=12");
}

TEST(AcceptDeflate, WrongParametersDeclineTheOffer) {
  const char* const wrong[] = {
      "server_no_context_takeover=1",
      "client_no_context_takeover=true",
      "server_no_context_takeover; server_no_context_takeover",
      "client_no_context_takeover; client_no_context_takeover",
      "server_max_window_bits",
      "server_max_window_bits=7",
      "server_max_window_bits=16",
      "server_max_window_bits=010",
      "server_max_window_bits=1",
      "server_max_window_bits=19",
      "server_max_window_bits=20",
      "server_max_window_bits=+9",
      "server_max_window_bits=9.0",
      "server_max_window_bits=100",
      "server_max_window_bits=1a",
      "server_max_window_bits=10; server_max_window_bits=10",
      "client_max_window_bits=7",
      "client_max_window_bits=16",
      "client_max_window_bits=08",
      "client_max_window_bits; client_max_window_bits",
      "client_max_window_bits; client_max_window_bits=10",
      "client_max_window_bits=10; client_max_window_bits",
      "server_max_window_bits=x; server_max_window_bits=10",
      "client_max_window_bits=x; client_no_context_takeover",
      "mux",
      "SERVER_NO_CONTEXT_TAKEOVER",
  };
  for (const char* const parameters : wrong) {
    const std::string offer = std::string("permessage-deflate; ") + parameters;
    EXPECT_EQ(accept({offer}, kAll), "none") << offer;
    EXPECT_EQ(accept({offer + ", permessage-deflate"}, kAll), "permessage-deflate; server_max_window_bits=15")
        << offer;
  }
}

TEST(AcceptDeflate, WhatIsMalformedFailsTheHandshake) {
  for (const char* const value :
       {"permessage-deflate;", "permessage-deflate; a=\"", "a=b", "permessage deflate"}) {
    EXPECT_EQ(accept({value}, kAll), "malformed") << value;
    EXPECT_EQ(accept({"permessage-deflate", value}, kAll), "malformed") << "behind a good one: " << value;
    EXPECT_EQ(accept({value, "permessage-deflate"}, kAll), "malformed") << "before a good one: " << value;
  }
}

std::string check(const std::vector<std::string>& values, const DeflateTerms& offered) {
  std::string bytes = "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
  for (const std::string& value : values) bytes += "Sec-WebSocket-Extensions: " + value + "\r\n";
  bytes += "\r\n";
  ResponseHead head;
  EXPECT_EQ(head.feed(bytes).state, HeadState::complete) << bytes;
  const auto terms = check_deflate_answer(head, offered);
  if (!terms) {
    EXPECT_EQ(terms.error().kind, ErrorKind::bad_input);
    EXPECT_EQ(terms.error().side, Side::server);
    return "refused";
  }
  if (!*terms) return "none";
  const auto side = [](const DeflateSide& it) {
    return std::to_string(it.window_bits) + (it.takeover == Takeover::yes ? "+" : "");
  };
  return side((*terms)->server) + ' ' + side((*terms)->client);  // window bits, and '+' for takeover
}

TEST(CheckDeflateAnswer, WhatWasAgreed) {
  struct Case {
    std::vector<std::string> answers;
    const char* all;     // offered: everything
    const char* modest;  // offered: windows of 12 bits, no takeover on either side
  };
  const std::string p = "permessage-deflate";
  const Case cases[] = {
      {{}, "none", "none"},
      {{""}, "none", "none"},
      {{p}, "15+ 15+", "refused"},
      {{p + "; server_no_context_takeover"}, "15 15+", "refused"},
      {{p + "; server_no_context_takeover; server_max_window_bits=12"}, "12 15+", "12 12"},
      {{p + "; server_no_context_takeover; server_max_window_bits=8; client_max_window_bits=12"},
       "8 12+",
       "8 12"},
      {{p + "; server_no_context_takeover; server_max_window_bits=13"}, "13 15+", "refused"},
      {{p + "; client_no_context_takeover; client_max_window_bits=10"}, "15+ 10", "refused"},
      {{p + NO_CONTEXT "; server_max_window_bits=10; client_max_window_bits=13"}, "10 13", "refused"},
      {{p + NO_CONTEXT "; server_max_window_bits=10; client_max_window_bits=8"}, "10 8", "10 8"},
      {{p + "; client_max_window_bits"}, "refused", "refused"},  // has a value in an answer
      {{p + "; server_max_window_bits=16"}, "refused", "refused"},
      {{p + "; x"}, "refused", "refused"},
      {{p + "; server_no_context_takeover; server_no_context_takeover"}, "refused", "refused"},
      {{p, p}, "refused", "refused"},
      {{p + ", " + p}, "refused", "refused"},
      {{"mux"}, "refused", "refused"},
      {{p + ", mux"}, "refused", "refused"},
      {{p + ";"}, "refused", "refused"},
  };
  constexpr DeflateTerms kModest{{12, Takeover::no}, {12, Takeover::no}};
  for (const Case& it : cases) {
    const std::string what = it.answers.empty() ? "no field" : it.answers.front();
    EXPECT_EQ(check(it.answers, kAll), it.all) << what;
    EXPECT_EQ(check(it.answers, kModest), it.modest) << what;
  }
}

/// Whatever a client of ours offers, a server of ours answers in a way that the client takes, and both know
/// the same.
TEST(CheckDeflateAnswer, OurClientAndOurServerAgree) {
  std::vector<DeflateSide> sides;
  for (std::uint8_t bits = kDeflaterWindowBitsMin; bits <= kWindowBitsMax; ++bits) {
    for (const Takeover takeover : {Takeover::no, Takeover::yes}) sides.push_back({bits, takeover});
  }
  for (const DeflateSide& a : sides) {
    for (const DeflateSide& b : sides) {
      const DeflateTerms offered{a, b}, wanted{b, a};
      const std::string bytes = request({deflate_offer(offered)});
      RequestHead head;
      ASSERT_EQ(head.feed(bytes).state, HeadState::complete);
      const auto server = accept_deflate(head, wanted);
      ASSERT_TRUE(server && *server) << bytes;
      const std::string answer =
          "HTTP/1.1 101 X\r\nSec-WebSocket-Extensions: " + deflate_answer(**server) + "\r\n\r\n";
      ResponseHead response;
      ASSERT_EQ(response.feed(answer).state, HeadState::complete);
      const auto client = check_deflate_answer(response, offered);
      ASSERT_TRUE(client && *client) << answer;
      EXPECT_EQ(**client, **server) << bytes << answer;
      EXPECT_LE((*client)->server.window_bits, std::min(a.window_bits, b.window_bits));
      EXPECT_LE((*client)->client.window_bits, std::min(a.window_bits, b.window_bits));
    }
  }
}

}  // namespace
}  // namespace rejoin::proto
