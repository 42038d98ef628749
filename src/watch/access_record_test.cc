#include "watch/access_record.h"

#include <gtest/gtest.h>

#include "watch/json.h"

namespace rejoin::watch {
namespace {

AccessRecord example() {
  AccessRecord record;
  record.id = 0x00a1b2c3d4e5f607;
  record.listener = "play";
  record.client = *Address::parse("192.0.2.7:40000");
  record.method = "GET";
  record.host = "play.example";
  record.path = "/room";
  record.query = "token=secret";
  record.version = "HTTP/1.1";
  record.status = 200;
  record.bytes_in = 120;
  record.bytes_out = 5000;
  record.head = 250us;
  record.queue = 0us;
  record.connect = 1500us;
  record.first_byte = 20ms;
  record.total = 3661s + 7us;
  record.pool = "gateways";
  record.server = "g1";
  record.decision = "pinned";
  record.affinity = "cookie-insert";
  record.reason = "found";
  record.end = "done";
  record.end_in = "download";
  return record;
}

std::string text_of(const AccessRecord& record, const AccessRules& rules) {
  std::string out;
  append_access_record(out, record, 1'795'658'007'042, rules);
  return out;
}

TEST(AccessRecord, is_one_object_a_line) {
  EXPECT_EQ(
      text_of(example(), {}),
      R"({"time":"2026-11-26T01:53:27.042Z","kind":"request","id":"00a1b2c3d4e5f607","listener":"play",)"
      R"("client":"192.0.2.7:40000","peer":null,"forwarded_for":null,"tls_version":null,"sni":null,)"
      R"("method":"GET","host":"play.example","path":"/room","version":"HTTP/1.1","user_agent":null,)"
      R"("request_id":null,"status":200,"bytes_in":120,"bytes_out":5000,"head_ms":0.250,"queue_ms":0.000,)"
      R"("connect_ms":1.500,"first_byte_ms":20.000,"total_ms":3661000.007,"pool":"gateways","server":"g1",)"
      R"("decision":"pinned","affinity":"cookie-insert","reason":"found","retries":0,"reused":false,)"
      R"("end":"done","end_by":null,"end_in":"download","detail":null,"left_out":null})"
      "\n");
}

TEST(AccessRecord, is_words_in_a_line) {
  EXPECT_EQ(text_of(example(), {.form = AccessForm::line}),
            "2026-11-26T01:53:27.042Z request 00a1b2c3d4e5f607 play 192.0.2.7:40000 "
            "\"GET /room HTTP/1.1\" \"play.example\" 200 120 5000 0.250/0.000/1.500/20.000/3661000.007 "
            "gateways/g1 pinned/cookie-insert/found 0 done/-/download\n");
  EXPECT_EQ(
      text_of(AccessRecord(), {.form = AccessForm::line}),
      "2026-11-26T01:53:27.042Z request 0000000000000000 - - \"-\" \"-\" - 0 0 -/-/-/-/0.000 -/- -/-/- 0 "
      "-/-/-\n");
}

TEST(AccessRecord, has_the_query_only_where_it_is_asked_for) {
  for (const AccessForm form : {AccessForm::json, AccessForm::line}) {
    EXPECT_EQ(text_of(example(), {.form = form}).find("secret"), std::string::npos);
    EXPECT_NE(text_of(example(), {.form = form, .query = true}).find("token=secret"), std::string::npos);
  }
}

TEST(AccessRecord, no_byte_of_a_client_breaks_a_line) {
  // Every byte in every text of a client, in the middle of others.
  for (int byte = 0; byte < 256; ++byte) {
    const std::string evil = std::string("a") + static_cast<char>(byte) + "b";
    AccessRecord record = example();
    for (Bytes* const text : {&record.forwarded_for, &record.sni, &record.method, &record.host, &record.path,
                              &record.query, &record.user_agent, &record.request_id, &record.detail}) {
      *text = evil;
    }
    const std::string json = text_of(record, {.query = true});
    EXPECT_EQ(json.find('\n'), json.size() - 1) << byte;
    const auto read = parse_json(json);
    ASSERT_TRUE(read) << byte << json;
    // Bytes from 0x80 on are read as Latin-1, which is two bytes of UTF-8.
    std::string expected = evil;
    if (byte >= 0x80) {
      expected = std::string("a") + static_cast<char>(0xc0 | (byte >> 6)) +
                 static_cast<char>(0x80 | (byte & 0x3f)) + "b";
    }
    EXPECT_EQ((*read)["path"].text(), expected) << byte;
    EXPECT_EQ((*read)["user_agent"].text(), expected) << byte;

    const std::string line = text_of(record, {.form = AccessForm::line, .query = true});
    EXPECT_EQ(line.find('\n'), line.size() - 1) << byte;
    EXPECT_EQ(std::count(line.begin(), line.end(), '"'), 4) << byte << line;
    for (const char c : line.substr(0, line.size() - 1)) EXPECT_TRUE(c >= 0x20 && c < 0x7f) << byte;
  }
}

TEST(AccessRecord, cuts_what_is_too_long) {
  AccessRecord record = example();
  const std::string path = "/" + std::string(8000, 'p'), agent(8000, 'u');
  record.path = path;
  record.user_agent = agent;
  const auto json = parse_json(text_of(record, {}));
  ASSERT_TRUE(json);
  EXPECT_EQ((*json)["path"].text(), path.substr(0, kAccessPathBytesMax) + "...");
  EXPECT_EQ((*json)["user_agent"].text(), agent.substr(0, kAccessTextBytesMax) + "...");
  EXPECT_LT(text_of(record, {.form = AccessForm::line}).size(), 2 * kAccessPathBytesMax);
}

TEST(AccessRecord, times_are_of_the_calendar) {
  const struct {
    std::int64_t ms;
    const char* text;
  } cases[] = {
      {0, "1970-01-01T00:00:00.000Z"},
      {951'782'399'999, "2000-02-28T23:59:59.999Z"},
      {951'782'400'000, "2000-02-29T00:00:00.000Z"},
      {4'107'542'399'001, "2100-02-28T23:59:59.001Z"},
      {4'107'542'400'000, "2100-03-01T00:00:00.000Z"},
  };
  for (const auto& one : cases) EXPECT_EQ(time_text(one.ms), one.text);
}

}  // namespace
}  // namespace rejoin::watch
