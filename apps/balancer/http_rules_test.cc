#include "apps/balancer/http_rules.h"

#include <gtest/gtest.h>

#include "proto/http_path.h"

namespace rejoin::balancer {
namespace {

config::Rule rule(std::string host, std::string path, bool exact = false) {
  config::Rule out;
  out.host = std::move(host);
  out.path = std::move(path);
  out.exact = exact;
  return out;
}

TEST(HttpRules, the_most_specific_wins_wherever_it_stands) {
  const config::Rule listed[] = {
      rule("", "/"),                      // 0
      rule("", "/ws"),                    // 1
      rule("", "/ws/deep/"),              // 2
      rule("*.example", "/"),             // 3
      rule("*.play.example", "/"),        // 4
      rule("play.example", "/"),          // 5
      rule("play.example", "/ws"),        // 6
      rule("play.example", "/ws", true),  // 7
      rule("only.other", "/api"),         // 8
      rule("[::1]", "/"),                 // 9
  };
  const struct {
    const char* host;
    const char* path;
    int found;
  } cases[] = {
      {"x", "/", 0},
      {"x", "/ws", 1},
      {"x", "/ws/", 1},
      {"x", "/ws/x", 1},
      {"x", "/wsx", 0},
      {"x", "/ws/deep", 1},
      {"x", "/ws/deep/", 2},
      {"x", "/ws/deep/er", 2},
      {"a.example", "/ws", 3},
      {"a.b.example", "/", 3},
      {"example", "/", 0},
      {"eu.play.example", "/x", 4},
      {"EU.Play.Example:8080", "/x", 4},
      {"play.example", "/", 5},
      {"PLAY.example.", "/", 5},
      {"play.example:80", "/ws", 7},
      {"play.example", "/ws/", 6},
      {"only.other", "/api/x", 8},
      {"only.other", "/", 0},
      {"[::1]:80", "/ws", 9},
      {"", "/", 0},
  };
  std::vector<RulePlan> rules;
  for (const config::Rule& one : listed) rules.push_back(make_rule(one, rules.size()));
  for (int turn = 0; turn < 2; ++turn) {
    sort_rules(rules);
    for (const auto& one : cases) {
      const RulePlan* found = find_rule(rules, one.host, one.path);
      ASSERT_NE(found, nullptr) << one.host << one.path;
      EXPECT_EQ(static_cast<int>(found->pool), one.found) << one.host << ' ' << one.path;
    }
    std::reverse(rules.begin(), rules.end());
  }
}

TEST(HttpRules, none_matches) {
  std::vector<RulePlan> rules{make_rule(rule("a", "/"), 0), make_rule(rule("", "/x"), 1)};
  sort_rules(rules);
  EXPECT_EQ(find_rule(rules, "b", "/y"), nullptr);
  EXPECT_EQ(find_rule({}, "b", "/y"), nullptr);
}

TEST(HttpRules, prefixes_are_stripped_off_the_path_alone) {
  const struct {
    const char* target;
    const char* prefix;
    const char* out;
  } cases[] = {
      {"/api/x?q=/api/", "/api", "/x?q=/api/"},
      {"/api/x", "/api/", "/x"},
      {"/api", "/api", "/"},
      {"/api?x", "/api", "/?x"},
      {"/api/", "/api", "/"},
      {"/a%70i/x%2Fy", "/api", "/x%2Fy"},
      {"//api//x", "/api", "/x"},
      {"/b/../api/x", "/api", "/x"},
  };
  for (const auto& one : cases) {
    std::string scratch;
    const auto path = proto::normal_path(one.target, scratch);
    ASSERT_TRUE(path);
    EXPECT_EQ(strip_prefix(one.target, *path, one.prefix), one.out) << one.target;
  }
}

TEST(HttpRules, redirects) {
  EXPECT_EQ(redirect_location("https://{host}{path}", "a.example:80", "/x?y"), "https://a.example/x?y");
  EXPECT_EQ(redirect_location("https://new.example", "a", "/x"), "https://new.example");
  EXPECT_EQ(redirect_location("https://new.example/{path}", "a", "/x"), "https://new.example/x");
  EXPECT_EQ(redirect_location("/new{path}", "a", "//evil"), "/new//evil");
  EXPECT_EQ(redirect_location("https://{host}:8443{path}", "[::1]:80", "/"), "https://[::1]:8443/");
  EXPECT_EQ(redirect_location("/{other}", "a", "/x"), "/{other}");
}

}  // namespace
}  // namespace rejoin::balancer
