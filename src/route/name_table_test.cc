#include "route/name_table.h"

#include <gtest/gtest.h>

namespace rejoin::route {
namespace {

TEST(NameTable, finds_the_longest_name_that_fits) {
  NameTable table;
  EXPECT_TRUE(table.empty());
  table.add("play.example", 1);
  table.add("*.Play.example", 2);
  table.add("*.example", 3);
  table.add("a.b.play.example", 4);
  table.add("play.example", 9);
  const struct {
    const char* name;
    std::size_t value;  // 0: nothing
  } cases[] = {
      {"play.example", 1},     {"a.play.example", 2},  {"c.b.play.example", 2}, {"a.b.play.example", 4},
      {"other.example", 3},    {"x.other.example", 3}, {"example", 0},          {"", 0},
      {"play.example.org", 0}, {"xplay.example", 3},   {"localhost", 0},        {".", 0},
  };
  for (const auto& it : cases) {
    const std::size_t* const found = table.find(it.name);
    EXPECT_EQ(found == nullptr ? 0 : *found, it.value) << it.name;
  }
}

}  // namespace
}  // namespace rejoin::route
