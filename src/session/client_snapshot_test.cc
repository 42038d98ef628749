// Tables: what an application keeps, and what a client that comes back with it is worth.
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "session/client_session_test_support.h"

namespace rejoin::session {
namespace {

// --- kept by the application ---

TEST(ClientSession, a_light_snapshot_keeps_the_session_but_not_the_stream) {
  ClientSession first = open_session();
  first.send("x", false);
  written(first, 1);
  take(first, 1, data(1, "a"));
  first.open(2);
  ClientSession second = make();
  ASSERT_TRUE(second.restore(first.snapshot(Snapshot::light)));
  EXPECT_FALSE(second.certain());
  EXPECT_EQ(second.terms(), first.terms());
  EXPECT_EQ(second.send("not yet", false), ClientSession::Sent::no_room)
      << "nothing is numbered before RESUMED";
  const auto resume = proto::parse_resume(second.open(1).frame);
  EXPECT_EQ(resume->epoch, 3u) << "one above the last one stored";
  EXPECT_EQ(resume->received, 0u);
  const Heard heard = second.heard(1, resumed(5, 8, 9, 4));
  EXPECT_EQ(heard.kind, Kind::resumed);
  EXPECT_FALSE(heard.whole);
  // The fifth was received and not accepted: it still fills the window, nobody knows with how many bytes.
  EXPECT_FALSE(heard.room);
  EXPECT_EQ(second.send("not yet", false), ClientSession::Sent::no_room);
  EXPECT_EQ(written(second, 1), "ACK:7 PING:7=1");
  EXPECT_FALSE(second.heard(1, ack(4)).room);
  EXPECT_TRUE(second.heard(1, ack(5)).room);
  EXPECT_EQ(second.send("now", false), ClientSession::Sent::taken);
  EXPECT_EQ(written(second, 1), "DATA#6:7=now");
  take(second, 1, data(8, "h", 5));
}

TEST(ClientSession, a_whole_snapshot_loses_nothing_if_it_was_the_last) {
  // Saved with 2 received, 3 sent and 1 of them accepted.
  const struct {
    std::string answer;
    Kind kind;
    bool whole;
    std::string_view then;
  } cases[] = {
      {resumed(1, 3, 4, 1), Kind::resumed, true, "ACK:2 DATA#2:2=two DATA#3:2=three"},
      {resumed(3, 3, 4, 2), Kind::resumed, true, "ACK:2"},
      {resumed(3, 1, 4, 2), Kind::resumed, true, "ACK:2"},            // duplicates will come
      {resumed(4, 3, 4, 2), Kind::resumed, false, "ACK:2 PING:2=1"},  // a fourth was sent, and not saved
      {resumed(2, 4, 4, 2), Kind::resumed, false, "ACK:3 DATA#3:3=three"},  // a third came, and was not saved
      {resumed(5, 7, 9, 5), Kind::resumed, false, "ACK:6"},
      {resumed(0, 3, 4, 0), Kind::lost, false, ""},  // it has less than it accepted: not our session
  };
  ClientSession first = open_session();
  for (const char* text : {"one", "two", "three"}) first.send(text, text[0] == 'o');
  written(first, 1);
  take(first, 1, data(1, "a"));
  ASSERT_EQ(first.heard(1, data(2, "b", 1)).kind, Kind::message);  // saved inside the application's own call
  const std::string saved = first.snapshot(Snapshot::whole);
  for (const auto& c : cases) {
    ClientSession second = make();
    ASSERT_TRUE(second.restore(saved));
    EXPECT_EQ(second.send("not yet", false), ClientSession::Sent::no_room);
    EXPECT_EQ(proto::parse_resume(second.open(1).frame)->received, 2u);
    const Heard heard = second.heard(1, c.answer);
    EXPECT_EQ(heard.kind, c.kind) << &c - cases;
    if (c.kind != Kind::resumed) continue;
    EXPECT_EQ(heard.whole, c.whole) << &c - cases;
    EXPECT_EQ(written(second, 1), c.then) << &c - cases;
    EXPECT_TRUE(second.certain());
  }
}

TEST(ClientSession, snapshots_are_read_whole_or_not_at_all) {
  ClientSession first = open_session();
  first.send("one", true);
  first.send("two", false);
  for (const Snapshot kind : {Snapshot::light, Snapshot::whole}) {
    const std::string saved = first.snapshot(kind);
    ClientSession again = make();
    ASSERT_TRUE(again.restore(saved));
    EXPECT_EQ(again.snapshot(kind), saved);
    for (std::size_t cut = 0; cut < saved.size(); ++cut) {
      ClientSession second = make();
      EXPECT_FALSE(second.restore(saved.substr(0, cut))) << cut;
      EXPECT_EQ(second.open(1).kind, Opening::Kind::hello) << "as if nothing had been given";
    }
    EXPECT_FALSE(make().restore(saved + "x"));
    std::string other = saved;
    other[4] = 2;  // a later version
    EXPECT_FALSE(make().restore(other));
    other = saved;
    other[0] = 'X';
    EXPECT_FALSE(make().restore(other));
  }
  EXPECT_FALSE(first.restore(first.snapshot(Snapshot::light))) << "only as the first call";
}

TEST(ClientSession, a_light_client_that_was_not_answered_has_no_whole_snapshot_to_give) {
  ClientSession first = open_session();
  ClientSession second = make();
  ASSERT_TRUE(second.restore(first.snapshot(Snapshot::light)));
  EXPECT_EQ(second.snapshot(Snapshot::whole), second.snapshot(Snapshot::light));
}

}  // namespace
}  // namespace rejoin::session
