// For tests: an access log in memory, read back a record a line.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "watch/access_log.h"
#include "watch/json.h"

namespace rejoin::watch {

struct MemorySink final : AccessSink {
  explicit MemorySink(Clock& of) : clock(of) {}
  bool offer(std::string& more) override {
    lines += more;
    more.clear();
    return true;
  }
  std::int64_t unix_ms() const override { return clock.unix_now() * 1000; }

  std::vector<Json> records() const {
    std::vector<Json> out;
    std::string_view rest = lines;
    while (!rest.empty()) {
      const std::size_t end = rest.find('\n');
      const auto json = parse_json(rest.substr(0, end));
      EXPECT_TRUE(json) << rest.substr(0, end);
      if (json) out.push_back(*json);
      rest.remove_prefix(end + 1);
    }
    return out;
  }

  Clock& clock;
  std::string lines;
};

}  // namespace rejoin::watch
