#include "apps/check/check.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace rejoin::check {
namespace {

class Check : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "rejoin-check-XXXXXX").string();
    ASSERT_TRUE(::mkdtemp(pattern.data()));
    folder_ = pattern;
    file_ = folder_ + "/play.toml";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  Outcome check(const std::string& text) const {
    std::ofstream(file_) << text;
    return check_file(file_);
  }

  std::string folder_, file_;
};

const std::string kListener = "[[listener]]\nlisten = \"127.0.0.1:0\"\n";
const std::string kPool =
    "[[pool]]\nname = \"p\"\nserver = [ { name = \"a\", address = \"127.0.0.1:8000\" } ]\n";
const std::string kGateway = "[gateway]\nname = \"g1\"\nlistener = [ { listen = \"127.0.0.1:0\" } ]\n";

TEST_F(Check, a_good_file_is_counted) {
  const struct {
    std::string text, summary;
  } cases[] = {
      {kListener + kPool, "1 listener, 1 pool, 1 server"},
      {kListener + kListener + kPool, "2 listeners, 1 pool, 1 server"},
      {kGateway, "gateway g1 with 1 listener"},
      {kListener + kPool + kGateway, "1 listener, 1 pool, 1 server; gateway g1 with 1 listener"},
  };
  for (const auto& it : cases) {
    const Outcome outcome = check(it.text);
    EXPECT_EQ(outcome.out, file_ + ": ok (" + it.summary + ")\n");
    EXPECT_EQ(outcome.err, "");
    EXPECT_EQ(outcome.status, 0);
  }
}

TEST_F(Check, warnings_leave_it_good) {
  const Outcome outcome = check(kGateway + kPool);
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.err, file_ + ":5:8: warning: pool.name: no listener uses this pool\n");
  EXPECT_EQ(outcome.out, file_ + ": ok (0 listeners, 1 pool, 1 server; gateway g1 with 1 listener)\n");
}

TEST_F(Check, errors_do_not) {
  const Outcome outcome = check(kListener + "mode = \"htpp\"\n" + kPool + "retires = 1\n");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err, file_ + ":3:8: listener.mode: \"htpp\" is not a mode; did you mean \"http\"?\n" +
                             file_ + ":7:1: pool.retires: unknown key; did you mean \"retries\"?\n");
}

TEST_F(Check, an_absent_key_is_told_and_not_made) {
  const Outcome outcome = check("[keys]\nseal = [ \"file:seal.key\" ]\n" + kGateway);
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.err, file_ + ":2:10: note: keys.seal[0]: " + folder_ +
                             "/seal.key is not there yet; it will be made\n");
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/seal.key"));
}

TEST_F(Check, a_bad_key_is_an_error) {
  std::ofstream(folder_ + "/seal.key") << "not a key";
  ::chmod((folder_ + "/seal.key").c_str(), 0600);
  const Outcome outcome = check("[keys]\nseal = [ \"file:seal.key\" ]\n" + kGateway);
  EXPECT_EQ(outcome.status, 2);
  EXPECT_EQ(outcome.out, "");
  EXPECT_NE(outcome.err.find(":2:10: keys.seal[0]: "), std::string::npos) << outcome.err;
}

TEST_F(Check, every_file_that_is_named_is_looked_at) {
  std::ofstream(folder_ + "/large.html") << std::string(256 * 1024 + 1, 'x');
  std::ofstream(folder_ + "/short.token") << "short";
  std::filesystem::create_directory(folder_ + "/logs");
  const std::string admin = "[admin]\nlisten = \"127.0.0.1:0\"\n";
  const struct {
    std::string text, said;  // said: without the file's name
  } cases[] = {
      {kListener + "error_pages = { 503 = \"no.html\" }\n" + kPool,
       ":3:15: listener.error_pages.503: " + folder_ + "/no.html cannot be read: No such file or directory"},
      {kListener + "error_pages = { 503 = \"logs\" }\n" + kPool,
       ":3:15: listener.error_pages.503: " + folder_ + "/logs is a folder; write the path of a file"},
      {kListener + "error_pages = { 503 = \"large.html\" }\n" + kPool,
       ":3:15: listener.error_pages.503: " + folder_ +
           "/large.html is larger than 256 KiB, which is too much for a page"},
      {kListener + kPool + "[access_log]\nformat = \"json\"\npath = \"logs/a.log\"\n", ""},
      {kListener + kPool + "[access_log]\nformat = \"json\"\npath = \"no/a.log\"\n",
       ":8:8: access_log.path: " + folder_ +
           "/no is no folder: No such file or directory; make it, or write another path"},
      {kListener + kPool + admin + "token = \"file:no.token\"\n",
       ":8:9: admin.token: " + folder_ + "/no.token cannot be read: No such file or directory"},
      {kListener + kPool + kGateway + admin +
           "[balancer.admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"env:NO_SUCH\"\n",
       ":13:9: balancer.admin.token: the environment variable NO_SUCH is not set"},
      {kGateway + "pages = \"large.html\"\n",
       ":4:9: gateway.pages: " + folder_ +
           "/large.html is no folder: it is something else; make it, or write another path"},
  };
  for (const auto& it : cases) {
    const Outcome outcome = check(it.text);
    EXPECT_EQ(outcome.err, it.said.empty() ? "" : file_ + it.said + '\n') << it.text;
    EXPECT_EQ(outcome.status, it.said.empty() ? 0 : 2) << it.text;
  }
}

TEST_F(Check, no_file) {
  const Outcome outcome = check_file(folder_ + "/nowhere.toml");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_EQ(outcome.err, folder_ + "/nowhere.toml: cannot be opened: No such file or directory\n");
}

}  // namespace
}  // namespace rejoin::check
