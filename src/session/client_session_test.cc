// Tables: how links open, live beside each other and end. Flow and the end of a session are in
// client_session_flow_test.cc, random runs in client_session_random_test.cc.
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "session/client_session_test_support.h"

namespace rejoin::session {
namespace {

// --- opening ---

TEST(ClientSession, begins_with_hello_and_answers_welcome_at_once) {
  ClientSession session = make("who", "app");
  EXPECT_EQ(session.snapshot(Snapshot::light), "");
  EXPECT_EQ(session.send("early", false), ClientSession::Sent::no_room);
  const Opening opening = session.open(7);
  EXPECT_EQ(opening.kind, Opening::Kind::hello);
  const auto hello = proto::parse_hello(proto::parse_frame(opening.frame)->body);
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello->version, 1);
  EXPECT_EQ(hello->identity, "who");
  EXPECT_EQ(hello->application, "app");
  EXPECT_EQ(written(session, 7), "");
  const Heard heard = session.heard(7, welcome());
  EXPECT_EQ(heard.kind, Kind::opened);
  EXPECT_TRUE(heard.room) << "send() was refused before";
  EXPECT_EQ(session.live(), 7u);
  EXPECT_EQ(session.epoch(), 1u);
  EXPECT_EQ(session.terms().spread, 700ms);
  EXPECT_EQ(session.terms().window, (WindowLimits{1000, 8}));
  EXPECT_EQ(session.terms().addresses, std::vector<std::string>{"ws://direct:1/"});
  EXPECT_EQ(session.send("hello", true), ClientSession::Sent::taken);
  EXPECT_EQ(written(session, 7), "ACK:0 DATA#1:0=hello");
}

TEST(ClientSession, a_hello_that_fits_and_one_that_does_not) {
  EXPECT_TRUE(ClientSession::make(std::string(limits::kHelloBytesMax - 15, 'i'), ""));
  EXPECT_FALSE(ClientSession::make(std::string(limits::kHelloBytesMax - 14, 'i'), ""));
}

TEST(ClientSession, a_welcome_that_is_refused) {
  const auto changed = [](auto change) {
    proto::Welcome out;
    out.ticket = "t";
    out.window_bytes = out.window_messages = 10;
    change(out);
    std::string frame;
    proto::append_welcome(frame, out);
    return frame;
  };
  const std::string long_ticket(limits::kResumeBytesMax - 55, 't');
  const struct {
    std::string frame;
    Kind kind;
  } cases[] = {
      {changed([](proto::Welcome&) {}), Kind::opened},
      {changed([](proto::Welcome& w) { w.window_bytes = 0; }), Kind::bad_frame},
      {changed([](proto::Welcome& w) { w.window_messages = 0; }), Kind::bad_frame},
      {changed([](proto::Welcome& w) { w.ticket = ""; }), Kind::bad_frame},
      {changed([&](proto::Welcome& w) { w.ticket = long_ticket; }), Kind::bad_frame},
      {changed([](proto::Welcome& w) { w.version = 2; }), Kind::ended},
      {resumed(0, 1, 0, 0), Kind::bad_frame},
      {data(1, "x"), Kind::bad_frame},
      {ack(0), Kind::bad_frame},
      {close_frame(1000), Kind::bad_frame},
      {welcome().substr(0, 60), Kind::bad_frame},
      {"", Kind::bad_frame},
      {std::string(1, 0x1f) + std::string(9, 0), Kind::bad_frame},
      {std::string(1, 0x20) + std::string(9, 0), Kind::nothing},           // a later version's: skipped
      {detach(LinkCode::login_needed, DetachAction::login), Kind::ended},  // who we are was refused
      {detach(LinkCode::too_fast, DetachAction::again, 500), Kind::sent_away},
      {detach(LinkCode::version, DetachAction::stop), Kind::ended},
  };
  for (const auto& c : cases) {
    ClientSession session = make();
    session.open(1);
    EXPECT_EQ(session.heard(1, c.frame).kind, c.kind) << &c - cases;
    EXPECT_EQ(session.live() == 1, c.kind == Kind::opened);
    EXPECT_EQ(session.knows(1), c.kind == Kind::opened || c.kind == Kind::nothing) << &c - cases;
  }
}

TEST(ClientSession, resume_counts_its_own_epochs_and_proves_the_secret) {
  ClientSession session = open_session();
  take(session, 1, data(1, "a"));
  take(session, 1, data(2, "b"));
  EXPECT_EQ(session.lost(1).kind, Kind::nothing);
  EXPECT_EQ(session.live(), 0u);
  for (std::uint32_t epoch = 2; epoch < 5; ++epoch) {
    const Opening opening = session.open(epoch);
    EXPECT_EQ(opening.kind, Opening::Kind::resume);
    const auto resume = proto::parse_resume(opening.frame);
    ASSERT_TRUE(resume);
    EXPECT_EQ(resume->ticket, "ticket-1");
    EXPECT_EQ(resume->epoch, epoch);
    EXPECT_EQ(resume->received, 2u);
    EXPECT_TRUE(proof_holds(*resume, secret()));
  }
  EXPECT_EQ(session.heard(4, resumed(0, 3, 2, 0)).kind, Kind::resumed);
  EXPECT_FALSE(session.knows(2));
  EXPECT_FALSE(session.knows(3));
}

TEST(ClientSession, after_resumed_an_ack_then_what_was_lost_then_what_is_new) {
  ClientSession session = open_session();
  for (const char* text : {"one", "two", "three", "four"}) session.send(text, false);
  EXPECT_EQ(written(session, 1), "DATA#1:0=one DATA#2:0=two DATA#3:0=three DATA#4:0=four");
  take(session, 1, data(1, "a", 1));  // "one" was accepted
  session.open(2);
  EXPECT_TRUE(session.owes_resume());
  session.send("five", false);
  EXPECT_EQ(written(session, 1), "DATA#5:1=five") << "the older link serves on";
  take(session, 1, data(2, "b", 1));
  EXPECT_EQ(written(session, 2), "");
  const Heard heard = session.heard(2, resumed(3, 2, 4, 2));
  EXPECT_EQ(heard.kind, Kind::resumed);
  EXPECT_TRUE(heard.whole);
  EXPECT_EQ(heard.to_come, 3u);
  EXPECT_EQ(heard.sent_again, 2u);
  EXPECT_FALSE(session.owes_resume());
  EXPECT_FALSE(session.knows(1));
  EXPECT_EQ(session.heard(1, data(3, "late")).kind, Kind::nothing) << "unread";
  session.send("six", false);
  EXPECT_EQ(written(session, 2), "ACK:2 DATA#4:2=four DATA#5:2=five DATA#6:2=six");
  EXPECT_EQ(session.window().held_messages(), 4u);  // "three" was received, not accepted
  EXPECT_EQ(session.heard(2, data(2, "b")).kind, Kind::nothing);
  EXPECT_EQ(session.counts().duplicates, 1u);
  take(session, 2, data(3, "c", 6));
  EXPECT_EQ(session.window().held_messages(), 0u);
  EXPECT_EQ(session.counts().sent_again, 2u);
}

TEST(ClientSession, counts_that_do_not_fit_mean_hello) {
  // The client has sent 3, of which 1 was accepted; it has received 2.
  const struct {
    std::string frame;
    bool fits;
  } cases[] = {
      {resumed(1, 3, 2, 1), true},  {resumed(3, 3, 5, 3), true},  {resumed(3, 1, 5, 3), true},
      {resumed(2, 3, 2, 0), true},  {resumed(0, 3, 2, 0), false},  // below what it said it had
      {resumed(4, 3, 2, 1), false},                                // more than we sent
      {resumed(3, 4, 5, 1), false},                                // 3 is missing for ever
      {resumed(2, 3, 2, 3), false},                                // accepted and not received
      {resumed(3, 3, 2, 4), false},
  };
  for (const auto& c : cases) {
    ClientSession session = open_session();
    for (int i = 0; i < 3; ++i) session.send("x", false);
    written(session, 1);
    take(session, 1, data(1, "a", 1));
    take(session, 1, data(2, "b", 1));
    session.lost(1);
    session.open(2);
    const Heard heard = session.heard(2, c.frame);
    EXPECT_EQ(heard.kind, c.fits ? Kind::resumed : Kind::lost) << &c - cases;
    if (c.fits) continue;
    EXPECT_FALSE(session.knows(2));
    EXPECT_EQ(session.open(3).kind, Opening::Kind::hello);
  }
}

// --- links beside each other ---

TEST(ClientSession, of_two_dials_the_later_one_wins_whichever_is_answered_first) {
  ClientSession session = open_session();
  session.open(2);
  session.open(3);
  EXPECT_EQ(session.heard(2, resumed(0, 1, 0, 0)).kind, Kind::resumed);
  EXPECT_TRUE(session.knows(3)) << "it was begun later, and goes on";
  EXPECT_TRUE(session.owes_resume());
  EXPECT_EQ(session.heard(3, resumed(0, 1, 0, 0)).kind, Kind::resumed);
  EXPECT_FALSE(session.knows(2));
  EXPECT_EQ(session.live(), 3u);

  session.open(4);
  session.open(5);
  EXPECT_EQ(session.heard(5, resumed(0, 1, 0, 0)).kind, Kind::resumed);
  EXPECT_EQ(session.heard(4, resumed(0, 1, 0, 0)).kind, Kind::nothing);
  EXPECT_EQ(session.live(), 5u);
  EXPECT_FALSE(session.knows(4));
}

TEST(ClientSession, late_answers_on_an_older_link_are_ignored) {
  for (const std::string& late :
       {detach(LinkCode::login_needed, DetachAction::login),
        detach(LinkCode::epoch_used, DetachAction::again, 0, 9),
        detach(LinkCode::replaced, DetachAction::stop, 0, 9), resumed(0, 1, 0, 0)}) {
    ClientSession session = open_session();
    session.open(2);
    session.open(3);
    EXPECT_EQ(session.heard(3, resumed(0, 1, 0, 0)).kind, Kind::resumed);
    EXPECT_EQ(session.heard(2, late).kind, Kind::nothing);
    EXPECT_EQ(session.live(), 3u);
    EXPECT_EQ(session.epoch(), 3u);
  }
}

TEST(ClientSession, login_on_a_dial_beside_a_living_link_is_a_failed_dial) {
  ClientSession session = open_session();
  session.open(2);
  const Heard heard = session.heard(2, detach(LinkCode::login_needed, DetachAction::login));
  EXPECT_EQ(heard.kind, Kind::sent_away);
  EXPECT_FALSE(heard.reopen);
  EXPECT_EQ(session.live(), 1u);
  EXPECT_TRUE(session.owes_resume()) << "its RESUME was seen by whoever answered so";
}

TEST(ClientSession, replaced_by_itself_or_by_a_copy) {
  const struct {
    std::uint32_t epoch;  // told; the client has reached 3
    bool ends;
  } cases[] = {{2, false}, {3, false}, {4, true}};
  for (const auto& c : cases) {
    ClientSession session = open_session();
    session.open(2);
    session.open(3);
    const Heard heard = session.heard(1, detach(LinkCode::replaced, DetachAction::stop, 0, c.epoch));
    EXPECT_EQ(heard.kind, c.ends ? Kind::ended : Kind::nothing) << c.epoch;
    EXPECT_EQ(session.phase() == ClientSession::Phase::ended, c.ends);
    EXPECT_FALSE(session.knows(1));
    EXPECT_EQ(session.knows(3), !c.ends);
  }
}

// --- sent away ---

TEST(ClientSession, a_used_epoch_counts_on_from_there_on_the_same_link) {
  ClientSession session = open_session();
  session.lost(1);
  session.open(2);
  Heard heard = session.heard(2, detach(LinkCode::epoch_used, DetachAction::again, 0, 41));
  EXPECT_EQ(heard.kind, Kind::sent_away);
  EXPECT_TRUE(heard.reopen);
  EXPECT_EQ(proto::parse_resume(session.open(2).frame)->epoch, 42u);
  heard = session.heard(2, detach(LinkCode::epoch_used, DetachAction::again, 0, 50));
  EXPECT_FALSE(heard.reopen) << "one more frame, not two";
  EXPECT_FALSE(session.knows(2));
  EXPECT_EQ(proto::parse_resume(session.open(3).frame)->epoch, 51u);
}

TEST(ClientSession, detach_by_action) {
  const struct {
    std::string frame;
    bool live;  // on the live link; else in answer to a RESUME, without a live link
    Kind kind;
    bool reopen;
    bool link_stays;
  } cases[] = {
      {detach(LinkCode::going_away, DetachAction::move, 5000), true, Kind::move, false, true},
      {detach(LinkCode::going_away, DetachAction::move, 5000), false, Kind::sent_away, false, false},
      {detach(LinkCode::restart, DetachAction::again, 2000), true, Kind::sent_away, false, false},
      {detach(LinkCode::restart, DetachAction::again), true, Kind::sent_away, true, true},
      {detach(LinkCode::silent, DetachAction::again), true, Kind::sent_away, true, true},
      {detach(LinkCode::owner_unreachable, DetachAction::again, 0, 0, "ws://b/"), false, Kind::sent_away,
       false, false},
      {detach(LinkCode::owner_unreachable, DetachAction::again, 100), false, Kind::sent_away, false, false},
      {detach(LinkCode::bad_frame, DetachAction::again), true, Kind::sent_away, false, false},
      {detach(LinkCode::login_needed, DetachAction::login), true, Kind::lost, true, true},
      {detach(LinkCode::login_needed, DetachAction::login), false, Kind::lost, true, true},
      {detach(LinkCode::session_ended, DetachAction::login), false, Kind::ended, false, false},
      {detach(LinkCode::game_server_gone, DetachAction::login), true, Kind::ended, false, false},
      {detach(LinkCode::too_fast, DetachAction::stop), true, Kind::ended, false, false},
      {detach(LinkCode::too_fast, DetachAction::stop), false, Kind::ended, false, false},
  };
  for (const auto& c : cases) {
    ClientSession session = open_session();
    const LinkNumber link = c.live ? 1 : 2;
    if (!c.live) {
      session.lost(1);
      session.open(2);
    }
    const Heard heard = session.heard(link, c.frame);
    EXPECT_EQ(heard.kind, c.kind) << &c - cases;
    EXPECT_EQ(heard.reopen, c.reopen) << &c - cases;
    EXPECT_EQ(session.knows(link), c.link_stays) << &c - cases;
    EXPECT_EQ(session.live() == link, c.kind == Kind::move) << &c - cases;
    if (c.kind != Kind::lost) continue;
    EXPECT_EQ(session.open(link).kind, Opening::Kind::hello);
  }
}

TEST(ClientSession, words_of_a_detach_reach_its_owner) {
  ClientSession session = open_session();
  const Heard heard =
      session.heard(1, detach(LinkCode::restart, DetachAction::again, 2000, 0, "ws://b/", "new version"));
  EXPECT_EQ(heard.wait, 2s);
  EXPECT_EQ(heard.address, "ws://b/");
  EXPECT_EQ(heard.reason, "new version");
  EXPECT_EQ(heard.code, 1012);
}

TEST(ClientSession, three_links_in_a_row_that_end_in_bad_frames_cost_the_session) {
  // '!' we found one, '<' we were told in DETACH, 'c' by the close code alone, '+' a message came between.
  const struct {
    std::string_view links;
    bool lost;
  } cases[] = {{"!!", false},   {"!!!", true},    {"<<<", true},      {"ccc", true}, {"!<c", true},
               {"!!+!", false}, {"!!+!!", false}, {"!+!+!+!", false}, {"+!!!", true}};
  for (const auto& c : cases) {
    ClientSession session = open_session();
    session.lost(1);
    LinkNumber link = 1;
    std::uint64_t came = 0;
    bool gone = false;
    for (const char& what : c.links) {
      ASSERT_FALSE(gone) << c.links;
      session.open(++link);
      ASSERT_EQ(session.heard(link, resumed(0, came + 1, came, 0)).kind, Kind::resumed);
      Heard heard;
      switch (what) {
        case '+':
          take(session, link, data(++came, "x"));
          session.lost(link);
          break;
        case '!':
          heard = session.heard(link, data(came + 2, "a gap"));
          EXPECT_EQ(heard.kind, &what == &c.links.back() && c.lost ? Kind::lost : Kind::bad_frame) << c.links;
          break;
        case '<': heard = session.heard(link, detach(LinkCode::bad_frame, DetachAction::again)); break;
        default: heard = session.lost(link, 4400); break;
      }
      gone = heard.kind == Kind::lost;
      EXPECT_FALSE(session.knows(link));
    }
    EXPECT_EQ(gone, c.lost) << c.links;
    EXPECT_EQ(session.open(++link).kind, gone ? Opening::Kind::hello : Opening::Kind::resume) << c.links;
  }
}

TEST(ClientSession, bad_frames_on_the_live_link) {
  const std::string frames[] = {
      data(2, "a gap"),
      data(1, "\xff", 0, true),
      ack(3),
      ack(0xffffffff),
      welcome(),
      resumed(0, 1, 0, 0),
      std::string("\x12\0\0\0\0\0\0\0\0\0short", 15),
      std::string("\x05\0\0\0\0\0\0\0\0\0", 10),
      std::string("\x14\0\0\0\0\0\0\0\0\0", 10),
      std::string("\x06\0\0\0\0\0\0\0\0\0", 10),
      "",
      "short",
  };
  for (const std::string& frame : frames) {
    ClientSession session = open_session();
    session.send("x", false);
    session.send("x", false);
    written(session, 1);
    const Heard heard = session.heard(1, frame);
    EXPECT_EQ(heard.kind, Kind::bad_frame) << &frame - frames;
    EXPECT_FALSE(heard.reason.empty());
    EXPECT_FALSE(session.knows(1));
    EXPECT_EQ(session.window().held_messages(), 2u);
  }
}

}  // namespace
}  // namespace rejoin::session
