// Tables: messages, acknowledgements, pings, and how a session ends.
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "session/client_session_test_support.h"

namespace rejoin::session {
namespace {

// --- flow ---

TEST(ClientSession, a_full_window_refuses_asks_once_and_tells_of_room) {
  ClientSession session = open_session(2);
  EXPECT_EQ(session.send(std::string(1001, 'x'), false), ClientSession::Sent::too_large);
  EXPECT_EQ(session.send(std::string(1000, 'x'), false), ClientSession::Sent::taken);
  EXPECT_EQ(session.send("y", false), ClientSession::Sent::no_room);
  EXPECT_EQ(session.send("y", false), ClientSession::Sent::no_room);
  const std::string all = written(session, 1);
  EXPECT_TRUE(all.starts_with("DATA#1:0=xxx")) << all.substr(0, 40);
  EXPECT_TRUE(all.ends_with("x PING:0=1")) << "one, behind what had room";
  Heard heard = session.heard(1, ping(FrameType::pong, 1, 0));
  EXPECT_EQ(heard.kind, Kind::pong);
  EXPECT_FALSE(heard.room);
  EXPECT_EQ(session.send("y", false), ClientSession::Sent::no_room);
  EXPECT_EQ(written(session, 1), "") << "still the same wait: no second PING";
  heard = session.heard(1, ack(1));
  EXPECT_TRUE(heard.room);
  EXPECT_EQ(session.send("y", false), ClientSession::Sent::taken);
  EXPECT_EQ(session.send("z", false), ClientSession::Sent::taken);
  EXPECT_EQ(session.send("!", false), ClientSession::Sent::no_room) << "two messages";
  EXPECT_EQ(written(session, 1), "DATA#2:0=y DATA#3:0=z PING:0=2");
  session.lost(1);
  session.open(2);
  heard = session.heard(2, resumed(3, 1, 0, 3));
  EXPECT_TRUE(heard.room) << "RESUMED frees, too";
}

TEST(ClientSession, text_must_be_text) {
  ClientSession session = open_session();
  EXPECT_EQ(session.send("\xff", true), ClientSession::Sent::not_text);
  EXPECT_EQ(session.send("\xff", false), ClientSession::Sent::taken);
  EXPECT_EQ(session.send("gr\xc3\xbc\xc3\x9f", true), ClientSession::Sent::taken);
  std::string frame;
  EXPECT_TRUE(session.next_frame(1, frame));
  EXPECT_EQ(proto::parse_frame(frame)->head.flags, 0);
  EXPECT_TRUE(session.next_frame(1, frame));
  EXPECT_EQ(proto::parse_frame(frame)->head.flags, proto::kFlagText);
  const Heard heard = session.heard(1, data(1, "t", 0, true));
  EXPECT_TRUE(heard.text);
}

TEST(ClientSession, acknowledgements_leave_when_they_are_due) {
  ClientSession session = open_session(8);  // a quarter of the window: 2 messages, 250 bytes
  take(session, 1, data(1, "a"));
  EXPECT_EQ(written(session, 1), "");
  EXPECT_EQ(session.ack_due(), AckDebt::Due::later);
  session.ack_now();
  EXPECT_EQ(written(session, 1), "ACK:1");
  EXPECT_EQ(session.ack_due(), AckDebt::Due::nothing);
  session.ack_now();
  EXPECT_EQ(written(session, 1), "");
  take(session, 1, data(2, "b"));
  take(session, 1, data(3, "c"));
  EXPECT_EQ(written(session, 1), "ACK:3");
  take(session, 1, data(4, "d"));
  session.send("x", false);
  EXPECT_EQ(written(session, 1), "DATA#1:4=x") << "it rides on what leaves anyway";
  take(session, 1, data(5, "e"));
  session.lost(1);
  session.open(2);
  session.heard(2, resumed(1, 6, 5, 1));
  EXPECT_EQ(written(session, 2), "ACK:5") << "each link owes its acks anew";
}

TEST(ClientSession, a_ping_for_liveness_does_not_wait_behind_messages) {
  ClientSession session = open_session(2);
  for (int i = 0; i < 3; ++i) session.send("x", false);
  session.ping();
  EXPECT_EQ(written(session, 1), "PING:0=2 DATA#1:0=x DATA#2:0=x");
}

TEST(ClientSession, what_is_bad_was_not_read) {
  for (const std::string& frame : {data(1, "\xff", 0, true), data(1, std::string(1001, 'x'))}) {
    ClientSession session = open_session();
    const Heard heard = session.heard(1, frame);
    EXPECT_EQ(heard.kind, Kind::bad_frame);
    EXPECT_EQ(heard.code, frame.size() > 1000 ? 4413 : 4400);
    EXPECT_EQ(proto::parse_resume(session.open(2).frame)->received, 0u);
  }
}

TEST(ClientSession, pings_are_answered_with_their_number) {
  ClientSession session = open_session();
  EXPECT_EQ(session.heard(1, ping(FrameType::ping, 77)).kind, Kind::nothing);
  EXPECT_EQ(written(session, 1), "PONG:0=77");
  EXPECT_EQ(session.ping(), 1u);
  EXPECT_EQ(session.ping(), 2u);
  EXPECT_EQ(written(session, 1), "PING:0=2");
  const Heard heard = session.heard(1, ping(FrameType::pong, 2));
  EXPECT_EQ(heard.kind, Kind::pong);
  EXPECT_EQ(heard.number, 2u);
}

TEST(ClientSession, a_new_ticket_is_used_from_then_on) {
  ClientSession session = open_session();
  std::string frame;
  proto::append_ticket(frame, "ticket-2", 0);
  EXPECT_EQ(session.heard(1, frame).kind, Kind::renewed);
  session.lost(1);
  EXPECT_EQ(proto::parse_resume(session.open(2).frame)->ticket, "ticket-2");
}

// --- the end ---

TEST(ClientSession, close_follows_the_last_message_and_is_answered) {
  ClientSession session = open_session();
  session.send("last", false);
  session.close(1000, "bye");
  EXPECT_EQ(session.send("too late", false), ClientSession::Sent::ended);
  EXPECT_EQ(written(session, 1), "DATA#1:0=last CLOSE:0=1000");
  take(session, 1, data(1, "still under way", 1));
  const Heard heard = session.heard(1, close_frame(1000));
  EXPECT_EQ(heard.kind, Kind::ended);
  EXPECT_EQ(heard.code, 1000);
  EXPECT_EQ(heard.reason, "bye");
  EXPECT_EQ(written(session, 1), "") << "ours was the first";
  EXPECT_EQ(session.snapshot(Snapshot::light), "");
}

TEST(ClientSession, a_closing_client_whose_link_is_gone_says_it_on_the_next) {
  ClientSession session = open_session();
  session.send("last", false);
  session.close(1000, "bye");
  written(session, 1);
  session.lost(1);
  EXPECT_EQ(session.open(2).kind, Opening::Kind::resume);
  EXPECT_EQ(session.heard(2, resumed(0, 1, 0, 0)).kind, Kind::resumed);
  EXPECT_EQ(written(session, 2), "ACK:0 DATA#1:0=last CLOSE:0=1000");
  session.lost(2);
  session.open(3);  // it had ended, and is told so
  EXPECT_EQ(session.heard(3, detach(LinkCode::session_ended, DetachAction::login)).kind, Kind::ended);
}

TEST(ClientSession, the_gateways_close_is_answered_and_final) {
  ClientSession session = open_session();
  session.send("x", false);
  written(session, 1);
  const Heard heard = session.heard(1, close_frame(4410, "you won"));
  EXPECT_EQ(heard.kind, Kind::ended);
  EXPECT_EQ(heard.code, 4410);
  EXPECT_EQ(heard.reason, "you won");
  EXPECT_TRUE(session.knows(1));
  EXPECT_EQ(written(session, 1), "CLOSE:0=4410");
  EXPECT_FALSE(session.knows(1));
  EXPECT_EQ(session.send("y", false), ClientSession::Sent::ended);
}

TEST(ClientSession, without_a_session_close_ends_at_once) {
  ClientSession session = make();
  session.open(1);
  session.close(1000, "");
  EXPECT_EQ(session.phase(), ClientSession::Phase::ended);
  EXPECT_FALSE(session.knows(1));
}

}  // namespace
}  // namespace rejoin::session
