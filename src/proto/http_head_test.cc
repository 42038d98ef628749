// What a head tells besides its verdict: fields by name and number, places, the next message.
#include "proto/http_head.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "proto/http_scan.h"
#include "proto/http_target.h"

namespace rejoin::proto {
namespace {

const std::string kText =
    "GET /a HTTP/1.1\r\n"
    "host: a.example\r\n"
    "Cookie: a=1\r\n"
    "X-Own:  one \r\n"
    "COOKIE: b=2\r\n"
    "cookie:\r\n"
    "\r\n";

TEST(RequestHead, FieldsAreFoundByNumberAndByName) {
  RequestHead head;
  const std::string text = kText + "body";
  const HeadVerdict verdict = head.feed(text);
  ASSERT_EQ(verdict.state, HeadState::complete);
  EXPECT_EQ(verdict.consumed, kText.size());
  EXPECT_EQ(head.bytes(), kText);
  EXPECT_EQ(head.start_line(), "GET /a HTTP/1.1");
  EXPECT_EQ(head.method(), Method::get);
  ASSERT_EQ(head.fields().size(), 5u);
  EXPECT_EQ(head.name(head.fields()[0]), "host");
  EXPECT_EQ(head.value_of(KnownField::host), "a.example");
  EXPECT_EQ(head.value(*head.find("x-own")), "one");
  EXPECT_EQ(head.find("x-ow"), nullptr);
  EXPECT_EQ(head.find(KnownField::upgrade), nullptr);
  EXPECT_TRUE(head.value_of(KnownField::upgrade).empty());
  EXPECT_FALSE(head.content_length().has_value());

  std::vector<std::string> cookies;
  std::vector<std::size_t> places;
  for (const Field& field : head.all(KnownField::cookie)) {
    cookies.emplace_back(head.value(field));
    places.push_back(head.index_of(field));
  }
  EXPECT_EQ(cookies, (std::vector<std::string>{"a=1", "b=2", ""}));
  EXPECT_EQ(places, (std::vector<std::size_t>{1, 3, 4}));
  for (const Field& field : head.all(KnownField::set_cookie)) ADD_FAILURE() << head.name(field);
}

TEST(RequestHead, TheBytesMayMoveBetweenFeeds) {
  RequestHead head;
  HeadVerdict verdict;
  for (std::size_t size = 1; size <= kText.size(); ++size) {
    const std::string elsewhere = kText.substr(0, size);
    verdict = head.feed(elsewhere);
  }
  ASSERT_EQ(verdict.state, HeadState::complete);
  head.rebind(kText);
  EXPECT_EQ(head.host(), "a.example");
}

TEST(RequestHead, ACopyIsAHeadOfItsOwn) {
  RequestHead head;
  head.feed(kText);
  const RequestHead copy = head;
  EXPECT_EQ(copy.value_of(KnownField::cookie), "a=1");
  EXPECT_EQ(copy.index_of(*copy.find(KnownField::cookie)), 1u);
}

TEST(RequestHead, WhatIsConsumedCountsTheEmptyLineBefore) {
  RequestHead head;
  const std::string text = "\r\n" + kText + "body";
  const HeadVerdict verdict = head.feed(text);
  EXPECT_EQ(verdict.consumed, kText.size() + 2);
  EXPECT_EQ(head.bytes(), kText);
}

TEST(RequestHead, PathAndHostOfEveryForm) {
  struct FormCase {
    const char *line, *host, *path, *wanted_host;
    TargetForm form;
  };
  const std::vector<FormCase> cases = {
      {"GET /a/b?c HTTP/1.1", "h", "/a/b?c", "h", TargetForm::origin},
      {"GET http://H/a?b HTTP/1.1", "h", "/a?b", "H", TargetForm::absolute},
      {"GET http://h HTTP/1.1", "h", "/", "h", TargetForm::absolute},
      {"OPTIONS http://h HTTP/1.1", "h", "*", "h", TargetForm::absolute},
      {"OPTIONS * HTTP/1.1", "h", "*", "h", TargetForm::asterisk},
      {"CONNECT h:1 HTTP/1.1", "h:1", "", "h:1", TargetForm::authority},
  };
  for (const FormCase& one : cases) {
    SCOPED_TRACE(one.line);
    const std::string text = std::string(one.line) + "\r\nHost: " + one.host + "\r\n\r\n";
    RequestHead head;
    ASSERT_EQ(head.feed(text).state, HeadState::complete);
    EXPECT_EQ(head.target_form(), one.form);
    EXPECT_EQ(head.path_and_query(), one.path);
    EXPECT_EQ(head.host(), one.wanted_host);
  }
}

TEST(RequestHead, Methods) {
  const std::vector<std::pair<std::string, Method>> cases = {
      {"GET", Method::get},
      {"HEAD", Method::head},
      {"POST", Method::post},
      {"PUT", Method::put},
      {"DELETE", Method::delete_},
      {"OPTIONS", Method::options},
      {"TRACE", Method::trace},
      {"PATCH", Method::patch},
      {"PROPFIND", Method::other},
      {"GETS", Method::other},
      {"PUP", Method::other},
      {"A", Method::other},
      {"VERSION-CONTROL", Method::other},
  };
  for (const auto& [text, method] : cases) {
    RequestHead head;
    ASSERT_EQ(head.feed(text + " / HTTP/1.0\r\n\r\n").state, HeadState::complete) << text;
    EXPECT_EQ(head.method(), method) << text;
  }
}

TEST(RequestHead, ConnectionOptionsAreFoundInEveryField) {
  const std::string text =
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-One\r\nX-One: 1\r\nConnection: x-two\r\n\r\n";
  RequestHead head;
  ASSERT_EQ(head.feed(text).state, HeadState::complete);
  EXPECT_TRUE(head.connection_names_fields());
  EXPECT_TRUE(head.named_by_connection("X-TWO"));
  EXPECT_TRUE(head.named_by_connection("x-one"));
  EXPECT_FALSE(head.named_by_connection("x-on"));
  EXPECT_FALSE(head.connection_upgrade());
}

TEST(KnownFields, EveryNameIsItselfInAnyCaseAndNothingElse) {
  for (int i = 1; i < static_cast<int>(KnownField::count_); ++i) {
    const auto field = static_cast<KnownField>(i);
    const std::string name(name_of(field));
    SCOPED_TRACE(name);
    ASSERT_TRUE(is_token(name));
    EXPECT_EQ(known_field(name), field);
    std::string upper = name, swapped = name;
    for (char& byte : upper) byte = static_cast<char>(std::toupper(byte));
    EXPECT_EQ(known_field(upper), field);
    const std::string padded = name + std::string(32, ':');
    EXPECT_EQ(known_field(padded.data(), name.size(), padded.size()), field) << "with bytes behind it";
    EXPECT_EQ(known_field(name + "x"), KnownField::other);
    EXPECT_EQ(known_field(Bytes(name).substr(1)), KnownField::other);
    // Every other byte in every place, among them CR for '-', which differ in the bit that folds the case of
    // letters.
    for (std::size_t at = 0; at < name.size(); ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string other = name;
        other[at] = static_cast<char>(byte);
        if (equals_ignoring_case(other, name)) continue;
        ASSERT_NE(known_field(other), field) << at << " " << byte;
        const bool control = byte < 32;
        const std::string behind = other + std::string(32, ' ');
        if (control) continue;
        ASSERT_NE(known_field(behind.data(), other.size(), behind.size()), field) << at << " " << byte;
      }
    }
  }
  EXPECT_EQ(known_field(""), KnownField::other);
  EXPECT_EQ(known_field("x"), KnownField::other);
  EXPECT_EQ(known_field(std::string(100, 'a')), KnownField::other);
  EXPECT_EQ(name_of(KnownField::other), "");
}

TEST(Lists, ItemsAreTrimmedAndEmptyOnesKept) {
  const auto items = [](Bytes list) {
    std::vector<std::string> all;
    Bytes item;
    while (next_list_item(list, item)) all.emplace_back(item);
    return all;
  };
  EXPECT_EQ(items("a"), (std::vector<std::string>{"a"}));
  EXPECT_EQ(items(" a\t, b b ,,"), (std::vector<std::string>{"a", "b b", "", ""}));
  EXPECT_EQ(items(""), (std::vector<std::string>{""}));
  EXPECT_TRUE(items(Bytes{}).empty());
  EXPECT_TRUE(list_has("x, WebSocket ,y", "websocket"));
  EXPECT_FALSE(list_has("x, WebSockets", "websocket"));
}

TEST(ControlFinder, FindsEveryControlByteWhereverItLies) {
  for (std::size_t size : {0u, 1u, 15u, 63u, 64u, 65u, 127u, 128u, 200u}) {
    for (std::size_t from = 0; from <= std::min<std::size_t>(size, 70); ++from) {
      for (std::size_t place = 0; place < size; ++place) {
        const std::vector<char> bytes = [&] {
          std::vector<char> made(size, 'a');
          made[place] = '\r';
          return made;
        }();
        ControlFinder finder(bytes.data(), from, size);
        if (place >= from) {
          ASSERT_EQ(finder.next(), place) << size << " " << from;
        }
        ASSERT_EQ(finder.next(), ControlFinder::kNone) << size << " " << from << " " << place;
      }
    }
  }
  std::string every;
  for (int byte = 0; byte < 256; ++byte) every += static_cast<char>(byte);
  ControlFinder finder(every.data(), 0, every.size());
  for (std::size_t i = 0; i < 32; ++i) EXPECT_EQ(finder.next(), i);
  EXPECT_EQ(finder.next(), 127u);
  EXPECT_EQ(finder.next(), ControlFinder::kNone);
}

TEST(FindNear, LooksNoFurtherThanItMay) {
  const std::string text = "abcdefghijklmnopqrstuvwxyz:";
  for (std::size_t size = 0; size <= text.size(); ++size) {
    for (std::size_t readable = size; readable <= text.size(); ++readable) {
      EXPECT_EQ(find_near(text.data(), size, readable, ':'), std::min<std::size_t>(size, 26));
      EXPECT_EQ(find_near(text.data(), size, readable, 'd'), std::min<std::size_t>(size, 3));
    }
  }
}

}  // namespace
}  // namespace rejoin::proto
