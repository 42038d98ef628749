#include "apps/gateway/pages.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "apps/gateway/test_scene.h"

namespace rejoin::gateway {
namespace {

/// A folder of its own, gone at the end.
class Folder {
 public:
  Folder() {
    std::string path = testing::TempDir() + "pagesXXXXXX";
    path_ = mkdtemp(path.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name) << text;
  }
  std::string path() const { return path_; }

 private:
  std::filesystem::path path_;
};

TEST(Pages, finds_files_by_path_and_indexes_by_their_folder) {
  Folder folder;
  folder.write("index.html", "<p>hello");
  folder.write("app.js", "1");
  folder.write("sub/index.html", "sub");
  folder.write(".hidden", "secret");
  folder.write(".git/config", "secret");
  const Result<Pages> pages = Pages::load(folder.path());
  ASSERT_TRUE(pages) << pages.error().detail;
  const struct {
    const char* path;
    const char* body;  // nullptr: none
    const char* type;
  } cases[] = {
      {"/", "<p>hello", "text/html; charset=utf-8"},
      {"/index.html", "<p>hello", "text/html; charset=utf-8"},
      {"/app.js", "1", "text/javascript; charset=utf-8"},
      {"/sub/", "sub", "text/html; charset=utf-8"},
      {"/sub", nullptr, nullptr},
      {"/.hidden", nullptr, nullptr},
      {"/.git/config", nullptr, nullptr},
      {"/../index.html", nullptr, nullptr},
      {"//index.html", nullptr, nullptr},
      {"", nullptr, nullptr},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.path);
    const Pages::Page* const page = pages->find(c.path);
    ASSERT_EQ(page != nullptr, c.body != nullptr);
    if (page == nullptr) continue;
    EXPECT_EQ(page->body, c.body);
    EXPECT_EQ(page->type, c.type);
  }
}

TEST(Pages, says_what_is_wrong_with_a_folder) {
  EXPECT_NE(
      Pages::load("/nowhere/at/all").error().detail.find("/nowhere/at/all: is no folder that can be read"),
      std::string::npos);
  Folder spaces;
  spaces.write("my page.html", "x");
  EXPECT_NE(Pages::load(spaces.path()).error().detail.find("my page.html: a name of"), std::string::npos);
  Folder large;
  large.write("large.bin", std::string(kPageBytesMax + 1, 'x'));
  EXPECT_NE(Pages::load(large.path()).error().detail.find("more than 16 MiB"), std::string::npos);
  Folder many;
  for (std::size_t i = 0; i <= kPageFilesMax; ++i) many.write("f" + std::to_string(i), "x");
  EXPECT_NE(Pages::load(many.path()).error().detail.find("more than 256 files"), std::string::npos);
}

/// What a client hears for `request`, until the gateway hangs up or is silent.
std::string ask(Scene& scene, const std::string& request) {
  RawClient& client = scene.client();
  client.say(request);
  scene.until([&] { return client.over() || client.heard().find("\r\n\r\n") != std::string::npos; });
  scene.sim.run_for(1s);
  return client.heard();
}

TEST(Pages, are_served_beside_sessions) {
  Folder folder;
  const std::string large(200'000, 'x');
  folder.write("index.html", "<p>hello");
  folder.write("large.txt", large);
  config::Gateway rules;
  rules.pages = folder.path();
  Scene scene(1, {}, rules);
  const std::string host = "Host: play.example\r\n";
  const std::string page = ask(scene, "GET / HTTP/1.1\r\n" + host + "\r\n");
  EXPECT_TRUE(
      page.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 8\r\n"))
      << page;
  EXPECT_TRUE(page.ends_with("\r\n\r\n<p>hello"));
  const std::size_t at = page.find("ETag: ") + 6;
  const std::string etag = page.substr(at, page.find('\r', at) - at);
  EXPECT_EQ(etag.size(), 26u) << etag;

  const std::string head = ask(scene, "HEAD /?v=1 HTTP/1.1\r\n" + host + "\r\n");
  EXPECT_TRUE(head.ends_with("\r\n\r\n") && head.find("Content-Length: 8\r\n") != std::string::npos) << head;
  EXPECT_TRUE(ask(scene, "GET / HTTP/1.1\r\n" + host + "If-None-Match: W/\"a\", " + etag + "\r\n\r\n")
                  .starts_with("HTTP/1.1 304 "));
  EXPECT_TRUE(
      ask(scene, "GET / HTTP/1.1\r\n" + host + "If-None-Match: \"a\"\r\n\r\n").starts_with("HTTP/1.1 200 "));
  EXPECT_TRUE(
      ask(scene, "GET /large.txt HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n").ends_with(large));
  EXPECT_TRUE(ask(scene, "GET /none HTTP/1.1\r\n" + host + "\r\n").starts_with("HTTP/1.1 426 "));
  EXPECT_TRUE(
      ask(scene, "POST / HTTP/1.1\r\n" + host + "Content-Length: 1\r\n\r\nx").starts_with("HTTP/1.1 4"));
  // Two in a row on one connection, and then it becomes a WebSocket at the page's own path.
  RawClient& client = scene.client();
  client.say("GET / HTTP/1.1\r\n" + host + "\r\nGET / HTTP/1.1\r\n" + host + "\r\n" + kUpgrade + "\r\n");
  EXPECT_TRUE(scene.until([&] { return client.heard().find("HTTP/1.1 101 ") != std::string::npos; }));
}

}  // namespace
}  // namespace rejoin::gateway
