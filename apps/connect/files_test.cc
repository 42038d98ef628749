// What the client reads and writes besides the network: lines of stdin, and the cookie jar.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <vector>

#include "apps/connect/connect.h"
#include "apps/connect/jar_file.h"
#include "apps/connect/lines.h"

namespace rejoin::connect {
namespace {

std::string temporary(const std::string& name) {
  return testing::TempDir() + "/rejoin-connect-" + std::to_string(getpid()) + "-" + name;
}

void write_file(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

struct Heard {
  std::vector<std::string> lines;
  int ends = 0;
  Lines::Events events() {
    return {[this](std::string_view line) { lines.emplace_back(line); }, [this] { ++ends; }};
  }
};

struct Loop {
  NullLog log;
  std::unique_ptr<io::EpollLoop> loop = std::move(*io::EpollLoop::make(log));
};

using Texts = std::vector<std::string>;

TEST(Lines, of_an_ordinary_file_come_at_once) {
  const struct {
    const char* text;
    Texts lines;
  } cases[] = {
      {"", {}},     {"a\nb\n", {"a", "b"}}, {"a\nlast", {"a", "last"}}, {"a\r\n\r\nb\n", {"a", "", "b"}},
      {"\n", {""}},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    Loop loop;
    const std::string path = temporary("lines");
    write_file(path, c.text);
    const int descriptor = ::open(path.c_str(), O_RDONLY);
    {
      Heard heard;
      Lines lines(*loop.loop, descriptor);
      lines.tell(heard.events());
      lines.resume();
      EXPECT_EQ(heard.lines, c.lines);
      EXPECT_EQ(heard.ends, 1);
      EXPECT_TRUE(lines.ended());
    }
    ::close(descriptor);
    ::unlink(path.c_str());
  }
}

TEST(Lines, of_a_pipe_come_when_they_are_written) {
  Loop loop;
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  {
    Heard heard;
    Lines lines(*loop.loop, pipe[0]);
    lines.tell(heard.events());
    lines.resume();
    loop.loop->turn(0us);
    EXPECT_EQ(heard.lines, Texts{});
    ASSERT_EQ(::write(pipe[1], "one\ntw", 6), 6);
    loop.loop->turn(1s);
    EXPECT_EQ(heard.lines, Texts{"one"});
    ASSERT_EQ(::write(pipe[1], "o\n", 2), 2);
    ::close(pipe[1]);
    for (int turns = 0; turns < 10 && heard.ends == 0; ++turns) loop.loop->turn(1s);
    EXPECT_EQ(heard.lines, (Texts{"one", "two"}));
    EXPECT_EQ(heard.ends, 1);
  }
  ::close(pipe[0]);
}

TEST(Lines, wait_while_they_are_paused) {
  Loop loop;
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  ASSERT_EQ(::write(pipe[1], "1\n2\n3\n", 6), 6);
  ::close(pipe[1]);
  {
    Texts heard;
    bool ended = false;
    Lines lines(*loop.loop, pipe[0]);
    lines.tell({[&](std::string_view line) {
                  heard.emplace_back(line);
                  lines.pause();
                },
                [&] { ended = true; }});
    for (int i = 1; i <= 3; ++i) {
      lines.resume();
      for (int turns = 0; turns < 3; ++turns) loop.loop->turn(0us);
      EXPECT_EQ(heard.size(), static_cast<std::size_t>(i));
      EXPECT_FALSE(ended);
    }
    lines.resume();
    for (int turns = 0; turns < 3; ++turns) loop.loop->turn(0us);
    EXPECT_TRUE(ended);
  }
  ::close(pipe[0]);
}

TEST(Lines, of_a_descriptor_that_cannot_be_read_have_ended) {
  Loop loop;
  const int descriptor = ::open("/dev/null", O_WRONLY);
  {
    Heard heard;
    Lines lines(*loop.loop, descriptor);
    lines.tell(heard.events());
    lines.resume();
    EXPECT_EQ(heard.ends, 1);
  }
  ::close(descriptor);
}

// --- the jar ---

const proto::Url kUrl = *proto::Url::parse("ws://127.0.0.1:8080/play");

TEST(JarFile, that_is_not_there_is_empty) {
  proto::CookieJar jar;
  EXPECT_TRUE(load_jar(temporary("absent"), jar, 1000).ok());
  EXPECT_TRUE(jar.cookies().empty());
}

TEST(JarFile, keeps_cookies_for_its_owner_alone) {
  const std::string path = temporary("jar");
  write_file(path, "# nothing yet\n");
  ::chmod(path.c_str(), 0644);
  proto::CookieJar jar;
  jar.store(kUrl, "REJOIN=abc; Path=/; HttpOnly", 1000);
  ASSERT_TRUE(save_jar(path, jar, 1000).ok());
  struct stat info;
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  proto::CookieJar again;
  ASSERT_TRUE(load_jar(path, again, 1001).ok());
  EXPECT_EQ(again.header_for(kUrl, 1001), "REJOIN=abc");
  ::unlink(path.c_str());
}

TEST(JarFile, says_what_is_wrong_with_it) {
  const std::string path = temporary("bad");
  write_file(path, "this is no cookie\n");
  proto::CookieJar jar;
  const Status loaded = load_jar(path, jar, 1000);
  ASSERT_FALSE(loaded.ok());
  EXPECT_NE(loaded.error().detail.find(path), std::string::npos) << loaded.error().detail;
  ::unlink(path.c_str());

  const Status saved = save_jar(temporary("no/such/folder"), jar, 1000);
  EXPECT_FALSE(saved.ok());
}

// --- what cannot be dialled ---

TEST(RunConnect, refuses_what_it_cannot_dial) {
  for (const char* url : {"http://play.example/", "https://play.example/", "play.example", "",
                          "ws://user@play.example/", "tcp://play.example"}) {
    ConnectOptions options;
    options.url = url;
    EXPECT_EQ(run_connect(options), 2) << url;
  }
}

TEST(RunConnect, refuses_a_ca_file_that_it_cannot_read) {
  for (const char* url : {"wss://127.0.0.1:1/", "tls://127.0.0.1:1"}) {
    ConnectOptions options;
    options.url = url;
    options.ca_file = temporary("no-ca");
    EXPECT_EQ(run_connect(options), 2) << url;
  }
}

TEST(RunConnect, refuses_a_jar_that_it_cannot_read) {
  ConnectOptions options;
  options.url = "ws://127.0.0.1:1/";
  options.cookie_jar_file = temporary("bad-jar");
  write_file(options.cookie_jar_file, "this is no cookie\n");
  EXPECT_EQ(run_connect(options), 2);
  ::unlink(options.cookie_jar_file.c_str());
}

}  // namespace
}  // namespace rejoin::connect
