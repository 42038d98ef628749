#include "apps/balancer/legacy.h"

#include <gtest/gtest.h>

#include "apps/config/config.h"
#include "base/random.h"

namespace rejoin::balancer {
namespace {

std::shared_ptr<const Plan> plan_of(const std::string& pools) {
  const std::string text = "[[listener]]\nname = \"in\"\nlisten = \"127.0.0.1:1\"\npool = \"p\"\n" + pools;
  auto config = config::parse_config(text, "test");
  EXPECT_TRUE(config) << (config ? "" : config.error().detail);
  SeededRandom random(1);
  auto plan = make_plan(*config, route::KeyRing(route::generate_key(random)), random);
  EXPECT_TRUE(plan.ok());
  return *plan;
}

std::string pool(const std::string& name, const std::string& servers, const std::string& affinity) {
  std::string list;
  for (const char server : servers)
    list +=
        std::string(list.empty() ? "" : ", ") + "{ name = \"" + server + "\", address = \"127.0.0.1:2\" }";
  return "[[pool]]\nname = \"" + name + "\"\naffinity = [ " + affinity + " ]\nserver = [ " + list + " ]\n";
}
const std::string kByAddress = "{ kind = \"source-ip\", grace = \"10s\" }";
const std::string kIdle = "{ kind = \"cookie-insert\", name = \"SRV\", max_idle = \"20s\" }";

Address address(std::string_view text) { return *Address::parse_ip(text); }

/// The name of the server to which `client` is pinned.
std::string at(const Plan& plan, std::size_t pool, std::string_view client, Duration when,
               bool by_address = true) {
  const route::SharedRoute& route = *plan.pools[pool]->route;
  const auto found = (by_address ? route.leases : route.idle_leases)->find(address(client), TimePoint(when));
  const auto index = found ? route.pool->index_of_number(*found) : std::nullopt;
  return index ? route.pool->server(*index).name : "-";
}

route::ServerNumber number(const Plan& plan, std::size_t pool, std::string_view server) {
  const route::Pool& servers = *plan.pools[pool]->route->pool;
  return servers.number(*servers.index_of(server));
}

TEST(Legacy, pins_go_over_by_the_names_of_pool_and_server) {
  const auto before = plan_of(pool("p", "abc", kByAddress) + pool("q", "ab", kByAddress + ", " + kIdle));
  const auto after = plan_of(pool("q", "cba", kByAddress + ", " + kIdle) + pool("p", "cb", kByAddress));
  route::LeaseTable& p = *before->pools[0]->route->leases;
  const route::SharedRoute& q = *before->pools[1]->route;
  const auto closed = [](route::LeaseTable& table, std::string_view client, route::ServerNumber server) {
    table.open(address(client), server, TimePoint(0s)).close(TimePoint(1s));
  };
  closed(p, "10.0.0.1", number(*before, 0, "b"));
  closed(p, "10.0.0.2", number(*before, 0, "a"));  // which is gone
  closed(*q.leases, "2001:db8::1", number(*before, 1, "a"));
  closed(*q.idle_leases, "::77", number(*before, 1, "b"));
  route::Lease open = p.open(address("10.0.0.3"), number(*before, 0, "c"), TimePoint(0s));

  const SecretBytes file = legacy_of(before, TimePoint(5s), {})();
  const std::string_view text = sections_of(view(file)).leases;
  std::optional<Legacy> legacy(std::in_place, text, *after, TimePoint(100s));
  EXPECT_EQ(legacy->pins(), 4u) << text;
  EXPECT_EQ(at(*after, 1, "10.0.0.1", 105900ms), "b");
  EXPECT_EQ(at(*after, 1, "10.0.0.1", 106s), "-") << "six seconds of its grace were left";
  EXPECT_EQ(at(*after, 1, "10.0.0.2", 100s), "-");
  EXPECT_EQ(at(*after, 0, "2001:db8::1", 100s), "a");
  EXPECT_EQ(at(*after, 0, "::77", 100s, false), "b");
  EXPECT_EQ(at(*after, 1, "10.0.0.3", 1h), "c") << "as long as the process before us lives";
  legacy.reset();
  EXPECT_EQ(at(*after, 1, "10.0.0.3", 1h + 9s), "c");
  EXPECT_EQ(at(*after, 1, "10.0.0.3", 1h + 10s), "-");
}

TEST(Legacy, goes_on_to_the_next_but_one) {
  const std::string pools = pool("p", "ab", kByAddress);
  const auto first = plan_of(pools), second = plan_of(pools), third = plan_of(pools);
  const route::Lease open =
      first->pools[0]->route->leases->open(address("10.0.0.1"), number(*first, 0, "b"), TimePoint(0s));
  const SecretBytes left = legacy_of(first, TimePoint(0s), {})();
  const Legacy one(sections_of(view(left)).leases, *second, TimePoint(0s));
  const SecretBytes left_again = legacy_of(second, TimePoint(0s), {})();
  const Legacy two(sections_of(view(left_again)).leases, *third, TimePoint(0s));
  EXPECT_EQ(at(*third, 0, "10.0.0.1", 24h), "b");
}

TEST(Legacy, what_it_does_not_understand_is_left_out) {
  const auto plan = plan_of(pool("p", "ab", kByAddress));
  const std::string bad[] = {
      "",
      "source-ip",
      "source-ip p a 10.0.0.1",
      "source-ip p a 10.0.0.1 ",
      "source-ip p a 10.0.0.1 -5",
      "source-ip p a 10.0.0.1 5s",
      "source-ip p a 10.0.0.1 99999999999999999999",
      "source-ip p a 10.0.0.1 9999999999999",
      "source-ip p a 10.0.0.1 5000 more",
      "source-ip p a 10.0.0.256 5000",
      "source-ip p z 10.0.0.1 5000",
      "source-ip z a 10.0.0.1 5000",
      "idle p a 10.0.0.1 5000",
      "source-port p a 10.0.0.1 5000",
  };
  std::string text;
  for (const std::string& line : bad) text += line + "\n";
  const Legacy nothing(text, *plan, TimePoint(0s));
  EXPECT_EQ(nothing.pins(), 0u);
  EXPECT_EQ(plan->pools[0]->route->leases->size().addresses, 0u);
  const Legacy one(text + "source-ip p a 10.0.0.1 5000", *plan, TimePoint(0s));
  EXPECT_EQ(one.pins(), 1u);
  EXPECT_EQ(at(*plan, 0, "10.0.0.1", 4s), "a");
}

TEST(Legacy, is_a_file_of_sections) {
  const auto plan = plan_of(pool("p", "ab", kByAddress));
  plan->pools[0]->route->leases->remember(address("10.0.0.1"), number(*plan, 0, "b"), 5s, TimePoint(0s));
  SecretBytes known;
  append(known, "what is\nknown");
  const SecretBytes bytes = legacy_of(plan, TimePoint(0s), known)();
  const std::string file(view(bytes));
  EXPECT_EQ(file,
            "rejoin-legacy knowledge 1 13\nwhat is\nknown\n"
            "rejoin-legacy leases 1 28\nsource-ip p b 10.0.0.1 5000\n\n");
  const LegacySections sections = sections_of(file);
  EXPECT_EQ(sections.knowledge, view(known));
  EXPECT_EQ(sections.leases, "source-ip p b 10.0.0.1 5000\n");
  EXPECT_TRUE(sections.skipped.empty());
  // A binary from before there were sections finds its lines in it, and we find them in its file.
  const auto here = plan_of(pool("p", "ab", kByAddress));
  EXPECT_EQ(Legacy(file, *here, TimePoint(0s)).pins(), 1u);
  EXPECT_EQ(sections_of("source-ip p b 10.0.0.1 5000\n").leases, "source-ip p b 10.0.0.1 5000\n");

  for (std::size_t end = 0; end < file.size(); ++end) {
    const LegacySections cut = sections_of(std::string_view(file).substr(0, end));
    EXPECT_TRUE(cut.knowledge.empty() || cut.knowledge == sections.knowledge) << end;
    EXPECT_EQ(cut.knowledge.empty(), end < file.find("rejoin-legacy leases")) << end;
    EXPECT_EQ(Legacy(cut.leases, *plan_of(pool("p", "ab", kByAddress)), TimePoint(0s)).pins(), 0u) << end;
  }
}

TEST(Legacy, what_other_versions_have_beside_is_skipped) {
  const std::string leases = "rejoin-legacy leases 1 5\nlines\n";
  const struct {
    std::string file;
    std::size_t skipped;
    bool leases;
  } cases[] = {
      {"rejoin-legacy news 1 3\nabc\n" + leases, 1, true},
      {"rejoin-legacy knowledge 2 3\nabc\n" + leases, 1, true},
      {"rejoin-legacy leases 2 0\n\n" + leases + "rejoin-legacy more 1 0\n\n", 2, true},
      {"rejoin-legacy news 1 4\nabc\n" + leases, 1, false},
      {"rejoin-legacy news 1 2\nabc\n" + leases, 1, false},
      {"rejoin-legacy news 1 -3\nabc\n" + leases, 1, false},
      {"rejoin-legacy news 1 3x\nabc\n" + leases, 1, false},
      {"rejoin-legacy news 1 99999999999999999999999\nabc\n" + leases, 1, false},
      {"rejoin-legacy news 1 18446744073709551615\nabc\n" + leases, 1, false},
      {"rejoin-legacy news\nabc\n" + leases, 1, false},
      {"rejoin-legacy ", 1, false},
      {leases + "more", 1, true},
  };
  for (const auto& it : cases) {
    const LegacySections sections = sections_of(it.file);
    EXPECT_EQ(sections.skipped.size(), it.skipped) << it.file;
    EXPECT_EQ(sections.leases, it.leases ? "lines" : "") << it.file;
    EXPECT_EQ(sections.knowledge, "") << it.file;
  }
}

// At every byte: a text that was cut says what its whole lines say.
TEST(Legacy, a_text_that_was_cut_says_less) {
  const std::string text = "source-ip p a 10.0.0.1 5000\nsource-ip p b 10.0.0.2 open\n";
  for (std::size_t end = 0; end <= text.size(); ++end) {
    const auto plan = plan_of(pool("p", "ab", kByAddress));
    const Legacy legacy(std::string_view(text).substr(0, end), *plan, TimePoint(0s));
    EXPECT_LE(legacy.pins(), 2u);
    if (end <= text.find('\n')) continue;
    EXPECT_EQ(at(*plan, 0, "10.0.0.1", 4s), "a");
  }
}

}  // namespace
}  // namespace rejoin::balancer
