#include "apps/balancer/runtime_servers.h"

#include <gtest/gtest.h>

namespace rejoin::balancer {
namespace {

config::Server server(const std::string& name, const std::string& ip, int weight = 1) {
  config::Server out;
  out.name = name;
  out.address = *Address::parse_ip(ip, 80);
  out.weight = weight;
  return out;
}

config::Config file(std::vector<config::Server> servers) {
  config::Config out;
  out.pools.emplace_back();
  out.pools[0].name = "p";
  out.pools[0].servers = std::move(servers);
  return out;
}

std::string servers_of(const config::Config& config) {
  std::string out;
  for (const config::Server& it : config.pools.at(0).servers) out += it.name + '=' + it.address.text() + ' ';
  return out;
}

const config::Server kA = server("a", "10.0.0.1"), kB = server("b", "10.0.0.2"), kC = server("c", "10.0.0.3");

TEST(RuntimeServers, are_laid_over_the_file) {
  const config::Config from = file({kA, kB});
  RuntimeServers words;
  EXPECT_TRUE(words.over(from).pools == from.pools) << "nobody said anything";
  words.put(from, "p", kC);
  words.remove(from, "p", "a");
  words.put(from, "p", server("b", "10.0.0.9"));
  EXPECT_EQ(servers_of(words.over(from)), "b=10.0.0.9:80 c=10.0.0.3:80 ");
}

TEST(RuntimeServers, the_last_word_counts_and_what_the_file_says_is_no_word) {
  const config::Config from = file({kA, kB});
  RuntimeServers words;
  words.remove(from, "p", "a");
  words.put(from, "p", kA);
  EXPECT_TRUE(words.empty());
  words.put(from, "p", kC);
  words.remove(from, "p", "c");
  EXPECT_TRUE(words.empty());
}

TEST(RuntimeServers, hold_until_the_file_says_something_else_about_the_server) {
  const config::Config from = file({kA, kB});
  const struct {
    const char* what;
    config::Config now;
    std::string servers;
    std::size_t overruled;
  } cases[] = {
      {"the same file", from, "b=10.0.0.2:80 c=10.0.0.3:80 ", 0},
      {"another server changed", file({kA, server("b", "10.0.0.7")}), "b=10.0.0.7:80 c=10.0.0.3:80 ", 0},
      {"the removed one has another weight", file({server("a", "10.0.0.1", 5), kB}),
       "a=10.0.0.1:80 b=10.0.0.2:80 c=10.0.0.3:80 ", 1},
      {"the removed one is gone from the file", file({kB}), "b=10.0.0.2:80 c=10.0.0.3:80 ", 1},
      {"the added one is in the file", file({kA, kB, server("c", "10.0.0.8")}),
       "b=10.0.0.2:80 c=10.0.0.8:80 ", 1},
  };
  for (const auto& it : cases) {
    RuntimeServers words;
    words.remove(from, "p", "a");
    words.put(from, "p", kC);
    EXPECT_EQ(words.settle(it.now).size(), it.overruled) << it.what;
    EXPECT_EQ(servers_of(words.over(it.now)), it.servers) << it.what;
  }
}

TEST(RuntimeServers, of_a_pool_that_is_gone_are_gone) {
  const config::Config from = file({kA, kB});
  RuntimeServers words;
  words.put(from, "p", kC);
  config::Config other = from;
  other.pools[0].name = "q";
  EXPECT_EQ(words.settle(other).size(), 1u);
  EXPECT_TRUE(words.empty());
}

}  // namespace
}  // namespace rejoin::balancer
