#include "proto/resume_opening.h"

#include <gtest/gtest.h>

#include <string>

#include "proto/resume_frame.h"

namespace rejoin::proto {
namespace {

using namespace std::string_literals;

std::string with_length(std::string frame) {
  std::string out(4, '\0');
  store_u32(out.data(), static_cast<std::uint32_t>(frame.size()));
  return out + frame;
}

/// "more", "other", or "resume:" and the frame.
std::string told(Bytes bytes) {
  const Opening opening = opening_of(bytes);
  switch (opening.state) {
    case Opening::State::need_more: return "more";
    case Opening::State::other: return "other";
    case Opening::State::resume: return "resume:" + std::string(opening.frame);
  }
  return "?";
}

std::string resume_frame(std::string ticket = "a ticket") {
  std::string out;
  Resume resume;
  resume.ticket = ticket;
  resume.epoch = 2;
  append_resume(out, resume, SessionSecret{});
  return out;
}

TEST(ResumeOpening, a_resume_is_waited_for_whole_and_nothing_behind_it_counts) {
  const std::string frame = resume_frame(), bytes = with_length(frame);
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) EXPECT_EQ(told(bytes.substr(0, cut)), "more") << cut;
  EXPECT_EQ(told(bytes), "resume:" + frame);
  EXPECT_EQ(told(bytes + "and more"), "resume:" + frame);
}

TEST(ResumeOpening, five_bytes_show_what_is_none) {
  const struct {
    std::string name, bytes;
    std::string expected;
  } cases[] = {
      {"nothing", "", "more"},
      {"a length alone", "\0\0\0\x10"s, "more"},
      {"HELLO", "\0\0\0\x10\x01"s, "other"},
      {"RESUMED", "\0\0\0\x10\x04"s, "other"},
      {"DATA", "\0\0\0\x10\x10"s, "other"},
      {"an empty frame, and another behind it", "\0\0\0\0\x03"s, "other"},
      {"a RESUME of the largest size", "\0\0\x04\0\x03"s, "more"},
      {"one byte more", "\0\0\x04\x01\x03"s, "other"},
      {"a length beyond all", "\xff\xff\xff\xff\x03"s, "other"},
      {"HTTP", "GET /", "other"},
      {"a RESUME too short to be one", "\0\0\0\1\x03"s, "resume:\x03"},
  };
  for (const auto& c : cases) EXPECT_EQ(told(c.bytes), c.expected) << c.name;
}

TEST(ResumeOpening, the_largest_resume_fits_into_what_is_asked_for) {
  const std::string empty = resume_frame("");
  const std::string largest = resume_frame(std::string(limits::kResumeBytesMax - empty.size(), 't'));
  ASSERT_EQ(largest.size(), limits::kResumeBytesMax);
  const std::string bytes = with_length(largest);
  EXPECT_EQ(bytes.size(), kOpeningBytesMax);
  EXPECT_EQ(told(bytes.substr(0, kOpeningBytesMax - 1)), "more");
  EXPECT_EQ(told(bytes), "resume:" + largest);
}

}  // namespace
}  // namespace rejoin::proto
