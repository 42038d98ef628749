#include "base/result.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

namespace rejoin {
namespace {

Result<int> half(int value) {
  if (value % 2 != 0) return Error{ErrorKind::bad_input, Side::client, Retry::no, "odd"};
  return value / 2;
}

TEST(Result, holds_a_value_or_an_error) {
  Result<int> good = half(8);
  ASSERT_TRUE(good);
  EXPECT_TRUE(good.ok());
  EXPECT_EQ(*good, 4);
  *good = 5;
  EXPECT_EQ(good.value(), 5);
  const Result<int> bad = half(7);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().kind, ErrorKind::bad_input);
  EXPECT_EQ(bad.error().side, Side::client);
}

TEST(Result, carries_what_can_only_be_moved) {
  Result<std::unique_ptr<int>> made = std::make_unique<int>(3);
  const std::unique_ptr<int> taken = *std::move(made);
  EXPECT_EQ(*taken, 3);
  Result<std::string> text = std::string("abc");
  EXPECT_EQ(text->size(), 3u);
}

TEST(Result, status_is_ok_until_an_error_is_put_in) {
  Status status;
  EXPECT_TRUE(status);
  status = Error{ErrorKind::closed, Side::server, Retry::yes, "early"};
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().detail, "early");
  status = Status{};
  EXPECT_TRUE(status.ok());
}

TEST(ResultDeathTest, the_value_of_an_error_is_a_bug) {
  EXPECT_DEATH((void)*half(7), "ok");
  EXPECT_DEATH((void)half(8).error(), "ok");
  EXPECT_DEATH((void)Status().error(), "error_");
}

TEST(Error, kinds_come_from_errno) {
  const struct {
    int errnum;
    ErrorKind kind;
    Retry retry;
  } cases[] = {
      {ECONNREFUSED, ErrorKind::refused, Retry::yes},
      {ECONNRESET, ErrorKind::reset, Retry::no},
      {EPIPE, ErrorKind::reset, Retry::no},
      {ECONNABORTED, ErrorKind::reset, Retry::no},
      {ETIMEDOUT, ErrorKind::timed_out, Retry::yes},
      {EHOSTUNREACH, ErrorKind::unreachable, Retry::yes},
      {ENETUNREACH, ErrorKind::unreachable, Retry::yes},
      {ENETDOWN, ErrorKind::unreachable, Retry::yes},
      {EHOSTDOWN, ErrorKind::unreachable, Retry::yes},
      {EMFILE, ErrorKind::exhausted, Retry::no},
      {ENFILE, ErrorKind::exhausted, Retry::no},
      {ENOBUFS, ErrorKind::exhausted, Retry::no},
      {ENOMEM, ErrorKind::exhausted, Retry::no},
      {EADDRNOTAVAIL, ErrorKind::exhausted, Retry::no},
      {EADDRINUSE, ErrorKind::os, Retry::no},
      {EINVAL, ErrorKind::os, Retry::no},
  };
  for (const auto& one : cases) {
    const Error error = Error::from_errno(one.errnum, "doing it", Side::server);
    EXPECT_EQ(error.kind, one.kind) << one.errnum;
    EXPECT_EQ(error.retry, one.retry) << one.errnum;
    EXPECT_EQ(error.side, Side::server);
    EXPECT_EQ(error.detail.rfind("doing it: ", 0), 0u) << error.detail;
    EXPECT_GT(error.detail.size(), 12u) << "the system's own words follow";
  }
}

TEST(Error, reads_as_a_line) {
  EXPECT_EQ(to_string(Error{ErrorKind::refused, Side::server, Retry::yes, "connect 127.0.0.1:8000"}),
            "refused (server): connect 127.0.0.1:8000");
  EXPECT_EQ(to_string(Error{ErrorKind::cancelled, Side::ours, Retry::no, ""}), "cancelled (ours)");
  for (int kind = 0; kind <= static_cast<int>(ErrorKind::config); ++kind) {
    EXPECT_NE(to_string(static_cast<ErrorKind>(kind)), "?");
  }
  EXPECT_EQ(to_string(Side::client), "client");
}

}  // namespace
}  // namespace rejoin
