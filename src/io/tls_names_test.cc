#include "io/tls_names.h"

#include <gtest/gtest.h>

namespace rejoin::io {
namespace {

TEST(TlsNames, exact_before_wildcard_and_the_first_among_equals) {
  TlsNames names;
  EXPECT_TRUE(names.empty());
  const struct {
    const char* name;
    std::size_t certificate;
  } has[] = {{"*.play.example", 0}, {"eu.play.example", 1}, {"play.example", 1}, {"EU.Play.Example", 2},
             {"*.example", 2},      {"*.Play.example", 3},  {"localhost", 4},    {"_sip.play.example", 5}};
  for (const auto& one : has) EXPECT_TRUE(names.add(one.name, one.certificate)) << one.name;
  EXPECT_FALSE(names.empty());
  const struct {
    std::string asked;
    std::optional<std::size_t> wanted;
  } cases[] = {
      {"play.example", 1},
      {"PLAY.EXAMPLE", 1},
      {"play.example.", 1},
      {"eu.play.example", 1},     // not 0: exact; not 2: the first
      {"us.play.example", 0},     // not 3: the first
      {"a.us.play.example", {}},  // one label, not two
      {"other.example", 2},
      {"_sip.play.example", 5},
      {"localhost", 4},
      {"example", {}},
      {".play.example", {}},  // a label has a character
      {".example", {}},
      {"..", {}},
      {".", {}},
      {"", {}},
      {"play.example..", {}},
      {"*.play.example", {}},  // nobody is called so
      {"192.0.2.1", {}},
      {"pl ay.example", {}},
      {std::string("us\0.play.example", 16), {}},
      {std::string(254, 'a'), {}},
  };
  for (const auto& one : cases) EXPECT_EQ(names.find(one.asked), one.wanted) << one.asked;
}

TEST(TlsNames, what_no_client_could_ask_for_is_left_out) {
  TlsNames names;
  for (const char* name : {"", "*", "*.", "p*y.example", "*.*.example", "a.*.example", "**.example",
                           ".example", "a..example", "*..example", "play example"}) {
    EXPECT_FALSE(names.add(name, 0)) << name;
  }
  EXPECT_TRUE(names.empty());
}

}  // namespace
}  // namespace rejoin::io
