// A worker's share of the access log with a sink that takes what the test lets it, and the real file behind
// it: pipes that stall, files that move away, disks that are full.
#include "watch/access_log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "io/sim_network.h"
#include "watch/access_file.h"
#include "watch/json.h"

namespace rejoin::watch {
namespace {

struct Slow final : AccessSink {
  bool offer(std::string& lines) override {
    if (!takes) return false;
    batches.push_back(std::move(lines));
    lines.clear();
    return true;
  }
  std::int64_t unix_ms() const override { return 1'000'000'000'000; }
  bool takes = true;
  std::vector<std::string> batches;
};

std::size_t lines_in(std::string_view text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

struct AccessLogs : testing::Test {
  AccessRecord record() {
    AccessRecord out;
    out.began = host.world().clock.now();
    out.listener = "play";
    return out;
  }
  std::size_t lines_taken() const {
    std::size_t out = 0;
    for (const std::string& batch : sink.batches) out += lines_in(batch);
    return out;
  }
  io::Simulation sim{1};
  io::SimHost& host = sim.add_host({.name = "balancer", .addresses = {"10.0.0.1"}});
  Slow sink;
};

TEST_F(AccessLogs, lines_leave_in_batches_after_a_moment) {
  AccessLog log(host.world(), sink, {});
  for (int i = 0; i < 3; ++i) log.add(record());
  EXPECT_TRUE(sink.batches.empty());
  sim.run_for(Duration(kAccessFlushMs) + 1ms);
  ASSERT_EQ(sink.batches.size(), 1u);
  EXPECT_EQ(lines_in(sink.batches[0]), 3u);
  sim.run_for(10s);
  EXPECT_EQ(sink.batches.size(), 1u) << "nothing is told of nothing";
  EXPECT_EQ(sim.leftovers_text(), "");
}

TEST_F(AccessLogs, tells_of_so_many_refusals_a_second_and_how_many_it_left_out) {
  const auto left_out = [this] {
    std::vector<std::int64_t> out;
    for (const std::string& batch : sink.batches) {
      for (std::size_t at = 0; at < batch.size(); at = batch.find('\n', at) + 1) {
        const auto json = parse_json(batch.substr(at, batch.find('\n', at) - at));
        if (json && (*json)["left_out"].integer()) out.push_back(*(*json)["left_out"].integer());
      }
    }
    return out;
  };
  {
    AccessLog log(host.world(), sink, {});
    const auto refuse = [&](unsigned times) {
      for (unsigned i = 0; i < times; ++i) log.add_refused(record());
    };
    refuse(kRefusedLinesPerSecondMax);
    sim.run_for(2s);
    EXPECT_TRUE(left_out().empty()) << "nothing was left out";
    refuse(kRefusedLinesPerSecondMax + 7);
    sim.run_for(500ms);
    refuse(3);
    EXPECT_TRUE(left_out().empty()) << "the second is not over";
    log.add(record());  // others are told of
    sim.run_for(1s);
    EXPECT_EQ(left_out(), std::vector<std::int64_t>{10});
    refuse(kRefusedLinesPerSecondMax + 5);
  }
  EXPECT_EQ(left_out(), (std::vector<std::int64_t>{10, 5})) << "and at the end of the worker";
  EXPECT_EQ(lines_taken(), 3 * kRefusedLinesPerSecondMax + 3);
  EXPECT_EQ(sim.leftovers_text(), "");
}

TEST_F(AccessLogs, a_record_has_the_time_at_which_it_began) {
  AccessLog log(host.world(), sink, {});
  AccessRecord early = record();
  sim.run_for(5s);
  log.add(early);
  log.flush();
  EXPECT_TRUE(sink.batches.at(0).starts_with("{\"time\":\"2001-09-09T01:46:35.000Z\"")) << sink.batches[0];
}

TEST_F(AccessLogs, a_sink_that_stalls_costs_lines_and_no_memory) {
  AccessLog log(host.world(), sink, {.form = AccessForm::line});
  sink.takes = false;
  constexpr std::uint64_t kRecords = 20'000;
  for (std::uint64_t i = 0; i < kRecords; ++i) log.add(record());
  EXPECT_GT(log.counts().lost, 0u);
  EXPECT_EQ(log.counts().records + log.counts().lost, kRecords);
  sim.run_for(1s);
  EXPECT_TRUE(sink.batches.empty());
  sink.takes = true;
  sim.run_for(1s);
  ASSERT_EQ(sink.batches.size(), 1u);
  EXPECT_GE(sink.batches[0].size(), kAccessBufferBytesMax);
  EXPECT_LT(sink.batches[0].size(), kAccessBufferBytesMax + 1000);
  EXPECT_EQ(lines_in(sink.batches[0]), log.counts().records);
  const std::uint64_t lost = log.counts().lost;
  log.add(record());
  EXPECT_EQ(log.counts().lost, lost) << "and all is well again";
}

TEST_F(AccessLogs, what_is_left_leaves_at_the_end) {
  {
    AccessLog log(host.world(), sink, {});
    log.add(record());
  }
  EXPECT_EQ(lines_taken(), 1u);
  EXPECT_EQ(sim.leftovers_text(), "");
}

// --- the file ---

struct Lines final : Log {
  void write(LogLevel, std::string_view line) override { said += std::string(line) + "\n"; }
  std::string said;
};

struct AccessFiles : testing::Test {
  void SetUp() override {
    char made[] = "/tmp/rejoin-access-XXXXXX";
    ASSERT_NE(mkdtemp(made), nullptr);
    folder = made;
    path = folder + "/access.log";
  }
  void TearDown() override {
    for (const char* const name : {"/access.log", "/moved.log", "/pipe"}) ::unlink((folder + name).c_str());
    ::rmdir(folder.c_str());
  }
  static std::string read(const std::string& from) {
    std::ifstream in(from);
    std::stringstream out;
    out << in.rdbuf();
    return out.str();
  }
  /// Asks until it is so; the thread writes when it likes.
  static bool soon(const std::function<bool()>& done) {
    for (int i = 0; i < 3000; ++i) {
      if (done()) return true;
      ::poll(nullptr, 0, 10);
    }
    return false;
  }
  static void give(AccessFile& file, std::string lines) {
    EXPECT_TRUE(soon([&] { return file.offer(lines); }));
    EXPECT_TRUE(lines.empty());
  }
  std::string folder, path;
  Lines log;
};

TEST_F(AccessFiles, are_written_behind_their_end_in_order) {
  std::ofstream(path) << "before\n";
  {
    auto file = AccessFile::open(path, log);
    ASSERT_TRUE(file);
    give(**file, "one\ntwo\n");
    give(**file, "three\n");
  }
  EXPECT_EQ(read(path), "before\none\ntwo\nthree\n") << "all of it is written when the program ends";
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(log.said, "");
}

TEST_F(AccessFiles, are_opened_anew_after_they_were_moved_away) {
  auto file = AccessFile::open(path, log);
  ASSERT_TRUE(file);
  give(**file, "one\n");
  ASSERT_TRUE(soon([&] { return read(path) == "one\n"; }));
  ASSERT_EQ(::rename(path.c_str(), (folder + "/moved.log").c_str()), 0);
  give(**file, "two\n");
  ASSERT_TRUE(soon([&] { return read(folder + "/moved.log") == "one\ntwo\n"; }));
  (*file)->reopen();
  ASSERT_TRUE(soon([&] { return ::access(path.c_str(), F_OK) == 0; }));
  give(**file, "three\n");
  ASSERT_TRUE(soon([&] { return read(path) == "three\n"; }));
  EXPECT_EQ(read(folder + "/moved.log"), "one\ntwo\n");
}

TEST_F(AccessFiles, that_cannot_be_opened_say_why) {
  auto none = AccessFile::open(folder + "/no/such/folder.log", log);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().detail,
            "access log: " + folder + "/no/such/folder.log cannot be opened: No such file or directory");
  ASSERT_EQ(::mkfifo((folder + "/pipe").c_str(), 0600), 0);
  EXPECT_FALSE(AccessFile::open(folder + "/pipe", log)) << "a FIFO without a reader does not hang the start";
}

TEST_F(AccessFiles, a_pipe_that_stalls_holds_nobody_up_and_loses_no_line_in_its_middle) {
  const std::string pipe = folder + "/pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const int reader = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  std::size_t given = 0;
  std::string heard;
  char block[65536];
  {
    auto file = AccessFile::open(pipe, log);
    ASSERT_TRUE(file);
    const std::string line(100, 'x');
    std::string batch;
    while (batch.size() < kAccessBatchBytes) batch += line + "\n";
    // Nobody reads: the pipe fills, then the queue, and then nothing is taken any more.
    for (int refused = 0; refused < 50;) {
      std::string lines = batch;
      if ((*file)->offer(lines)) {
        given += lines_in(batch);
        ASSERT_LT(given * 101, 2 * kAccessQueueBytesMax);
      } else {
        ++refused;
        ::poll(nullptr, 0, 1);
      }
    }
    EXPECT_GT(given * 101, kAccessQueueBytesMax / 2);
    ASSERT_TRUE(soon([&] {
      const ssize_t got = ::read(reader, block, sizeof block);
      if (got > 0) heard.append(block, static_cast<std::size_t>(got));
      return lines_in(heard) == given;
    })) << lines_in(heard)
        << " of " << given;
    EXPECT_EQ(heard.size(), given * 101);

    // Full again, and the program ends: it does not wait for ever, and says what it lost.
    for (int refused = 0; refused < 50;) {
      std::string lines = batch;
      if (!(*file)->offer(lines)) {
        ++refused;
        ::poll(nullptr, 0, 1);
      }
    }
  }
  EXPECT_NE(log.said.find("its last lines could not be written in time"), std::string::npos) << log.said;
  ::close(reader);
}

TEST_F(AccessFiles, a_full_disk_is_said_once_and_counted) {
  if (::access("/dev/full", W_OK) != 0) GTEST_SKIP();
  auto file = AccessFile::open("/dev/full", log);
  ASSERT_TRUE(file);
  give(**file, "one\ntwo\n");
  give(**file, "three\n");
  EXPECT_TRUE(soon([&] { return (*file)->failed() == 3; }));
  file->reset();
  EXPECT_EQ(lines_in(log.said), 1u) << log.said;
  EXPECT_NE(log.said.find("No space left on device"), std::string::npos) << log.said;
}

}  // namespace
}  // namespace rejoin::watch
