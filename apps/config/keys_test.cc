#include "apps/config/keys.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

namespace rejoin::config {
namespace {

constexpr std::string_view kHex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
constexpr std::string_view kOtherHex = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

class Keys : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "rejoin-keys-XXXXXX").string();
    ASSERT_TRUE(::mkdtemp(pattern.data()));
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  Config config(std::string_view seal) const {
    const std::string text = "[keys]\nseal = " + std::string(seal) +
                             "\n[gateway]\nname = \"g\"\nlistener = [ { listen = \"127.0.0.1:0\" } ]\n";
    auto out = parse_config(text, folder_ + "/play.toml");
    EXPECT_TRUE(out.ok()) << out.error().detail;
    return *out;
  }
  void write(const std::string& name, std::string_view text, mode_t mode = 0600) const {
    std::ofstream(folder_ + '/' + name) << text;
    ASSERT_EQ(::chmod((folder_ + '/' + name).c_str(), mode), 0);
  }
  KeyReading load(std::string_view seal, AbsentKey absent = AbsentKey::make) {
    return load_keys(config(seal), random_, absent);
  }
  /// What is said, without the folder.
  std::string said(const KeyReading& reading) const {
    std::string out = to_text(reading.diagnostics);
    for (auto at = out.find(folder_ + '/'); at != out.npos; at = out.find(folder_ + '/')) {
      out.erase(at, folder_.size() + 1);
    }
    return out;
  }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder_), {}));
  }

  std::string folder_;
  SystemRandom random_;
};

TEST_F(Keys, without_a_table_a_random_key_each_time) {
  const Config none =
      *parse_config("[gateway]\nname = \"g\"\nlistener = [ { listen = \"127.0.0.1:0\" } ]\n", "f");
  const KeyReading first = load_keys(none, random_, AbsentKey::make);
  const KeyReading second = load_keys(none, random_, AbsentKey::make);
  ASSERT_TRUE(first.ring && second.ring);
  EXPECT_NE(first.ring->keys()[0].bytes(), second.ring->keys()[0].bytes());
  EXPECT_TRUE(first.diagnostics.empty());
}

TEST_F(Keys, files_and_variables_in_the_order_of_the_list) {
  write("a.key", std::string(kHex) + "\n");
  ASSERT_EQ(::setenv("REJOIN_KEYS_TEST", std::string(kOtherHex).c_str(), 1), 0);
  const KeyReading reading = load(R"([ "env:REJOIN_KEYS_TEST", "file:a.key" ])");
  ::unsetenv("REJOIN_KEYS_TEST");
  EXPECT_EQ(said(reading), "");
  ASSERT_TRUE(reading.ring);
  ASSERT_EQ(reading.ring->keys().size(), 2u);
  EXPECT_EQ(reading.ring->keys()[0].hex(), kOtherHex);
  EXPECT_EQ(reading.ring->keys()[1].hex(), kHex);
}

TEST_F(Keys, a_single_absent_file_is_made_once) {
  const KeyReading first = load(R"([ "file:seal.key" ])");
  EXPECT_EQ(said(first), "");
  ASSERT_TRUE(first.ring);
  struct stat status {};
  ASSERT_EQ(::stat((folder_ + "/seal.key").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(files(), 1u) << "the draft is gone";
  const KeyReading second = load(R"([ "file:seal.key" ])");
  ASSERT_TRUE(second.ring);
  EXPECT_EQ(first.ring->keys()[0].bytes(), second.ring->keys()[0].bytes());
}

TEST_F(Keys, a_check_makes_nothing) {
  const KeyReading reading = load(R"([ "file:seal.key" ])", AbsentKey::report);
  EXPECT_EQ(said(reading),
            "play.toml:2:10: note: keys.seal[0]: seal.key is not there yet; it will be made\n");
  EXPECT_TRUE(reading.ok());
  EXPECT_FALSE(reading.ring);
  EXPECT_EQ(files(), 0u);
}

TEST_F(Keys, those_who_start_together_get_the_same_key) {
  constexpr int kRounds = 20, kThreads = 4;
  for (int round = 0; round < kRounds; ++round) {
    const Config one = config("[ \"file:round-" + std::to_string(round) + ".key\" ]");
    std::atomic<int> waiting{kThreads};
    std::string hex[kThreads];
    {
      std::vector<std::jthread> threads;
      for (std::string& mine : hex) {
        threads.emplace_back([&one, &waiting, &mine] {
          SystemRandom random;
          for (--waiting; waiting > 0;) std::this_thread::yield();
          const KeyReading reading = load_keys(one, random, AbsentKey::make);
          mine = reading.ring ? reading.ring->keys()[0].hex() : to_text(reading.diagnostics);
        });
      }
    }
    for (const std::string& it : hex) EXPECT_EQ(it, hex[0]);
    EXPECT_EQ(hex[0].size(), kHex.size()) << hex[0];
  }
  EXPECT_EQ(files(), static_cast<std::size_t>(kRounds));
}

TEST_F(Keys, several_are_never_made) {
  write("a.key", kHex);
  const KeyReading reading = load(R"([ "file:a.key", "file:b.key" ])");
  EXPECT_EQ(said(reading),
            "play.toml:2:24: keys.seal[1]: b.key does not exist; only a single key is made by itself "
            "(openssl rand -hex 32)\n");
  EXPECT_FALSE(reading.ring);
}

TEST_F(Keys, others_may_read_it) {
  write("a.key", kHex, 0644);
  const KeyReading reading = load(R"([ "file:a.key" ])");
  EXPECT_EQ(said(reading),
            "play.toml:2:10: warning: keys.seal[0]: a.key can be read by other users: chmod 600 a.key\n");
  EXPECT_TRUE(reading.ring);
}

TEST_F(Keys, what_is_wrong_is_said_without_the_key) {
  write("short.key", kHex.substr(2));
  write("bad.key", "zz" + std::string(kHex.substr(2)));
  write("large.key", std::string(5000, 'a'));
  write("empty.key", "");
  std::filesystem::create_directory(folder_ + "/folder.key");
  for (const std::string name : {"short.key", "bad.key", "large.key", "empty.key", "folder.key"}) {
    const KeyReading reading = load("[ \"file:" + name + "\" ]");
    EXPECT_FALSE(reading.ring) << name;
    ASSERT_EQ(reading.diagnostics.size(), 1u) << name;
    EXPECT_EQ(said(reading).find("play.toml:2:10: keys.seal[0]: " + name), 0u) << said(reading);
    EXPECT_EQ(said(reading).find("0203040506"), std::string::npos) << said(reading);
  }
}

TEST_F(Keys, the_same_key_twice) {
  write("a.key", kHex);
  write("b.key", kHex);
  const KeyReading reading = load(R"([ "file:a.key", "file:b.key" ])");
  EXPECT_FALSE(reading.ok());
  EXPECT_FALSE(reading.ring);
}

TEST_F(Keys, a_variable_that_is_not_set) {
  ::unsetenv("REJOIN_KEYS_TEST");
  EXPECT_EQ(said(load(R"([ "env:REJOIN_KEYS_TEST" ])")),
            "play.toml:2:10: keys.seal[0]: the environment variable REJOIN_KEYS_TEST is not set\n");
  const KeyReading checked = load(R"([ "env:REJOIN_KEYS_TEST" ])", AbsentKey::report);
  EXPECT_EQ(
      said(checked),
      "play.toml:2:10: warning: keys.seal[0]: the environment variable REJOIN_KEYS_TEST is not set here\n");
  EXPECT_TRUE(checked.ok());
}

TEST_F(Keys, a_folder_that_is_not_there) {
  const KeyReading reading = load(R"([ "file:nowhere/seal.key" ])");
  EXPECT_EQ(said(reading),
            "play.toml:2:10: keys.seal[0]: nowhere/seal.key cannot be made: No such file or directory\n");
}

}  // namespace
}  // namespace rejoin::config
