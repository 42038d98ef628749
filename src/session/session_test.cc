#include "session/session.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "base/limits.h"

namespace rejoin::session {
namespace {

using proto::FrameType;
using Kind = FrameVerdict::Kind;
using Verdict = ResumeVerdict::Kind;

constexpr TimePoint kStart{1h};

route::SessionId some_id() {
  route::SessionId id;
  for (unsigned i = 0; i < id.bytes.size(); ++i) id.bytes[i] = static_cast<std::uint8_t>(i * 7);
  return id;
}

proto::SessionSecret some_secret() {
  proto::SessionSecret secret;
  secret.fill('k');
  return secret;
}

SessionRules small_window() {
  SessionRules rules;
  rules.window = {.bytes = 100, .messages = 2};
  return rules;
}

struct Scene {
  explicit Scene(route::TicketKind kind = route::TicketKind::proof, SessionRules base = {})
      : rules(base), session(some_id(), kind, some_secret(), rules, kStart) {}

  FrameVerdict frame(FrameType type, std::uint32_t seq, std::uint32_t ack, Bytes body = {},
                     std::uint8_t flags = 0) {
    session.heard(now);
    return session.on_frame({{static_cast<std::uint8_t>(type), flags, seq, ack}, body});
  }
  /// DATA, and the game server takes it.
  FrameVerdict data(std::uint32_t seq, Bytes body = "m") {
    const FrameVerdict verdict = frame(FrameType::data, seq, 0, body);
    if (verdict.kind == Kind::message) session.accepted(1, body.size(), now);
    return verdict;
  }
  ResumeVerdict resume(std::uint32_t epoch, std::uint64_t received) {
    proto::Resume resume;
    resume.epoch = epoch;
    resume.received = received;
    return session.resume(resume, now);
  }
  std::string sent_from(SendWindow::Cursor cursor) const {
    std::string out;
    while (session.window().more(cursor)) out += std::string(session.window().take(cursor).payload) + " ";
    return out;
  }
  /// What is due over `span`, with the moments in ms.
  std::string due_within(Duration span) {
    std::string out;
    const TimePoint end = now + span;
    while (session.deadline() <= end) {
      now = session.deadline();
      const Due due = session.on_time(now);
      const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now - kStart).count();
      switch (due) {
        case Due::nothing: return out + "nothing though due";
        case Due::ack: out += "ack"; break;
        case Due::ping: out += "ping"; break;
        case Due::silent: out += "silent"; break;
        case Due::expired: out += "expired"; break;
        case Due::overflow: out += "overflow"; break;
      }
      out += "@" + std::to_string(ms) + " ";
      if (due == Due::ack || due == Due::ping) session.said(now);
      if (due == Due::silent) session.detach(now);
      if (due == Due::expired || due == Due::overflow) session.end();
    }
    now = end;
    return out;
  }

  SessionRules rules;
  TimePoint now = kStart;
  Session session;
};

TEST(Session, IsConfirmedByItsClientsFirstFrame) {
  Scene scene;
  EXPECT_EQ(scene.session.phase(), Phase::unconfirmed);
  EXPECT_EQ(scene.frame(FrameType::ack, 0, 0).kind, Kind::nothing);
  EXPECT_EQ(scene.session.phase(), Phase::attached);
}

TEST(Session, UnconfirmedLivesTenSecondsWithOrWithoutALink) {
  Scene with;
  EXPECT_EQ(with.due_within(1min), "expired@10000 ");
  Scene without;
  without.session.detach(kStart + 1s);
  EXPECT_EQ(without.due_within(1min), "expired@10000 ");
}

TEST(Session, TakesEachMessageOnceAndInOrder) {
  Scene scene;
  EXPECT_EQ(scene.data(1).kind, Kind::message);
  EXPECT_EQ(scene.data(1).kind, Kind::nothing) << "a duplicate";
  EXPECT_EQ(scene.session.duplicates(), 1u);
  EXPECT_EQ(scene.data(3).kind, Kind::bad);
  EXPECT_EQ(scene.data(2).kind, Kind::message);
  EXPECT_EQ(scene.session.ack(), 2u);
}

TEST(Session, AcknowledgesWhatTheGameServerTookAndNoMore) {
  Scene scene;
  EXPECT_EQ(scene.frame(FrameType::data, 1, 0, "a").kind, Kind::message);
  EXPECT_EQ(scene.session.ack(), 0u);
  EXPECT_EQ(scene.session.received(), 1u);
  EXPECT_EQ(scene.data(1).kind, Kind::nothing) << "read already, though not accepted";
  scene.session.accepted(1, 1, kStart);
  EXPECT_EQ(scene.session.ack(), 1u);
}

TEST(Session, RefusesFramesThatAClientDoesNotSend) {
  const char ping[8] = {};
  struct Case {
    const char* what;
    FrameType type;
    std::uint32_t ack;
    Bytes body;
    Kind expected;
  };
  const Case cases[] = {
      {"an ack of nothing sent", FrameType::ack, 1, {}, Kind::bad},
      {"a hello on an open link", FrameType::hello, 0, {}, Kind::bad},
      {"a welcome", FrameType::welcome, 0, {}, Kind::bad},
      {"a resume on an open link", FrameType::resume, 0, {}, Kind::bad},
      {"a detach", FrameType::detach, 0, Bytes("\0\0\0", 3), Kind::bad},
      {"a short ping", FrameType::ping, 0, Bytes(ping, 7), Kind::bad},
      {"a ping", FrameType::ping, 0, Bytes(ping, 8), Kind::ping},
      {"a pong", FrameType::pong, 0, Bytes(ping, 8), Kind::nothing},
      {"a short close", FrameType::close, 0, Bytes("\x03", 1), Kind::bad},
      {"a close", FrameType::close, 0, Bytes("\x03\xe8\0\0", 4), Kind::close},
      {"a kind of later versions", static_cast<FrameType>(0x20), 0, "anything", Kind::nothing},
  };
  for (const Case& it : cases) {
    Scene scene;
    EXPECT_EQ(scene.frame(it.type, 0, it.ack, it.body).kind, it.expected) << it.what;
  }
}

TEST(Session, TextIsUtf8) {
  Scene scene;
  EXPECT_EQ(scene.frame(FrameType::data, 1, 0, "\xff", proto::kFlagText).kind, Kind::bad);
  EXPECT_EQ(scene.session.received(), 0u);
  EXPECT_EQ(scene.frame(FrameType::data, 1, 0, "gr\xc3\xbc\xc3\x9f", proto::kFlagText).kind, Kind::message);
  EXPECT_EQ(scene.frame(FrameType::data, 2, 0, "\xff").kind, Kind::message) << "binary is anything";
}

TEST(Session, BoundsWhatTheGameServerHasNotTaken) {
  Scene scene(route::TicketKind::proof, small_window());
  EXPECT_EQ(scene.frame(FrameType::data, 1, 0, "a").kind, Kind::message);
  EXPECT_EQ(scene.frame(FrameType::data, 2, 0, "b").kind, Kind::message);
  EXPECT_EQ(scene.frame(FrameType::data, 3, 0, "c").kind, Kind::over_limit);
  EXPECT_EQ(scene.session.received(), 2u) << "what is refused was not read";
  EXPECT_EQ(scene.frame(FrameType::data, 2, 0, "b").kind, Kind::nothing) << "a duplicate is none too many";
  Scene large(route::TicketKind::proof, small_window());
  EXPECT_EQ(large.frame(FrameType::data, 1, 0, std::string(101, 'x')).kind, Kind::over_limit);
}

TEST(Session, BoundsTheBytesThatWaitForTheGameServer) {
  Scene scene(route::TicketKind::proof, small_window());
  scene.frame(FrameType::ack, 0, 0);
  const std::string body(80, 'x');
  const FrameVerdict first =
      scene.session.on_frame({{static_cast<std::uint8_t>(FrameType::data), 0, 1, 0}, body}, 0);
  EXPECT_EQ(first.kind, Kind::message);
  EXPECT_EQ(scene.session.on_frame({{static_cast<std::uint8_t>(FrameType::data), 0, 2, 0}, body}, 2000).kind,
            Kind::over_limit)
      << "the window has a hundred bytes";
  EXPECT_EQ(scene.session.received(), 1u);
}

TEST(Session, AClosingOneEndsWhetherItsClientAnswersOrNot) {
  Scene scene;
  scene.frame(FrameType::ack, 0, 0);
  scene.session.closing(scene.now);
  EXPECT_EQ(scene.session.deadline(), kStart + 15s);
  for (int i = 0; i < 11; ++i) {  // it asks for signs of life for ever
    scene.now += 5s;
    scene.frame(FrameType::ping, 0, 0, Bytes("\0\0\0\0\0\0\0\0", 8));
    scene.session.said(scene.now);
  }
  EXPECT_EQ(scene.due_within(6s), "expired@60000 ");
}

TEST(Session, ResumeGoesOnBehindWhatTheClientHas) {
  Scene scene;
  scene.frame(FrameType::ack, 0, 0);
  for (const char* message : {"1", "2", "3", "4"}) ASSERT_EQ(scene.session.say(message, true), Said::sent);
  scene.data(1);
  scene.frame(FrameType::ack, 0, 1);
  scene.session.detach(scene.now);
  EXPECT_EQ(scene.session.phase(), Phase::detached);

  const ResumeVerdict verdict = scene.resume(2, 2);
  ASSERT_EQ(verdict.kind, Verdict::take);
  EXPECT_EQ(verdict.resumed, (proto::Resumed{1, 3, 4}));
  EXPECT_EQ(scene.sent_from(verdict.from), "3 4 ");
  EXPECT_EQ(scene.session.window().acked(), 1u) << "`received` frees nothing";
  EXPECT_EQ(scene.session.phase(), Phase::attached);
  EXPECT_EQ(scene.session.epoch(), 2u);
}

TEST(Session, AClientThatLostItsMemoryIsToldWhatIsLeft) {
  Scene scene;
  scene.frame(FrameType::ack, 0, 0);
  for (const char* message : {"1", "2", "3"}) ASSERT_EQ(scene.session.say(message, true), Said::sent);
  scene.frame(FrameType::ack, 0, 2);
  const ResumeVerdict verdict = scene.resume(7, 0);
  ASSERT_EQ(verdict.kind, Verdict::take);
  EXPECT_EQ(verdict.resumed, (proto::Resumed{0, 3, 3})) << "1 and 2 are gone from the window";
  EXPECT_EQ(scene.sent_from(verdict.from), "3 ");
}

TEST(Session, TakesAResumeOnlyWithAHigherEpoch) {
  struct Case {
    std::uint32_t epoch;
    std::uint64_t received;
    Verdict expected;
  };
  const Case cases[] = {{0, 0, Verdict::epoch_used}, {4, 0, Verdict::epoch_used},
                        {5, 0, Verdict::epoch_used}, {5, 9, Verdict::epoch_used},
                        {6, 0, Verdict::take},       {0xffffffff, 1, Verdict::take},
                        {6, 2, Verdict::unfit}};
  for (const Case& it : cases) {
    Scene scene;
    scene.frame(FrameType::ack, 0, 0);
    ASSERT_EQ(scene.session.say("1", true), Said::sent);
    ASSERT_EQ(scene.resume(5, 0).kind, Verdict::take);
    EXPECT_EQ(scene.resume(it.epoch, it.received).kind, it.expected) << it.epoch << " " << it.received;
    EXPECT_EQ(scene.session.epoch(), it.expected == Verdict::take ? it.epoch : 5u);
    EXPECT_EQ(scene.session.phase(), Phase::attached) << "nothing so far touches the live link";
  }
}

TEST(Session, HasABudgetOfResumes) {
  Scene scene;
  std::uint32_t epoch = 1;
  for (int i = 0; i < limits::kResumesInARowMax; ++i) ASSERT_EQ(scene.resume(++epoch, 0).kind, Verdict::take);
  EXPECT_EQ(scene.resume(epoch + 1, 0).kind, Verdict::too_fast);
  scene.now += Duration(limits::kResumeEveryMs);
  EXPECT_EQ(scene.resume(epoch + 1, 0).kind, Verdict::take);
  EXPECT_EQ(scene.resume(epoch + 2, 0).kind, Verdict::too_fast);
}

TEST(Session, AResumeConfirmsASessionWhoseWelcomeWasNotAnswered) {
  Scene scene;
  scene.session.detach(kStart + 1s);
  scene.now = kStart + 2s;
  EXPECT_EQ(scene.resume(2, 0).kind, Verdict::take);
  EXPECT_EQ(scene.session.phase(), Phase::attached);
}

TEST(Session, WhatIsDueInWhichOrder) {
  const SessionRules rules;  // grace 60 s, ping 15 s, dead 40 s
  {
    Scene scene(route::TicketKind::proof, rules);
    scene.frame(FrameType::ack, 0, 0);
    EXPECT_EQ(scene.due_within(5min), "ping@15000 silent@40000 expired@100000 ");
  }
  {
    Scene scene(route::TicketKind::proof, rules);
    scene.data(1);
    EXPECT_EQ(scene.due_within(5min), "ack@200 ping@15000 silent@40000 expired@100000 ");
  }
  {
    Scene scene(route::TicketKind::proof, rules);
    scene.data(1);
    EXPECT_EQ(scene.due_within(16s), "ack@200 ping@15000 ");
    scene.frame(FrameType::pong, 0, 0, Bytes("\0\0\0\0\0\0\0\0", 8));
    EXPECT_EQ(scene.due_within(20s), "ping@30000 ") << "one PING for each time it was heard";
  }
  {
    Scene scene(route::TicketKind::cookie, rules);
    EXPECT_EQ(scene.session.phase(), Phase::attached);
    scene.session.detach(kStart + 5s);
    EXPECT_EQ(scene.due_within(5min), "expired@65000 ");
  }
}

TEST(Session, AFullWindowPausesThenExpires) {
  SessionRules rules;
  rules.window = {.bytes = 10, .messages = 2};
  {
    Scene scene(route::TicketKind::proof, rules);
    scene.frame(FrameType::ack, 0, 0);
    EXPECT_EQ(scene.session.say("12345678901", false), Said::too_large);
    EXPECT_EQ(scene.session.say("123456789", false), Said::sent);
    EXPECT_EQ(scene.session.say("12", false), Said::full);
    scene.session.stalled(scene.now);
    EXPECT_EQ(scene.due_within(1s), "");
    const FrameVerdict verdict = scene.frame(FrameType::ack, 0, 1);
    EXPECT_TRUE(verdict.freed);
    scene.session.flowing();
    EXPECT_EQ(scene.session.say("12", false), Said::sent);
    EXPECT_EQ(scene.due_within(10s), "");
  }
  {
    Scene scene(route::TicketKind::proof, rules);
    scene.frame(FrameType::ack, 0, 0);
    scene.session.detach(scene.now);
    scene.now += 2s;
    scene.session.stalled(scene.now);
    EXPECT_EQ(scene.due_within(1min), "overflow@7000 ");
  }
  {
    rules.overflow = Overflow::expire;
    Scene scene(route::TicketKind::proof, rules);
    scene.frame(FrameType::ack, 0, 0);
    scene.session.stalled(scene.now);
    EXPECT_EQ(scene.due_within(1min), "overflow@0 ");
  }
}

TEST(Session, PlainClientsAreNotAskedForAcknowledgements) {
  Scene scene(route::TicketKind::cookie);
  SendWindow::Cursor cursor = scene.session.window().end();
  scene.session.say("1", true);
  scene.session.say("2", true);
  EXPECT_EQ(scene.session.window().take(cursor).payload, "1");
  scene.session.forget_taken(cursor);
  scene.session.detach(scene.now);
  scene.session.say("3", true);
  EXPECT_EQ(scene.sent_from(scene.session.come_back(scene.now)), "2 3 ");
}

TEST(Session, SavedAndRestoredItGoesOn) {
  Scene scene;
  for (std::uint32_t i = 1; i <= 5; ++i) scene.data(i);
  scene.frame(FrameType::data, 6, 0, "not taken yet");
  for (const char* message : {"1", "", "3"}) scene.session.say(message, message[0] == '1');
  scene.frame(FrameType::ack, 0, 1);
  scene.resume(9, 1);
  std::string saved;
  scene.session.save(saved);

  auto restored = Session::restore(saved, scene.rules, kStart);
  ASSERT_TRUE(restored);
  EXPECT_EQ(restored->phase(), Phase::detached);
  EXPECT_EQ(restored->id(), scene.session.id());
  EXPECT_EQ(restored->secret(), scene.session.secret());
  EXPECT_EQ(restored->ack(), 5u);
  EXPECT_EQ(restored->received(), 6u);
  proto::Resume resume;
  resume.epoch = 9;
  EXPECT_EQ(restored->resume(resume, kStart).kind, Verdict::epoch_used);
  resume.epoch = 10;
  resume.received = 2;
  const ResumeVerdict verdict = restored->resume(resume, kStart);
  ASSERT_EQ(verdict.kind, Verdict::take);
  EXPECT_EQ(verdict.resumed, (proto::Resumed{6, 3, 3}));

  for (std::size_t size = 0; size < saved.size(); ++size) {
    EXPECT_FALSE(Session::restore(Bytes(saved).substr(0, size), scene.rules, kStart)) << size;
  }
  EXPECT_FALSE(Session::restore(saved + "x", scene.rules, kStart));
  saved[0] = 2;
  EXPECT_FALSE(Session::restore(saved, scene.rules, kStart)) << "a later form";
}

TEST(Session, IsSmall) { EXPECT_LE(sizeof(Session), 232u); }

}  // namespace
}  // namespace rejoin::session
