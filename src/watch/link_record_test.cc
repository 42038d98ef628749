#include "watch/link_record.h"

#include <gtest/gtest.h>

#include "watch/json.h"

namespace rejoin::watch {
namespace {

LinkRecord example() {
  LinkRecord record;
  record.session = "00ff";
  record.listener = "ws";
  record.client = *Address::parse("192.0.2.7:40000");
  record.peer = *Address::parse("10.0.0.1:1234");
  record.transport = "websocket";
  record.protocol = "rejoin";
  record.opened = "resumed";
  record.epoch = 3;
  record.messages_in = 0;
  record.messages_out = 12;
  record.bytes_out = 700;
  record.total = 3661s + 7us;
  record.code = 4409;
  record.reason = "replaced";
  record.detail = "another link has the session";
  record.end = "dismissed";
  record.end_by = "ours";
  record.end_in = "session";
  return record;
}

std::string text_of(const LinkRecord& record, AccessForm form) {
  std::string out;
  append_link_record(out, record, 1'795'658'007'042, {.form = form});
  return out;
}

TEST(LinkRecord, is_one_object_a_line) {
  EXPECT_EQ(text_of(example(), AccessForm::json),
            R"({"time":"2026-11-26T01:53:27.042Z","kind":"link","session":"00ff","listener":"ws",)"
            R"("client":"192.0.2.7:40000","peer":"10.0.0.1:1234","tls_version":null,"sni":null,)"
            R"("transport":"websocket","protocol":"rejoin","opened":"resumed","epoch":3,"links":null,)"
            R"("resumes":null,"messages_in":0,"messages_out":12,"bytes_in":null,"bytes_out":700,)"
            R"("total_ms":3661000.007,"status":null,"code":4409,"reason":"replaced",)"
            R"("detail":"another link has the session","end":"dismissed","end_by":"ours",)"
            R"("end_in":"session","left_out":null})"
            "\n");
}

TEST(LinkRecord, is_words_in_a_line) {
  EXPECT_EQ(text_of(example(), AccessForm::line),
            "2026-11-26T01:53:27.042Z link 00ff ws 192.0.2.7:40000 websocket/rejoin/resumed 3 - 0 12 - 700 "
            "3661000.007 -/4409/replaced dismissed/ours/session \"another link has the session\"\n");
  LinkRecord left_out;
  left_out.kind = LinkRecord::Kind::refused;
  left_out.left_out = 7;
  EXPECT_EQ(text_of(left_out, AccessForm::line),
            "2026-11-26T01:53:27.042Z refused - - - -/-/- - - - - - - 0.000 -/-/- -/-/- \"-\" left_out=7\n");
}

TEST(LinkRecord, no_byte_of_a_client_breaks_a_line) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string evil = std::string("a") + static_cast<char>(byte) + "b";
    LinkRecord record = example();
    record.sni = record.detail = evil;
    const std::string json = text_of(record, AccessForm::json);
    EXPECT_EQ(json.find('\n'), json.size() - 1) << byte;
    EXPECT_TRUE(parse_json(json)) << byte << json;
    const std::string line = text_of(record, AccessForm::line);
    EXPECT_EQ(std::count(line.begin(), line.end(), '"'), 2) << byte << line;
    for (const char c : line.substr(0, line.size() - 1)) EXPECT_TRUE(c >= 0x20 && c < 0x7f) << byte;
  }
}

}  // namespace
}  // namespace rejoin::watch
