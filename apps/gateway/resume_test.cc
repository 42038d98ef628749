// Sessions that outlive their links, as one client after the other finds them: a raw client against a whole
// gateway with the echo upstream, on a simulated network.
#include <gtest/gtest.h>

#include <string>

#include "apps/gateway/resume_client.h"
#include "base/limits.h"

namespace rejoin::gateway {
namespace {

constexpr Road kRoads[] = {Road::websocket, Road::tcp};
const std::string kGreeting = "DATA 1 '{\"server\":\"g'";

/// A client that has logged in, and heard the echo's greeting.
struct Player {
  Player(Scene& scene, Road road) : link(scene, road) {
    link.say(hello());
    EXPECT_TRUE(link.hears("WELCOME"));
    link.say(ack_of(0));
    EXPECT_TRUE(link.hears("WELCOME; " + kGreeting));
    kept = link.kept();
    kept.received = 1;
  }
  ResumeLink link;
  Kept kept;
};

TEST(Resume, LogsInAndSpeaks) {
  for (const Road road : kRoads) {
    Scene scene;
    Player player(scene, road);
    player.link.say(data(1, "hello", 1));
    EXPECT_TRUE(player.link.hears(kGreeting + "; DATA 2 'hello'"));
    EXPECT_EQ(scene.worker->sessions().size(), 1u);
  }
}

TEST(Resume, DoesNotDialTheGameServerBeforeWelcomeIsAnswered) {
  Scene scene;
  ResumeLink link(scene, Road::websocket);
  link.say(hello());
  EXPECT_TRUE(link.hears("WELCOME"));
  scene.sim.run_for(5s);
  EXPECT_EQ(link.told(), "WELCOME");
  scene.sim.run_for(6s);
  EXPECT_EQ(link.told(), "WELCOME; DETACH 4401 login; close 4401") << "and it lives ten seconds";
  EXPECT_EQ(scene.worker->sessions().size(), 0u);
}

TEST(Resume, GoesOnOverAnyRoadWithWhatWasMissed) {
  for (const Road first : kRoads) {
    for (const Road second : kRoads) {
      Scene scene;
      Player player(scene, first);
      player.link.raw().stop_reading();
      player.link.say(data(1, "one", 1) + (first == Road::tcp ? "" : ""));
      player.link.say(data(2, "two", 1));
      scene.sim.run_for(1s);
      player.link.raw().break_off();
      scene.sim.run_for(1s);
      EXPECT_EQ(scene.worker->links(), 0u);
      EXPECT_EQ(scene.worker->sessions().size(), 1u);

      ResumeLink again(scene, second, player.kept.resume());
      EXPECT_TRUE(again.hears("RESUMED 2/2/3; DATA 2 'one'; DATA 3 'two'"));
      again.say(data(2, "two", 3));
      again.say(data(3, "three", 3));
      EXPECT_TRUE(again.hears("DATA 4 'three'")) << "two is a duplicate";
    }
  }
}

TEST(Resume, ByTheFirstMessageOfAWebSocket) {
  Scene scene;
  Player player(scene, Road::websocket);
  player.link.raw().break_off();
  ResumeLink again(scene, Road::websocket);
  again.say(player.kept.resume());
  EXPECT_TRUE(again.hears("RESUMED 0/2/1"));
}

TEST(Resume, TheLaterLinkTakesTheSession) {
  for (const Road road : kRoads) {
    Scene scene;
    Player player(scene, road);
    ResumeLink later(scene, road, player.kept.resume());
    EXPECT_TRUE(later.hears("RESUMED 0/2/1"));
    const std::string closes = road == Road::websocket ? "; close 4409" : "";
    EXPECT_TRUE(player.link.hears("DETACH 4409 stop epoch 2" + closes));
    player.link.say(data(1, "too late"));
    later.say(data(1, "mine"));
    EXPECT_TRUE(later.hears("DATA 2 'mine'"));
    EXPECT_EQ(scene.worker->sessions().counts().replaced, 1u);
  }
}

TEST(Resume, AnEpochThatWasTakenIsWorthNothing) {
  for (const Road road : kRoads) {
    Scene scene;
    Player player(scene, road);
    const std::string used = player.kept.resume();
    ResumeLink live(scene, road, used);
    EXPECT_TRUE(live.hears("RESUMED 0/2/1"));
    ResumeLink replayed(scene, road, used);
    EXPECT_TRUE(replayed.hears("DETACH 4412 again epoch 2"));
    live.say(data(1, "still mine"));
    EXPECT_TRUE(live.hears("DATA 2 'still mine'"));
    replayed.say(player.kept.resume());
    EXPECT_TRUE(replayed.hears("RESUMED 1/2/2; DATA 2 'still mine'")) << "the same link may try once more";
  }
}

TEST(Resume, WhoProvesNothingIsToldToLogIn) {
  struct Case {
    const char* name;
    std::string (*frame)(Kept kept);
  };
  const Case cases[] = {
      {"a stolen ticket without its secret",
       [](Kept kept) {
         kept.secret.fill('?');
         return kept.resume();
       }},
      {"a changed ticket",
       [](Kept kept) {
         kept.ticket[30] = kept.ticket[30] == 'A' ? 'B' : 'A';
         return kept.resume();
       }},
      {"no ticket",
       [](Kept kept) {
         kept.ticket = "nonsense";
         return kept.resume();
       }},
  };
  for (const Road road : kRoads) {
    for (const Case& it : cases) {
      SCOPED_TRACE(it.name);
      Scene scene;
      Player player(scene, road);
      ResumeLink thief(scene, road, it.frame(player.kept));
      EXPECT_TRUE(thief.hears("DETACH 4401 login"));
      player.link.say(data(1, "undisturbed"));
      EXPECT_TRUE(player.link.hears("DATA 2 'undisturbed'"));
      thief.say(hello());
      EXPECT_TRUE(thief.hears("DETACH 4401 login; WELCOME")) << "the same link may log in";
    }
  }
}

TEST(Resume, AFloodOfBadProofsCostsItsAddressAloneTheRight) {
  Scene scene;
  Player player(scene, Road::tcp);
  io::SimHost& thieves = scene.sim.add_host({.name = "thief", .addresses = {"10.6.6.6"}});
  std::string flood;
  {
    Kept forged = player.kept;
    forged.secret.fill('?');
    const std::string frame = forged.resume();
    char length[4];
    store_u32(length, static_cast<std::uint32_t>(frame.size()));
    flood = std::string(length, 4) + frame;
  }
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < limits::kBadOpeningsInARowMax + 50; ++i) {
    clients.push_back(std::make_unique<RawClient>(thieves, scene.gateway.address(Scene::kTcpPort)));
    clients.back()->say(flood);
  }
  scene.sim.run_for(2s);
  EXPECT_GE(scene.worker->sessions().counts().over_budget, 1u);
  EXPECT_GE(scene.worker->sessions().counts().bad_proof,
            static_cast<unsigned>(limits::kBadOpeningsInARowMax));
  player.link.raw().break_off();
  ResumeLink again(scene, Road::tcp, player.kept.resume());
  EXPECT_TRUE(again.hears("RESUMED 0/2/1"));
}

TEST(Resume, ASessionWhoseGraceIsOverIsGone) {
  Scene scene;
  Player player(scene, Road::websocket);
  player.link.raw().break_off();
  scene.sim.run_for(59s);
  EXPECT_EQ(scene.worker->sessions().size(), 1u);
  scene.sim.run_for(2s);
  EXPECT_EQ(scene.worker->sessions().size(), 0u);
  ResumeLink late(scene, Road::websocket, player.kept.resume());
  EXPECT_TRUE(late.hears("DETACH 4401 login")) << "it logs in, and does not stop";
}

TEST(Resume, TheClientEndsItsSession) {
  for (const Road road : kRoads) {
    Scene scene;
    Player player(scene, road);
    std::string close;
    proto::append_close(close, {1000, "bye"}, 1);
    player.link.say(close);
    EXPECT_TRUE(player.link.hears(road == Road::websocket ? "CLOSE 1000; close 1000" : "CLOSE 1000"));
    EXPECT_EQ(scene.worker->sessions().size(), 0u);
    Kept thief = player.kept;
    ResumeLink late(scene, road, player.kept.resume());
    EXPECT_TRUE(late.hears("DETACH 1000 login")) << "how it ended, for who can prove";
    thief.secret.fill('?');
    ResumeLink stolen(scene, road, thief.resume());
    EXPECT_TRUE(stolen.hears("DETACH 4401 login"));
  }
}

TEST(Resume, BadFramesEndTheLinkAndNotTheSession) {
  struct Case {
    const char* name;
    std::string frame;
    int code;
  };
  const Case cases[] = {
      {"short", "abc", 4400},
      {"a message missing before it", data(2, "two"), 4400},
      {"an ack of what was never sent", ack_of(9), 4400},
      {"HELLO again", hello(), 4400},
      {"an unknown type", std::string("\x0f\0\0\0\0\0\0\0\0\0", 10), 4400},
      {"longer than the window", data(1, std::string(300'000, 'x')), 4413},
  };
  for (const Road road : kRoads) {
    for (const Case& it : cases) {
      SCOPED_TRACE(it.name);
      Scene scene;
      Player player(scene, road);
      player.link.say(it.frame);
      const std::string code = std::to_string(it.code);
      EXPECT_TRUE(player.link.hears("DETACH " + code + " again" +
                                    (road == Road::websocket ? "; close " + code : "")));
      EXPECT_EQ(scene.worker->sessions().size(), 1u);
      ResumeLink again(scene, road, player.kept.resume());
      EXPECT_TRUE(again.hears("RESUMED 0/2/1"));
    }
  }
}

TEST(Resume, ASilentLinkIsAskedThenDetached) {
  for (const Road road : kRoads) {
    Scene scene;
    Player player(scene, road);
    scene.sim.run_for(16s);
    EXPECT_TRUE(player.link.hears("PING"));
    scene.sim.run_for(26s);
    EXPECT_TRUE(
        player.link.hears(road == Road::websocket ? "DETACH 4408 again; close 4408" : "DETACH 4408 again"));
    EXPECT_EQ(scene.worker->sessions().counts().silent, 1u);
    EXPECT_EQ(scene.worker->sessions().size(), 1u);
  }
}

TEST(Resume, WhatIsOwedIsAcknowledgedInTime) {
  Scene scene;
  Player player(scene, Road::tcp);
  player.link.say(ack_of(1));
  std::string ping;
  proto::append_ping(ping, proto::FrameType::ping, 7, 1);
  player.link.say(ping);
  EXPECT_TRUE(player.link.hears("PONG"));
}

TEST(Resume, AnAnswerThatBearsTheAcknowledgementLeavesNoTimerBehind) {
  for (const Road road : kRoads) {
    Scene scene;
    Player player(scene, road);
    scene.sim.run_for(1s);  // what the opening was timed by is over
    player.link.say(data(1, "hello", 1));
    EXPECT_TRUE(player.link.hears(kGreeting + "; DATA 2 'hello'"));
    io::World& world = scene.gateway.world();
    EXPECT_GT(world.timers.next(), world.clock.now() + 2 * Duration(limits::kAckDelayMs));
  }
}

TEST(Resume, OpeningsThatNeverComeOrAreNone) {
  for (const Road road : kRoads) {
    Scene scene;
    ResumeLink silent(scene, road);
    ResumeLink wrong(scene, road);
    if (road == Road::websocket) {
      wrong.say(data(1, "no opening"));
      EXPECT_TRUE(wrong.hears("DETACH 4400 again; close 4400"));
      EXPECT_TRUE(silent.hears("DETACH 4408 again; close 4408"));
    } else {
      EXPECT_TRUE(scene.until([&] { return silent.raw().over(); }));
    }
  }
}

TEST(Resume, TwoFramesBeforeTheAnswerAreOneTooMany) {
  Scene scene;
  ResumeLink eager(scene, Road::websocket);
  eager.say(hello());
  eager.say(data(1, "early"));
  EXPECT_TRUE(eager.hears("DETACH 4400 again; close 4400"));
  EXPECT_TRUE(scene.until([&] { return scene.worker->sessions().size() == 0; }));
}

// The answer is worked out a turn after the frame came: whatever happens to the link in between.
TEST(Resume, ALinkMayEndBeforeItsOpeningIsAnswered) {
  for (int way = 0; way < 3; ++way) {
    Scene scene;
    ResumeLink link(scene, Road::tcp);
    ResumeLink stale(scene, Road::tcp);
    Kept kept;
    if (way == 2) {
      Player player(scene, Road::tcp);
      kept = player.kept;
      player.link.raw().break_off();
      scene.sim.run_for(61s);  // the store is asked for a session that is gone
    }
    // In one segment: the frame, and what ends the link.
    if (way == 0) {
      link.say(hello());
      link.say("");
    } else if (way == 1) {
      link.say(hello());
      link.raw().say_fin();
    } else {
      ResumeLink late(scene, Road::tcp, kept.resume());
      late.raw().say_fin();
      scene.sim.run_for(1s);
    }
    scene.sim.run_for(20s);
    EXPECT_EQ(scene.worker->sessions().size(), 0u) << way;
  }
}

// A link that parts does so without its session, which may be gone before it.
TEST(Resume, ALinkThatPartsForgetsASessionThatEnds) {
  Scene scene;
  Player player(scene, Road::websocket);
  player.link.raw().say(masked(proto::WsOpcode::close, std::string("\x03\xe8", 2)));  // and no FIN
  scene.sim.run_for(10ms);
  ResumeLink later(scene, Road::tcp, player.kept.resume());
  EXPECT_TRUE(later.hears("RESUMED 0/2/1"));
  std::string close;
  proto::append_close(close, {1000, ""}, 1);
  later.say(close);
  EXPECT_TRUE(later.hears("CLOSE 1000"));
  scene.sim.run_for(10s);
  EXPECT_EQ(scene.worker->sessions().size(), 0u);
}

TEST(Resume, ADrainTellsAllToComeAgain) {
  for (const Road road : kRoads) {
    Scene scene;
    Player player(scene, road);
    scene.worker->drain();
    EXPECT_TRUE(
        player.link.hears(road == Road::websocket ? "DETACH 1012 again; close 1012" : "DETACH 1012 again"));
  }
}

TEST(Resume, OriginsAreChecked) {
  struct Case {
    const char* origin;
    std::vector<std::string> allowed;
    bool opens;
  };
  const Case cases[] = {
      {nullptr, {}, true},
      {"https://play.example", {}, true},
      {"http://play.example:8443", {}, true},
      {"https://evil.example", {}, false},
      {"null", {}, false},
      {"https://evil.example", {"*"}, true},
      {"https://app.example", {"https://app.example"}, true},
      {"https://app.example:1", {"https://app.example"}, false},
  };
  for (const Case& it : cases) {
    config::Gateway rules;
    rules.origins = it.allowed;
    Scene scene(1, {}, rules);
    const std::string field = it.origin == nullptr ? "" : std::string("Origin: ") + it.origin + "\r\n";
    ResumeLink link(scene, Road::websocket, {}, field);
    EXPECT_TRUE(scene.until([&] { return link.raw().heard().size() > 20; }));
    EXPECT_EQ(link.raw().heard().starts_with(it.opens ? "HTTP/1.1 101 " : "HTTP/1.1 403 "), true)
        << field << link.raw().heard();
  }
}

// --- plain clients, who keep a cookie ---

std::string cookie_in(const std::string& heard) {
  const std::size_t at = heard.find("Set-Cookie: REJOIN-SESSION=");
  if (at == heard.npos) return "";
  const std::size_t begin = at + 12;
  return heard.substr(begin, heard.find(';', begin) - begin);
}

TEST(PlainSession, ComesBackByItsCookieWithWhatWasBuffered) {
  config::Gateway rules;
  rules.session_cookie.emplace();
  Scene scene(1, {}, rules);
  std::size_t from = 0;
  RawClient& first = scene.websocket(from);
  const std::string cookie = cookie_in(first.heard());
  ASSERT_NE(cookie, "");
  first.break_off();
  EXPECT_TRUE(scene.until([&] { return scene.worker->links() == 0; }));
  ASSERT_EQ(scene.worker->sessions().size(), 1u);

  RawClient& second = scene.client();
  second.say(kUpgrade + "Cookie: " + cookie + "\r\n\r\n" + masked(proto::WsOpcode::text, "again"));
  EXPECT_TRUE(scene.until([&] { return second.heard().ends_with("again"); }));
  EXPECT_EQ(second.heard().find("\"server\""), std::string::npos)
      << "no new greeting: the same game server's connection";
  EXPECT_NE(cookie_in(second.heard()), "");
  EXPECT_EQ(scene.worker->sessions().counts().opened, 1u);
}

TEST(PlainSession, ASecondTabDoesNotTakeTheSessionOfALiveOne) {
  config::Gateway rules;
  rules.session_cookie.emplace();
  Scene scene(1, {}, rules);
  std::size_t from = 0;
  RawClient& first = scene.websocket(from);
  const std::string cookie = cookie_in(first.heard());
  // The first one answers pings, as browsers do.
  RawClient& second = scene.client();
  second.say(kUpgrade + "Cookie: " + cookie + "\r\n\r\n");
  EXPECT_TRUE(scene.until([&] { return first.heard().size() > from; }));
  first.say(masked(proto::WsOpcode::pong, ""));
  EXPECT_TRUE(scene.until([&] { return second.heard().ends_with("}"); })) << "it is greeted anew";
  EXPECT_EQ(cookie_in(second.heard()), "") << "the cookie stays the first one's";
  first.say(masked(proto::WsOpcode::text, "mine"));
  EXPECT_TRUE(scene.until([&] { return first.heard().ends_with("mine"); }));
}

TEST(PlainSession, ADeadLinkIsLetGoAfterTwoSeconds) {
  config::Gateway rules;
  rules.session_cookie.emplace();
  Scene scene(1, {}, rules);
  std::size_t from = 0;
  RawClient& first = scene.websocket(from);
  const std::string cookie = cookie_in(first.heard());
  RawClient& second = scene.client();  // and the first says nothing
  second.say(kUpgrade + "Cookie: " + cookie + "\r\n\r\n" + masked(proto::WsOpcode::text, "again"));
  EXPECT_TRUE(scene.until([&] { return second.heard().ends_with("again"); }));
  EXPECT_EQ(scene.worker->sessions().counts().opened, 1u);
  EXPECT_EQ(scene.worker->sessions().counts().replaced, 1u);
}

}  // namespace
}  // namespace rejoin::gateway
