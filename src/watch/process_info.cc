#include "watch/process_info.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <vector>

namespace rejoin::watch {
namespace {

constexpr std::uint64_t kUsPerSecond = 1'000'000;

/// The words of a small file under /proc; none when it cannot be read.
std::vector<std::string> words_of(const char* path) {
  std::vector<std::string> out;
  const int file = ::open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return out;
  std::string text(4096, '\0');
  const ssize_t got = ::read(file, text.data(), text.size());
  ::close(file);
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = text.find_first_of(" \n", at);
    if (end != at) out.push_back(text.substr(at, end - at));
    if (end == std::string::npos) break;
    at = end + 1;
  }
  return out;
}

std::uint64_t number(const std::vector<std::string>& words, std::size_t index) {
  std::uint64_t out = 0;
  if (index < words.size())
    std::from_chars(words[index].data(), words[index].data() + words[index].size(), out);
  return out;
}

std::uint64_t us_of(const timeval& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * kUsPerSecond + static_cast<std::uint64_t>(time.tv_usec);
}

/// Microseconds of a clock.
std::uint64_t us_of(clockid_t clock) {
  timespec now{};
  (void)::clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * kUsPerSecond +
         static_cast<std::uint64_t>(now.tv_nsec) / 1000;
}

/// When the process began, since 1970: ticks since the machine did.
std::uint64_t started_us() {
  const std::vector<std::string> words = words_of("/proc/self/stat");
  std::size_t name = 0;  // behind it, since it may hold spaces; in parentheses
  while (name < words.size() && !words[name].ends_with(')')) ++name;
  const long rate = ::sysconf(_SC_CLK_TCK);
  const std::uint64_t since_boot =
      number(words, name + 20) * kUsPerSecond / static_cast<std::uint64_t>(rate > 0 ? rate : 100);
  return us_of(CLOCK_REALTIME) - us_of(CLOCK_BOOTTIME) + since_boot;
}

void write_gauge(MetricsText& out, std::string_view name, std::string_view help, std::uint64_t value) {
  out.family(name, MetricKind::gauge, help);
  out.sample(value);
}

/// Of one table. Linux 6.2 and later tell how many there are as the size of the folder; counting them would
/// hold up the loop of a program that has a hundred thousand.
void add_descriptors(const std::string& folder, std::uint64_t& open, std::uint64_t& tables) {
  struct stat found {};
  if (::stat(folder.c_str(), &found) != 0) return;
  ++tables;
  open += static_cast<std::uint64_t>(found.st_size);
}

}  // namespace

std::string_view version() { return REJOIN_VERSION; }
std::string_view compiler() {
#ifdef __clang__
  return "clang " __clang_version__;
#else
  return "gcc " __VERSION__;
#endif
}

void write_process(MetricsText& out, const std::vector<pid_t>& own_tables) {
  out.family("rejoin_build_info", MetricKind::gauge, "1; the labels say which program this is.");
  out.sample({{"version", version()}, {"compiler", compiler()}}, 1);

  rusage used{};
  (void)::getrusage(RUSAGE_SELF, &used);
  out.family("process_cpu_seconds_total", MetricKind::counter, "CPU time, user and system.");
  out.sample_seconds({}, us_of(used.ru_utime) + us_of(used.ru_stime));
  out.family("process_start_time_seconds", MetricKind::gauge, "When the process began, since 1970.");
  static const std::uint64_t kStarted = started_us();  // the clocks differ by a little more each time
  out.sample_seconds({}, kStarted);
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  write_gauge(out, "process_resident_memory_bytes", "Memory in use.",
              number(words_of("/proc/self/statm"), 1) * page);
  rlimit most{};
  (void)::getrlimit(RLIMIT_NOFILE, &most);
  std::uint64_t open = 0, tables = 0;
  add_descriptors("/proc/thread-self/fd", open, tables);
  for (const pid_t thread : own_tables)
    add_descriptors("/proc/self/task/" + std::to_string(thread) + "/fd", open, tables);
  write_gauge(out, "process_max_fds", "Descriptors that the process may have.",
              most.rlim_cur * std::max<std::uint64_t>(tables, 1));
  if (open != 0) write_gauge(out, "process_open_fds", "Descriptors that it has.", open);
}

}  // namespace rejoin::watch
