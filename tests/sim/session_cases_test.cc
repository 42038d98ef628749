// Sessions in single hard moments: cut at every byte, fought for by copies, stolen, replayed, restarted,
// their gateway killed, their game server slow, gone or flooding, their owner elsewhere or away.
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>

#include "apps/gateway/resume_client.h"
#include "base/bytes.h"
#include "proto/resume_frame.h"
#include "tests/sim/meddler.h"
#include "tests/sim/seeds.h"
#include "tests/sim/session_arena.h"

namespace rejoin::sim_test {
namespace {

using session::Snapshot;

/// No player speaks first, no game server of itself: a test says what is said.
SessionArenaOptions quiet(std::uint64_t seed = 1) {
  SessionArenaOptions options{.seed = seed};
  options.game.messages = 0;
  return options;
}

/// One that plays: its session is open and its game server has heard of it.
void open(SessionArena& arena, SessionPlayer& player) {
  player.start();
  ASSERT_TRUE(arena.run_until([&] { return player.has_session() && player.account()->game_heard == 1; }))
      << player.story();
}

/// Both ends say something, and hear all of it.
void talk(SessionArena& arena, SessionPlayer& player) {
  ASSERT_TRUE(player.has_session()) << player.story();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(player.say());
  arena.game().say(*player.account(), 3);
  EXPECT_TRUE(arena.run_until([&] { return player.settled(); })) << player.story() << arena.wrong();
}

void all_is_well(SessionArena& arena) {
  EXPECT_TRUE(arena.settle());
  EXPECT_EQ(arena.wrong(), "");
  EXPECT_EQ(arena.end(), "");
}

// --- cuts at every byte ---

struct CutCase {
  Way way;
  io::Towards towards;
  io::Break how;
};

/// A short conversation whose first connection is cut after so many bytes. True: it came to that.
bool cut_after(const CutCase& it, std::uint64_t bytes) {
  SessionArenaOptions options = quiet();
  options.balancer = false;
  SessionArena arena(options);
  SessionPlayer& player = arena.add_player(it.way);
  arena.sim().cut({.towards = it.towards, .after_bytes = bytes, .how = it.how});
  player.start();
  // What is said, and heard, stands at the same place of the stream each time, as long as nothing is cut.
  arena.run_until([&] { return player.has_session() && player.account()->connection != 0; }, 15s);
  for (int i = 0; i < 2 && player.has_session(); ++i) {
    player.say();
    if (player.has_session() && player.account()->connection != 0) arena.game().say(*player.account(), 1);
    arena.run_for(250ms);
  }
  const bool cut = arena.sim().counters().cuts != 0;
  EXPECT_TRUE(arena.settle());
  EXPECT_EQ(arena.wrong(), "");
  // WELCOME may be lost before it is heard: then there is a second login, and one session that nobody has.
  EXPECT_EQ(player.logins(), 1u) << player.story();
  EXPECT_EQ(arena.seen().lost, 0u) << player.story();
  EXPECT_EQ(arena.end(), "");
  return cut;
}

TEST(SessionCuts, at_every_byte_of_a_conversation_nothing_is_lost) {
  for (const Way way : {Way::direct_web, Way::direct_raw}) {
    for (const io::Towards towards : {io::Towards::listener, io::Towards::dialler}) {
      for (const io::Break how : {io::Break::reset, io::Break::hole}) {
        std::uint64_t bytes = 0;
        for (bool cut = true; cut; ++bytes) {
          SCOPED_TRACE("way " + std::to_string(static_cast<int>(way)) + " towards " +
                       std::to_string(static_cast<int>(towards)) + " break " +
                       std::to_string(static_cast<int>(how)) + " after " + std::to_string(bytes));
          cut = cut_after({way, towards, how}, bytes);
          ASSERT_FALSE(testing::Test::HasFailure());
          ASSERT_LT(bytes, 5000u);
        }
        EXPECT_GT(bytes, 200u);
      }
    }
  }
}

/// The link that resumes is cut before its RESUMED came whole, or right behind it.
bool resume_cut_after(Way way, io::Towards towards, io::Break how, std::uint64_t bytes, bool old_link_lives) {
  SessionArenaOptions options = quiet();
  options.balancer = false;
  SessionArena arena(options);
  SessionPlayer& player = arena.add_player(way);
  open(arena, player);
  player.say();
  arena.game().say(*player.account(), 2);
  arena.run_for(10ms);
  arena.sim().cut({.towards = towards, .after_bytes = bytes, .how = how});
  if (!old_link_lives) player.host().change_address("10.1.1.2");
  player.network_changed(client::Driver::Change::path_gone);
  player.say();
  arena.game().say(*player.account(), 1);
  arena.run_for(1s);
  const bool cut = arena.sim().counters().cuts != 0;
  EXPECT_TRUE(arena.settle());
  talk(arena, player);
  EXPECT_EQ(arena.wrong(), "");
  EXPECT_EQ(player.logins(), 1u) << player.story();
  EXPECT_EQ(arena.end(), "");
  return cut;
}

TEST(SessionCuts, a_resume_that_is_cut_at_any_byte_costs_another_dial_and_nothing_else) {
  for (const Way way : {Way::direct_web, Way::direct_raw}) {
    for (const io::Towards towards : {io::Towards::listener, io::Towards::dialler}) {
      for (const io::Break how : {io::Break::reset, io::Break::hole}) {
        for (const bool old_link_lives : {false, true}) {
          std::uint64_t bytes = 0;
          for (bool cut = true; cut; ++bytes) {
            SCOPED_TRACE("way " + std::to_string(static_cast<int>(way)) + " towards " +
                         std::to_string(static_cast<int>(towards)) + " break " +
                         std::to_string(static_cast<int>(how)) + " after " + std::to_string(bytes));
            cut = resume_cut_after(way, towards, how, bytes, old_link_lives);
            ASSERT_FALSE(testing::Test::HasFailure());
            ASSERT_LT(bytes, 5000u);
          }
          EXPECT_GT(bytes, 38u) << "RESUMED alone is so long";
        }
      }
    }
  }
}

// --- copies, thieves ---

TEST(SessionCases, of_two_copies_of_a_program_the_later_one_plays_on_and_the_other_stops) {
  for (const Way way : {Way::web, Way::raw, Way::direct_web, Way::direct_raw}) {
    SessionArena arena(quiet());
    SessionPlayer& first = arena.add_player(way);
    open(arena, first);
    talk(arena, first);
    SessionPlayerOptions copied;
    copied.url = SessionArena::url(way);
    copied.saved = first.driver().snapshot(Snapshot::whole);
    copied.account = first.account();
    SessionPlayer& copy = arena.add_player(copied);
    copy.start();
    EXPECT_TRUE(arena.run_until([&] { return first.over(); })) << first.story();
    EXPECT_TRUE(first.story().find("ended 4409") != std::string::npos) << first.story();
    EXPECT_FALSE(first.saved().empty()) << "it may be wanted again";
    EXPECT_TRUE(arena.run_until([&] { return copy.driver().live(); }));
    EXPECT_EQ(copy.story(), "connecting, resumed");
    talk(arena, copy);
    EXPECT_EQ(arena.game().met(), 1u) << "the game server sees one player, steadily";
    EXPECT_EQ(arena.wrong(), "");
    EXPECT_EQ(arena.end(), "");
  }
}

TEST(SessionCases, two_copies_that_come_at_once_do_not_fight_for_ever) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SessionArenaOptions options = quiet(seed);
    options.path.jitter = 20ms;
    SessionArena arena(options);
    const Way way = static_cast<Way>(seed % kWays);
    SessionPlayer& first = arena.add_player(way);
    open(arena, first);
    arena.run_for(1s);
    SessionPlayerOptions copied;
    copied.saved = first.driver().snapshot(Snapshot::whole);
    copied.account = first.account();
    copied.url = SessionArena::url(static_cast<Way>((seed + 1) % kWays));
    SessionPlayer& copy = arena.add_player(copied);
    first.start_again(Snapshot::whole);
    copy.start();
    EXPECT_TRUE(arena.run_until([&] { return first.over() || copy.over(); })) << "both play the same session";
    arena.run_for(3s);
    SessionPlayer& winner = first.over() ? copy : first;
    SessionPlayer& loser = first.over() ? first : copy;
    EXPECT_TRUE(loser.story().ends_with("ended 4409 (another link has the session)")) << loser.story();
    EXPECT_TRUE(winner.driver().live()) << winner.story();
    talk(arena, winner);
    EXPECT_EQ(arena.game().met(), 1u);
    EXPECT_EQ(arena.wrong(), "");
    EXPECT_EQ(arena.end(), "");
    ASSERT_FALSE(testing::Test::HasFailure());
  }
}

std::string with_length(std::string_view frame) {
  char length[4];
  store_u32(length, static_cast<std::uint32_t>(frame.size()));
  return std::string(length, 4).append(frame);
}

/// What the last whole frame said that came behind a length.
std::string last_frame(std::string_view bytes) {
  std::string last = "nothing";
  while (bytes.size() >= 4 && bytes.size() - 4 >= load_u32(bytes.data())) {
    const std::size_t size = load_u32(bytes.data());
    last = gateway::ResumeLink::describe(bytes.substr(4, size));
    bytes.remove_prefix(4 + size);
  }
  return last;
}

TEST(SessionCases, a_stolen_ticket_without_its_secret_opens_nothing_and_disturbs_nobody) {
  SessionArena arena(quiet());
  SessionPlayer& player = arena.add_player(Way::raw);
  open(arena, player);
  io::SimHost& den = arena.sim().add_host({.name = "thief", .addresses = {"10.9.0.1"}});
  const int owner = arena.owner_of(player);
  ASSERT_GE(owner, 0);
  for (const Address to : {arena.balancer_host().address(82), arena.gateway_host(0).address(8001),
                           arena.gateway_host(1).address(8001)}) {
    gateway::RawClient thief(den, to);
    proto::Resume resume;
    const std::string ticket = player.driver().session().ticket();
    resume.ticket = ticket;
    resume.epoch = 1000;
    proto::SessionSecret secret;
    secret.fill('s');
    std::string frame;
    proto::append_resume(frame, resume, secret);
    thief.say(with_length(frame));
    arena.run_until([&] { return last_frame(thief.heard()) != "nothing"; }, 3s);
    EXPECT_EQ(last_frame(thief.heard()), "DETACH 4401 login");
    thief.break_off();
  }
  talk(arena, player);
  EXPECT_EQ(player.story(), "connecting, open");
  EXPECT_EQ(arena.seen().replaced, 0u);
  EXPECT_EQ(arena.gateway(static_cast<std::size_t>(owner)).sessions().counts().bad_proof, 3u);
  all_is_well(arena);
}

TEST(SessionCases, a_resume_that_was_seen_on_the_wire_is_worth_nothing_when_it_comes_again) {
  SessionArena arena(quiet());
  io::SimHost& middle = arena.sim().add_host({.name = "middle", .addresses = {"10.8.0.1"}});
  std::string recorded;
  const auto record = [&](Meddler::From from, std::size_t, std::string& frame) {
    const auto view = proto::parse_frame(frame);
    if (from == Meddler::From::client && view->head.is(proto::FrameType::resume)) recorded = frame;
  };
  auto meddler = std::make_unique<Meddler>(middle, 90, arena.gateway_host(0).address(8001), record);
  SessionPlayerOptions options;
  options.url = "tcp://10.8.0.1:90";
  SessionPlayer& player = arena.add_player(options);
  open(arena, player);
  player.network_changed(client::Driver::Change::path_gone);
  ASSERT_TRUE(arena.run_until([&] { return player.resumes() == 1; }));
  ASSERT_FALSE(recorded.empty());
  io::SimHost& den = arena.sim().add_host({.name = "thief", .addresses = {"10.9.0.1"}});
  {
    gateway::RawClient thief(den, arena.gateway_host(0).address(8001));
    for (int i = 0; i < 2; ++i) {
      thief.say(with_length(recorded));
      arena.run_for(1s);
    }
    EXPECT_EQ(last_frame(thief.heard()), "DETACH 4412 again epoch 2");
    EXPECT_TRUE(thief.over());
  }
  talk(arena, player);
  EXPECT_EQ(player.resumes(), 1u) << player.story();
  EXPECT_TRUE(arena.settle());
  EXPECT_EQ(arena.wrong(), "");
  meddler.reset();
  EXPECT_EQ(arena.end(), "");
}

// --- programs that begin again ---

TEST(SessionCases, a_program_that_saved_all_goes_on_and_one_that_saved_little_is_told_of_the_gap) {
  for (int way = 0; way < kWays; ++way) {
    for (const Snapshot kind : {Snapshot::whole, Snapshot::light}) {
      SCOPED_TRACE("way " + std::to_string(way) + (kind == Snapshot::light ? " light" : " whole"));
      SessionArena arena(quiet());
      SessionPlayer& player = arena.add_player(static_cast<Way>(way));
      open(arena, player);
      talk(arena, player);
      player.say();  // under way when the program ends
      arena.game().say(*player.account(), 2);
      player.start_again(kind);
      ASSERT_TRUE(arena.run_until([&] { return player.driver().live(); })) << player.story();
      EXPECT_TRUE(player.story().ends_with(kind == Snapshot::whole ? "resumed" : "resumed with a gap"))
          << player.story();
      talk(arena, player);
      EXPECT_EQ(player.logins(), 1u);
      EXPECT_EQ(arena.game().met(), 1u);
      all_is_well(arena);
    }
  }
}

// --- gateways ---

TEST(SessionCases, players_of_a_gateway_that_was_killed_are_told_to_log_in_and_do) {
  for (int way = 0; way < kWays; ++way) {
    SCOPED_TRACE("way " + std::to_string(way));
    SessionArena arena(quiet());
    SessionPlayer& player = arena.add_player(static_cast<Way>(way));
    open(arena, player);
    talk(arena, player);
    const int owner = arena.owner_of(player);
    arena.kill_gateway(static_cast<std::size_t>(owner), 1s);
    EXPECT_TRUE(arena.run_until([&] { return player.logins() == 2; })) << player.story();
    EXPECT_TRUE(player.story().find("lost 4401 (log in), open") != std::string::npos) << player.story();
    ASSERT_TRUE(arena.run_until([&] { return player.settled(); })) << player.story();
    talk(arena, player);
    EXPECT_EQ(player.logins(), 2u) << player.story();
    all_is_well(arena);
  }
}

TEST(SessionCases, the_ticket_of_another_gateway_is_relayed_to_it_by_those_who_know_it) {
  for (const bool peers : {true, false}) {
    for (const bool web : {true, false}) {
      SCOPED_TRACE(std::string(peers ? "peers" : "no peers") + (web ? " web" : " raw"));
      SessionArenaOptions options = quiet();
      options.peers = peers;
      options.balancer = false;
      SessionArena arena(options);
      // g2 is the owner over TCP, g1 over WebSocket; the other one is dialled then.
      SessionPlayer& first = arena.add_player(web ? Way::direct_web : Way::direct_raw);
      open(arena, first);
      talk(arena, first);
      const std::size_t owner = web ? 0 : 1;
      EXPECT_EQ(arena.owner_of(first), static_cast<int>(owner));
      SessionPlayerOptions elsewhere;
      elsewhere.saved = first.driver().snapshot(Snapshot::whole);
      elsewhere.account = first.account();
      elsewhere.url = web ? "ws://10.0.1.2:8000/" : "tcp://10.0.1.1:8001";
      SessionPlayer& second = arena.add_player(elsewhere);
      second.start();
      if (!peers) {
        arena.run_for(10s);
        EXPECT_EQ(second.story(), "connecting") << "told to come again, and nothing else";
        EXPECT_GT(second.driver().stats().dials, 3u);
        EXPECT_LT(second.driver().stats().dials, 20u) << "not faster than it was told to";
        EXPECT_EQ(first.story(), "connecting, open");
        talk(arena, first);
        EXPECT_EQ(arena.wrong(), "");
        EXPECT_EQ(arena.end(), "");
        continue;
      }
      ASSERT_TRUE(arena.run_until([&] { return second.driver().live(); })) << second.story();
      EXPECT_EQ(second.story(), "connecting, resumed");
      talk(arena, second);
      EXPECT_EQ(arena.seen().relayed, 1u);
      EXPECT_EQ(arena.gateway(1 - owner).sessions().size(), 0u);
      EXPECT_EQ(arena.game().met(), 1u);
      // Its link breaks, and the next is relayed as well.
      second.host().change_address("10.1.2.2");
      second.network_changed(client::Driver::Change::path_gone);
      ASSERT_TRUE(arena.run_until([&] { return second.resumes() == 2; })) << second.story();
      talk(arena, second);
      EXPECT_EQ(arena.seen().relayed, 2u);
      EXPECT_EQ(arena.wrong(), "");
      EXPECT_EQ(arena.end(), "");
    }
  }
}

TEST(SessionCases, while_the_owner_is_away_the_balancer_sends_its_players_to_nobody_else) {
  for (const Way way : {Way::web, Way::raw}) {
    for (const bool killed : {false, true}) {
      SCOPED_TRACE(std::string(way == Way::web ? "web" : "raw") + (killed ? " killed" : " unreachable"));
      SessionArena arena(quiet());
      SessionPlayer& player = arena.add_player(way);
      open(arena, player);
      talk(arena, player);
      const auto owner = static_cast<std::size_t>(arena.owner_of(player));
      io::SimHost& host = arena.gateway_host(owner);
      if (killed) {
        arena.kill_gateway(owner, 2s);
      } else {
        arena.sim().black_hole(arena.balancer_host(), host);
        arena.sim().black_hole(host, arena.balancer_host());
      }
      player.network_changed(client::Driver::Change::path_gone);
      arena.run_for(2s);
      EXPECT_EQ(arena.gateway(1 - owner).sessions().counts().opened, 0u);
      arena.sim().reopen(arena.balancer_host(), host);
      arena.sim().reopen(host, arena.balancer_host());
      ASSERT_TRUE(arena.run_until([&] { return player.settled() && player.driver().live(); }))
          << player.story();
      talk(arena, player);
      EXPECT_EQ(player.logins(), killed ? 2u : 1u) << player.story();
      EXPECT_EQ(arena.gateway(1 - owner).sessions().counts().stranger, 0u);
      EXPECT_TRUE(!killed || arena.seen().come_again != 0);
      all_is_well(arena);
    }
  }
}

// --- game servers ---

TEST(SessionCases, a_slow_game_server_costs_the_player_its_room_and_no_message) {
  for (int way = 0; way < kWays; ++way) {
    SCOPED_TRACE("way " + std::to_string(way));
    SessionArena arena(quiet());
    SessionPlayerOptions options;
    options.url = SessionArena::url(static_cast<Way>(way));
    options.message_max = 4000;
    SessionPlayer& player = arena.add_player(options);
    open(arena, player);
    Account& account = *player.account();
    arena.game().stop_reading(account);
    bool full = false;
    for (int i = 0; i < 2000 && !full; ++i) {
      full = !player.say();
      if (i % 10 == 0) arena.run_for(20ms);
    }
    EXPECT_TRUE(full);
    EXPECT_EQ(account.game_heard, 1u);
    // The link breaks meanwhile, and what waits is not doubled.
    player.host().change_address("10.1.1.2");
    player.network_changed(client::Driver::Change::path_gone);
    EXPECT_TRUE(arena.run_until([&] { return player.resumes() == 1; })) << player.story();
    all_is_well(arena);
    EXPECT_EQ(account.game_heard, account.player_said);
  }
}

TEST(SessionCases, when_the_game_server_is_gone_the_player_hears_it_at_once_or_when_it_comes_back) {
  for (const bool away : {false, true}) {
    for (int way = 0; way < kWays; ++way) {
      SCOPED_TRACE("way " + std::to_string(way) + (away ? " away" : ""));
      SessionArena arena(quiet());
      SessionPlayer& player = arena.add_player(static_cast<Way>(way));
      open(arena, player);
      talk(arena, player);
      arena.game().say(*player.account(), 2);
      arena.run_for(10ms);
      if (away) {
        player.host().change_address("10.1.1.2");
        arena.run_for(100ms);
      }
      Account& account = *player.account();
      arena.game().reset(account);
      arena.run_for(100ms);
      if (away) player.network_changed(client::Driver::Change::path_gone);
      EXPECT_TRUE(arena.run_until([&] { return player.over(); })) << player.story();
      EXPECT_EQ(account.end_code, 4411) << player.story();
      EXPECT_EQ(account.player_heard, account.game_said) << "what it said last is delivered";
      all_is_well(arena);
    }
  }
}

TEST(SessionCases, a_flood_is_held_back_for_who_listens) {
  for (int way = 0; way < kWays; ++way) {
    SCOPED_TRACE("way " + std::to_string(way));
    SessionArena arena(quiet());
    SessionPlayer& player = arena.add_player(static_cast<Way>(way));
    open(arena, player);
    arena.game().say(*player.account(), 3000);
    EXPECT_TRUE(arena.run_until([&] { return player.settled(); })) << player.story();
    EXPECT_EQ(player.account()->player_heard, 3000u);
    EXPECT_EQ(player.story(), "connecting, open");
    all_is_well(arena);
  }
}

TEST(SessionCases, a_flood_for_who_is_away_pauses_the_game_server_and_then_ends_the_session_aloud) {
  for (int way = 0; way < kWays; ++way) {
    SCOPED_TRACE("way " + std::to_string(way));
    SessionArena arena(quiet());
    SessionPlayer& player = arena.add_player(static_cast<Way>(way));
    open(arena, player);
    Account& account = *player.account();
    const auto owner = static_cast<std::size_t>(arena.owner_of(player));
    player.host().change_address("10.1.1.2");
    arena.game().say(account, 3000);
    arena.run_for(1500ms);
    EXPECT_EQ(arena.gateway(owner).sessions().size(), 1u) << "it is paused for two seconds";
    arena.run_for(1s);
    EXPECT_EQ(arena.gateway(owner).sessions().counts().overflowed, 1u);
    account.flooded = true;
    const std::uint64_t heard_before = account.player_heard;
    const std::size_t held = arena.gateway(owner).sessions().oldest()->state().window().held_messages();
    EXPECT_EQ(held, 64u) << "what the window holds waits for its player, and CLOSE behind it";
    player.network_changed(client::Driver::Change::path_gone);
    EXPECT_TRUE(arena.run_until([&] { return player.over(); })) << player.story();
    EXPECT_EQ(account.end_code, 4413) << player.story();
    EXPECT_EQ(account.player_heard, heard_before + held);
    EXPECT_EQ(arena.gateway(owner).sessions().size(), 0u);
    all_is_well(arena);
  }
}

// --- a bug that is planted must be found ---

/// Players behind a machine that lets the gateway acknowledge one message too many, though never one that was
/// not sent. What the checkers say.
std::string play_with_planted_bug(std::uint64_t seed, bool planted) {
  SessionArenaOptions options{.seed = seed};
  options.balancer = false;
  options.path.latency = 10ms;
  options.path.jitter = 20ms;
  SessionArena arena(options);
  io::SimHost& middle = arena.sim().add_host({.name = "middle", .addresses = {"10.8.0.1"}});
  std::vector<std::uint32_t> seen;  // per connection: the last of the client's messages that came by
  Meddler meddler(middle, 90, arena.gateway_host(0).address(8001),
                  [&](Meddler::From from, std::size_t connection, std::string& frame) {
                    seen.resize(std::max(seen.size(), connection + 1));
                    const auto view = proto::parse_frame(frame);
                    if (!view) return;
                    const proto::FrameHead head = view->head;
                    if (from == Meddler::From::client) {
                      if (head.is(proto::FrameType::data)) seen[connection] = head.seq;
                      return;
                    }
                    const bool says_ack = head.is(proto::FrameType::data) || head.is(proto::FrameType::ack) ||
                                          head.is(proto::FrameType::ping) || head.is(proto::FrameType::pong);
                    if (planted && says_ack && head.ack < seen[connection])
                      store_u32(frame.data() + 6, head.ack + 1);
                  });
  for (int i = 0; i < 3; ++i) {
    SessionPlayerOptions player;
    player.url = "tcp://10.8.0.1:90";
    arena.add_player(player).start();
  }
  arena.sim().set_faults(io::Faults::from_seed(arena.sim().random()));
  for (int round = 0; round < 30; ++round) {
    for (std::size_t i = 0; i < arena.players(); ++i) {
      if (arena.player(i).over()) arena.player(i).come_back();
      arena.player(i).say();
    }
    arena.run_for(Duration(static_cast<std::int64_t>(arena.sim().random().below(200'000))));
  }
  arena.settle();
  return arena.wrong();
}

TEST(SessionCases, a_gateway_that_acknowledges_one_message_too_many_is_found_out) {
  int found = 0;
  for (std::uint64_t seed = 1; seed <= 300 && found < 3; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    if (!play_with_planted_bug(seed, true).empty()) ++found;
    if (seed > 30) continue;
    ASSERT_EQ(play_with_planted_bug(seed, false), "");
  }
  EXPECT_GE(found, 3);
}

}  // namespace
}  // namespace rejoin::sim_test
