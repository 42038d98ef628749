#include "route/request_key.h"

#include <gtest/gtest.h>

#include "route/hash.h"
#include "route/route_test_support.h"

namespace rejoin::route {
namespace {

using In = KeyPlace::In;

struct Asked : test::HeadOf<proto::RequestHead> {
  Asked(const std::string& target, std::vector<std::string> fields)
      : HeadOf("GET " + target + " HTTP/1.1", (fields.insert(fields.begin(), "Host: x"), fields)) {}
};

TEST(RequestKey, is_found_where_it_is_said_to_be) {
  const struct {
    In in;
    const char* name;
    const char* target;
    std::vector<std::string> fields;
    std::optional<std::string> key;
  } cases[] = {
      {In::header, "X-Room", "/", {"x-room: 42"}, "42"},
      {In::header, "X-Room", "/", {"X-Room:", "X-Room: 42"}, std::nullopt},  // the first field counts
      {In::header, "X-Room", "/?X-Room=1", {}, std::nullopt},
      {In::header, "Host", "/", {}, "x"},
      {In::query, "room", "/play?room=42", {}, "42"},
      {In::query, "room", "/play?a=1&room=42&b=2", {}, "42"},
      {In::query, "room", "/play?room=&room=42", {}, "42"},
      {In::query, "room", "/play?room&room=42", {}, "42"},
      {In::query, "room", "/play?rooms=1&Room=2", {}, std::nullopt},
      {In::query, "room", "/play?room=a%20b", {}, "a b"},
      {In::query, "room", "/play?room=a+b", {}, "a b"},
      {In::query, "room", "/play?r%6fom=%34%32", {}, "42"},
      {In::query, "room", "/play?room=100%", {}, "100%"},
      {In::query, "room", "/play?room=%zz%4", {}, "%zz%4"},
      {In::query, "room", "/play", {}, std::nullopt},
      {In::query, "room", "/play?", {}, std::nullopt},
      {In::query, "room", "http://x/play?room=42", {}, "42"},
      {In::cookie, "ROOM", "/", {"Cookie: a=1; ROOM=42"}, "42"},
      {In::cookie, "ROOM", "/", {"Cookie: a=1", "Cookie: ROOM=; ROOM=42"}, "42"},
      {In::cookie, "ROOM", "/", {"Cookie: room=42"}, std::nullopt},
  };
  for (const auto& c : cases) {
    const Asked asked(c.target, c.fields);
    const auto found = hash_of_key({c.in, c.name}, &asked.head);
    EXPECT_EQ(found, c.key ? std::optional(hash_of(*c.key)) : std::nullopt) << c.target;
  }
  EXPECT_EQ(hash_of_key({In::header, "X-Room"}, nullptr), std::nullopt) << "layer 4 has none";
}

TEST(RequestKey, an_addresss_port_does_not_count) {
  EXPECT_EQ(hash_of_address(*Address::parse("10.0.0.1:1")), hash_of_address(*Address::parse("10.0.0.1:2")));
  EXPECT_NE(hash_of_address(*Address::parse("10.0.0.1:1")), hash_of_address(*Address::parse("10.0.0.2:1")));
}

}  // namespace
}  // namespace rejoin::route
