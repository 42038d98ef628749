#include "proto/http_path.h"

#include <gtest/gtest.h>

namespace rejoin::proto {
namespace {

TEST(HttpPath, normal_form) {
  const struct {
    const char* target;
    const char* path;  // nullptr: refused
  } cases[] = {
      {"/", "/"},
      {"/ws", "/ws"},
      {"/ws?a=/../%zz", "/ws"},
      {"/ws/", "/ws/"},
      {"//ws", "/ws"},
      {"/ws//a///b", "/ws/a/b"},
      {"/ws//", "/ws/"},
      {"/./ws", "/ws"},
      {"/ws/.", "/ws/"},
      {"/ws/..", "/"},
      {"/a/../ws", "/ws"},
      {"/a/b/../../ws", "/ws"},
      {"/a/b/..", "/a/"},
      {"/a/b/../", "/a/"},
      {"/.well-known/x", "/.well-known/x"},
      {"/...", "/..."},
      {"/a/..b", "/a/..b"},
      {"/%77s", "/ws"},
      {"/%2e%2E/x", nullptr},
      {"/a/%2e%2e/ws", "/ws"},
      {"/a%2Fws", "/a%2Fws"},
      {"/a%2f..%2fws", "/a%2f..%2fws"},
      {"/a%00b", "/a%00b"},
      {"/%25%37%37", "/%2577"},
      {"/..", nullptr},
      {"/../x", nullptr},
      {"/a/../../x", nullptr},
      {"/a//../x", "/x"},
      {"/%", nullptr},
      {"/%4", nullptr},
      {"/%zz", nullptr},
      {"*", nullptr},
      {"", nullptr},
      {"?x", nullptr},
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(one.target);
    std::string scratch;
    const auto path = normal_path(one.target, scratch);
    ASSERT_EQ(path.has_value(), one.path != nullptr) << *path;
    if (path) {
      EXPECT_EQ(*path, one.path);
    }
  }
}

TEST(HttpPath, its_own_normal_form) {
  for (const char* target : {"/a/b/../c//d/%41%2F/.", "/%2e/x/..//y", "/a/./b/"}) {
    std::string scratch, again;
    const auto once = normal_path(target, scratch);
    ASSERT_TRUE(once);
    const auto twice = normal_path(*once, again);
    ASSERT_TRUE(twice);
    EXPECT_EQ(*once, *twice);
  }
}

TEST(HttpPath, what_is_normal_costs_no_copy) {
  std::string scratch;
  const Bytes target = "/game/lobby?x=1";
  const auto path = normal_path(target, scratch);
  ASSERT_TRUE(path);
  EXPECT_EQ(path->data(), target.data());
  EXPECT_EQ(query_of(target), "?x=1");
  EXPECT_EQ(query_of("/a"), "");
}

}  // namespace
}  // namespace rejoin::proto
