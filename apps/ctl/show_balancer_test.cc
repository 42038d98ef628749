#include "apps/ctl/show_balancer.h"

#include <gtest/gtest.h>

namespace rejoin::ctl {
namespace {

watch::Json read(const char* text) {
  const auto json = watch::parse_json(text);
  EXPECT_TRUE(json) << text;
  return json.value_or(watch::Json());
}

constexpr const char* kServers = R"([
  {"pool":"web","name":"a","address":"10.0.0.1:80","weight":2,"up":true,"draining":true,"order":"maintenance","takes_new":false,
   "away_ms":null,"active":3,"tunnels":1,"requests":20,"tunnels_opened":2,"connections":9,"connects_failed":1,
   "failures":4,"bytes_to":2048,"bytes_from":10},
  {"pool":"web","name":"b\u001b[2J","address":"10.0.0.2:80","weight":1,"up":false,"draining":false,"order":"ready","takes_new":false,
   "away_ms":65000,"active":0,"tunnels":0,"requests":0,"tunnels_opened":0,"connections":0,"connects_failed":0,
   "failures":0,"bytes_to":0,"bytes_from":0}])";

TEST(ShowBalancer, servers) {
  EXPECT_EQ(servers_text(read(kServers)),
            "SERVER     ADDRESS      WEIGHT  STATE                      ACTIVE  TUNNELS  REQUESTS  "
            "CONNECTS  FAILED  "
            "FAILURES  TO       FROM\n"
            "web/a      10.0.0.1:80  2       up, draining, maintenance  3       1        20        9       "
            "  1       "
            "4         2.0 KiB  10 B\n"
            "web/b?[2J  10.0.0.2:80  1       down, away 1m5s            0       0        0         0       "
            "  0       "
            "0         0 B      0 B\n");
}

TEST(ShowBalancer, connections_and_the_way_to_the_next_page) {
  const char* const answer = R"({"matching":7,"next":"00a1b2c3d4e5f607","connections":[
    {"id":"00a1b2c3d4e5f607","kind":"tunnel","worker":0,"listener":"play","client":"192.0.2.7:4000","pool":"gateways",
     "server":"g1","decision":"pinned","age_ms":61000,"idle_ms":10,"bytes_in":100,"bytes_out":4096,"pauses":2}]})";
  EXPECT_EQ(
      connections_text(read(answer)),
      "7 tunnels\n\n"
      "ID                LISTENER  CLIENT          SERVER       BY      AGE   IDLE  IN     OUT      PAUSES\n"
      "00a1b2c3d4e5f607  play      192.0.2.7:4000  gateways/g1  pinned  1m1s  10ms  100 B  4.0 KiB  2\n"
      "(more: --after 00a1b2c3d4e5f607)\n");
  EXPECT_EQ(connections_text(read(R"({"matching":0,"next":null,"connections":[]})")), "0 tunnels\n");
}

TEST(ShowBalancer, the_status_of_either_program) {
  const std::string balancer = status_text(read(
      R"({"program":"balancer","version":"1.2.3","uptime_ms":5000,"workers":2,"draining":false,"ready":true,
        "listeners":1,"pools":2,"connections":3,"tunnels":4,"accepted":5,"requests":6})"));
  EXPECT_EQ(balancer,
            "balancer     1.2.3\nup for       5s\nworkers      2\ndraining     no\nready        "
            "yes\nlisteners    1\n"
            "pools        2\nconnections  3, and 4 tunnels\nsince start  5 connections, 6 requests\n");
  const std::string gateway = status_text(read(
      R"({"program":"gateway","version":"1.2.3","uptime_ms":5000,"gateway":"g1","workers":2,"draining":true,
        "ready":false,"sessions":3,"attached":2,"detached":1})"));
  EXPECT_TRUE(gateway.starts_with("gateway   g1\nversion   1.2.3\n")) << gateway;
  EXPECT_TRUE(gateway.ends_with("sessions  3 (2 attached, 1 detached)\n")) << gateway;
}

}  // namespace
}  // namespace rejoin::ctl
