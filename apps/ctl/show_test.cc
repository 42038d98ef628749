#include "apps/ctl/show.h"

#include <gtest/gtest.h>

namespace rejoin::ctl {
namespace {

watch::Json read(const char* text) {
  const auto json = watch::parse_json(text);
  EXPECT_TRUE(json) << text;
  return json.value_or(watch::Json());
}

TEST(Show, times_and_sizes_have_two_units_at_the_most) {
  const struct {
    std::int64_t ms;
    const char* text;
  } times[] = {{0, "0ms"},          {999, "999ms"},     {1000, "1s"},         {59'999, "59s"},
               {60'000, "1m"},      {192'000, "3m12s"}, {3'600'000, "1h"},    {3'659'000, "1h"},
               {7'500'000, "2h5m"}, {86'400'000, "1d"}, {360'000'000, "4d4h"}};
  for (const auto& one : times) EXPECT_EQ(short_time(one.ms), one.text);
  const struct {
    std::int64_t bytes;
    const char* text;
  } sizes[] = {
      {0, "0 B"}, {1023, "1023 B"}, {1536, "1.5 KiB"}, {3 << 20, "3.0 MiB"}, {5LL << 40, "5120.0 GiB"}};
  for (const auto& one : sizes) EXPECT_EQ(short_size(one.bytes), one.text);
}

constexpr const char* kSessions = R"({
  "gateway":"g1","workers":2,"draining":true,"ends_in_ms":61000,"sessions":7,"attached":5,"detached":2,"matching":7,
  "list":[
    {"id":"00aa","worker":0,"phase":"attached","kind":"rejoin","age_ms":192000,"since_ms":5000,
     "link":{"address":"10.0.0.9:4000","kind":"websocket"},"client":"10.0.0.9:4000","epoch":3,"links":2,
     "window":{"sent":120,"acked":118,"held_messages":2,"held_bytes":2048},"received":9,"pending":1,
     "unsent_to_game_bytes":0,"duplicates":0,"game_server":"10.0.0.7:7000","closing_code":null},
    {"id":"01bb","worker":1,"phase":"detached","kind":"plain","age_ms":900,"since_ms":200,"link":null,
     "client":"evil\u001b[2J","epoch":1,"links":1,"window":{"sent":0,"acked":0,"held_messages":0,"held_bytes":0},
     "received":0,"pending":0,"unsent_to_game_bytes":0,"duplicates":0,"game_server":"-","closing_code":4411}],
  "ended":[{"id":"00cc","code":4410,"reason":"closed by the client","lived_ms":60000,"age_ms":2000}]})";

TEST(Show, sessions) {
  EXPECT_EQ(sessions_text(read(kSessions)),
            "gateway g1: 7 sessions (5 attached, 2 detached); draining: no new ones, what is left then ends "
            "in 1m1s\n"
            "\n"
            "ID    KIND    PHASE              SINCE  AGE    CLIENT         LINK       EPOCH  LINKS  SENT  "
            "HELD         PENDING  GAME SERVER\n"
            "00aa  rejoin  attached           5s     3m12s  10.0.0.9:4000  websocket  3      2      120   2 "
            "(2.0 KiB)  1        10.0.0.7:7000\n"
            "01bb  plain   detached, closing  200ms  900ms  evil?[2J       -          1      1      0     0 "
            "(0 B)      0        -\n"
            "(2 of 7 shown; see --limit)\n"
            "\n"
            "ENDED  AGO  LIVED  CODE  REASON\n"
            "00cc   2s   1m     4410  closed by the client\n");
}

TEST(Show, one_session) {
  const watch::Json all = read(kSessions);
  EXPECT_EQ(session_text(all["list"].items()[0]),
            "session      00aa\n"
            "kind         rejoin\n"
            "phase        attached since 5s\n"
            "age          3m12s\n"
            "client       10.0.0.9:4000\n"
            "link         websocket\n"
            "epoch        3, 2 links\n"
            "to client    120 messages, 118 acknowledged, 2 held (2.0 KiB)\n"
            "from client  9 messages, 0 duplicates, 1 not taken by the game server (0 B)\n"
            "game server  10.0.0.7:7000\n"
            "worker       0\n");
  EXPECT_EQ(
      session_text(read(
          R"({"id":"00cc","code":4410,"reason":"banned","lived_ms":60000,"age_ms":2000,"phase":"ended"})")),
      "session  00cc\nended    2s ago\ncode     4410\nreason   banned\nlived    1m\n");
}

TEST(Show, drains) {
  const struct {
    const char* answer;
    const char* text;
  } cases[] = {
      {R"({"gateway":"g1","draining":true,"ends_in_ms":null,"sessions":2,"attached":1,"detached":1})",
       "gateway g1 takes no new sessions; left: 2 sessions (1 attached, 1 detached); they end by "
       "themselves\n"},
      {R"({"gateway":"g1","draining":true,"ends_in_ms":0,"sessions":2,"attached":1,"detached":1})",
       "gateway g1 takes no new sessions; left: 2 sessions (1 attached, 1 detached); what is left is being "
       "ended\n"},
      {R"({"gateway":"g1","draining":false,"ends_in_ms":null,"sessions":2,"attached":1,"detached":1})",
       "gateway g1 takes new sessions; 2 sessions (1 attached, 1 detached)\n"},
  };
  for (const auto& one : cases) EXPECT_EQ(drain_text(read(one.answer)), one.text);
  EXPECT_EQ(drain_text(read("[]")), "gateway - takes new sessions; 0 sessions (0 attached, 0 detached)\n")
      << "what is no answer of ours is shown without harm";
}

}  // namespace
}  // namespace rejoin::ctl
