#include "watch/json.h"

#include <gtest/gtest.h>

namespace rejoin::watch {
namespace {

TEST(Json, is_written_in_the_order_in_which_it_was_built) {
  Json inner = Json::list();
  inner.add(1);
  inner.add("two \"quoted\"\n");
  inner.add(Json());
  inner.add(std::optional<int>());
  Json out = Json::object();
  out.set("z", true);
  out.set("a", std::uint64_t{1} << 53);
  out.set("list", std::move(inner));
  out.set("empty", Json::object());
  EXPECT_EQ(write_json(out),
            R"({"z":true,"a":9007199254740992,"list":[1,"two \"quoted\"\n",null,null],"empty":{}})");
  EXPECT_EQ(write_json(Json("\xff")), "\"\xef\xbf\xbd\"") << "what is no UTF-8 cannot break a reader";
}

TEST(Json, reads_what_it_wrote) {
  const std::string text = R"({"b":[false,-3,2.5,"x",{"y":null}],"a":""})";
  const std::optional<Json> read = parse_json(text);
  ASSERT_TRUE(read);
  EXPECT_EQ(write_json(*read), text);
  EXPECT_EQ((*read)["b"].items()[1].integer(), -3);
  EXPECT_EQ((*read)["b"].items()[1].real(), -3.0);
  EXPECT_EQ((*read)["b"].items()[2].real(), 2.5);
  EXPECT_EQ((*read)["b"].items()[2].integer(), std::nullopt);
  EXPECT_EQ((*read)["b"].items()[0].boolean(), false);
  EXPECT_EQ((*read)["a"].text(), "");
  EXPECT_TRUE(read->has("a"));
  EXPECT_FALSE(read->has("c"));
  EXPECT_TRUE((*read)["c"]["d"].is_null());
}

TEST(Json, refuses_what_is_none) {
  const std::string good = R"({"a":[1,{"b":"c"}]})";
  for (std::size_t cut = 0; cut < good.size(); ++cut) EXPECT_FALSE(parse_json(good.substr(0, cut))) << cut;
  for (const char* text : {"{'a':1}", "[1,]", "nul", "1 2", "\"\xff\""})
    EXPECT_FALSE(parse_json(text)) << text;
  EXPECT_TRUE(parse_json(std::string(kJsonDepthMax, '[') + std::string(kJsonDepthMax, ']')));
  EXPECT_FALSE(parse_json(std::string(kJsonDepthMax + 2, '[') + std::string(kJsonDepthMax + 2, ']')));
  EXPECT_EQ(parse_json("18446744073709551615")->real(), 18446744073709551615.0);
}

}  // namespace
}  // namespace rejoin::watch
