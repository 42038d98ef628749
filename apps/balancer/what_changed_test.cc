#include "apps/balancer/what_changed.h"

#include <gtest/gtest.h>

namespace rejoin::balancer {
namespace {

config::Config read(const std::string& text) {
  auto config = config::parse_config(text, "f");
  EXPECT_TRUE(config.ok()) << (config ? "" : config.error().detail);
  return config ? *config : config::Config();
}

constexpr std::string_view kFile = R"(
[[listener]]
name = "play"
listen = "10.0.0.1:80"
pool = "p"
[[pool]]
name = "p"
server = [ { name = "a", address = "10.0.1.1:80" }, { name = "b", address = "10.0.1.2:80" } ]
)";

std::string with(std::string_view from, std::string_view to) {
  std::string text(kFile);
  const std::size_t at = text.find(from);
  EXPECT_NE(at, text.npos) << from;
  return text.replace(at, from.size(), to);
}

using Lines = std::vector<std::string>;

TEST(WhatChanged, says_it_line_by_line) {
  const config::Config before = read(std::string(kFile));
  const struct {
    std::string file;
    Lines done;
  } cases[] = {
      {std::string(kFile), {}},
      {"# a comment\n" + std::string(kFile), {}},
      {with("10.0.0.1:80", "10.0.0.1:81"), {"listener play: on 10.0.0.1:81, was on 10.0.0.1:80"}},
      {with("pool = \"p\"", "pool = \"p\"\ntunnel_timeout = \"5s\""), {"listener play: changed"}},
      {with("name = \"play\"", "name = \"game\""),
       {"listener game: added, on 10.0.0.1:80", "listener play: removed"}},
      {with("name = \"b\", address", "name = \"b\", weight = 7, address"), {"server p/b: weight 7, was 1"}},
      {with("10.0.1.2:80", "10.0.1.3:80"), {"server p/b: address 10.0.1.3:80, was 10.0.1.2:80"}},
      {with("{ name = \"a\", address = \"10.0.1.1:80\" }, ", ""), {"server p/a: removed"}},
      {with("server = [", "retries = 1\nserver = [ { name = \"c\", address = \"10.0.1.9:80\" },"),
       {"pool p: changed", "server p/c: added, at 10.0.1.9:80"}},
      {std::string(kFile) +
           "[[pool]]\nname = \"q\"\nserver = [ { name = \"x\", address = \"10.0.1.9:80\" } ]\n",
       {"pool q: added, with 1 server"}},
  };
  for (const auto& it : cases) {
    const WhatChanged changed = what_changed(before, read(it.file));
    EXPECT_EQ(changed.done, it.done) << it.file;
    EXPECT_EQ(changed.needs_restart, Lines());
    EXPECT_EQ(changed.nothing(), it.done.empty());
  }
}

TEST(WhatChanged, knows_what_a_running_process_cannot_change) {
  const WhatChanged changed =
      what_changed(read(std::string(kFile)), read("[balancer]\nworkers = 2\n" + std::string(kFile)));
  EXPECT_EQ(changed.done, Lines());
  EXPECT_EQ(changed.needs_restart, Lines{"balancer.workers: 2, was 1"});
}

TEST(WhatChanged, tells_of_keys_without_telling_them) {
  SeededRandom random(1);
  const route::Key a = route::generate_key(random), b = route::generate_key(random);
  const route::KeyRing one(a), two = *route::KeyRing::make({a, b}), turned = *route::KeyRing::make({b, a});
  const auto lines = [](const route::KeyRing& from, const route::KeyRing& to) {
    WhatChanged out;
    keys_changed(from, to, out);
    return out.done;
  };
  EXPECT_EQ(lines(one, one), Lines());
  EXPECT_EQ(lines(one, two), Lines{"keys: 2 keys, the same one seals"});
  EXPECT_EQ(lines(two, turned), Lines{"keys: 2 keys, another one seals"});
  EXPECT_EQ(lines(two, one), Lines{"keys: 1 key, the same one seals"});
}

}  // namespace
}  // namespace rejoin::balancer
