// The client on a simulated network, against the toy gateway.
#include "clients/cpp/src/driver.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "clients/cpp/src/driver_test_support.h"

namespace rejoin::client {
namespace {

using Kind = State::Kind;
using proto::DetachAction;
using proto::LinkCode;

proto::Detach detach(LinkCode code, DetachAction action, std::uint32_t wait = 0, Bytes address = {}) {
  return {number(code), action, wait, 0, address, {}};
}

TEST(Driver, opens_and_talks_over_both_transports) {
  const struct {
    std::string_view url;
    int round_trips;
  } cases[] = {{"ws://10.0.0.1:8000/play?room=1", 2}, {"tcp://10.0.0.1:8001", 1}};
  for (const auto& c : cases) {
    SmallWorld world;
    DriverOptions options = world.options(c.url);
    options.link.origin = "https://game.example";
    options.link.headers = {{"X-Extra", "yes"}};
    Application app(world.phone.world(), options);
    ASSERT_TRUE(world.open(app));
    EXPECT_EQ(app.states(), "connecting, open");
    EXPECT_EQ(app.last().round_trips, c.round_trips);
    EXPECT_EQ(app.last().dials, 1);
    EXPECT_EQ(app.last().url, c.url);
    EXPECT_EQ(app.last().peer.ip_text(), "10.0.0.1");
    ASSERT_EQ(app.saved.size(), 1u);
    EXPECT_FALSE(app.saved[0].empty());
    EXPECT_EQ(world.player().identity, "who");
    EXPECT_TRUE(app.send("hello"));
    EXPECT_TRUE(world.toy().produce(world.player(), "welcome"));
    ASSERT_TRUE(world.sim.run_until([&] { return !app.got.empty() && !world.player().got.empty(); }));
    EXPECT_EQ(app.got[0], "welcome");
    EXPECT_EQ(world.player().got[0], "hello");
    // Acknowledged without another frame to ride on.
    ASSERT_TRUE(
        world.sim.run_until([&] { return world.player().session.window().held_messages() == 0; }, 1s));
    ASSERT_TRUE(world.sim.run_until([&] { return app.driver->session().window().held_messages() == 0; }, 1s));
    if (world.gateway->asked.empty()) continue;
    EXPECT_EQ(world.gateway->asked[0].target, "/play?room=1");
    EXPECT_EQ(world.gateway->asked[0].origin, "https://game.example");
    EXPECT_EQ(world.gateway->asked[0].extra, "yes");
    EXPECT_FALSE(world.gateway->asked[0].with_item);
  }
}

TEST(Driver, a_broken_link_is_resumed_in_one_round_trip_and_nothing_is_lost) {
  for (const std::string_view url : {"ws://10.0.0.1:8000/play", "tcp://10.0.0.1:8001"}) {
    SmallWorld world;
    Application app(world.phone.world(), world.options(url));
    ASSERT_TRUE(world.open(app));
    world.sim.run_for(2s);
    world.gateway->reset_all();
    // What is said into the broken link, both ways.
    for (const char* text : {"1", "2", "3"}) {
      EXPECT_TRUE(app.send(text));
      EXPECT_TRUE(world.toy().produce(world.player(), text));
    }
    ASSERT_TRUE(world.until(app, Kind::resumed));
    EXPECT_EQ(app.states(), "connecting, open, reconnecting, resumed");
    EXPECT_EQ(app.last().round_trips, 1);
    EXPECT_EQ(app.last().dials, 1);
    EXPECT_EQ(app.last().epoch, 2u);
    EXPECT_EQ(app.last().to_come, 3u);
    EXPECT_EQ(app.last().sent_again, 3u);
    EXPECT_GT(app.last().took, 0us);
    EXPECT_LT(app.last().took, 200ms);
    ASSERT_TRUE(world.sim.run_until([&] { return app.got.size() == 3 && world.player().got.size() == 3; }));
    EXPECT_EQ(app.got, (std::vector<std::string>{"1", "2", "3"}));
    EXPECT_EQ(world.player().got, app.got);
    EXPECT_EQ(app.driver->stats().resumes, 1u);
    EXPECT_EQ(world.toy().counts.hellos, 1);
  }
}

TEST(Driver, each_attempt_is_stored_before_it_leaves) {
  SmallWorld world;
  Application app(world.phone.world(), world.options());
  ASSERT_TRUE(world.open(app));
  bool checked = false;
  world.toy().on_opening = [&](int, const proto::FrameView& frame) {
    if (!frame.head.is(proto::FrameType::resume)) return false;
    Application other(world.phone.world(), [&] {
      DriverOptions options = world.options();
      options.saved = app.saved.back();
      return options;
    }());
    EXPECT_EQ(other.driver->session().epoch(), load_u32(frame.body.data() + 2 + load_u16(frame.body.data())));
    checked = true;
    return false;
  };
  world.gateway->reset_all();
  ASSERT_TRUE(world.until(app, Kind::resumed));
  EXPECT_TRUE(checked);
}

TEST(Driver, where_an_item_is_disliked_resume_is_the_first_message) {
  SmallWorld world;
  Application app(world.phone.world(), world.options());
  ASSERT_TRUE(world.open(app));
  world.gateway->refuse_with = 400;
  world.gateway->items_only = true;
  world.gateway->more_lines = "Set-Cookie: seat=7; Path=/\r\n";
  world.gateway->reset_all();
  ASSERT_TRUE(world.until(app, Kind::resumed));
  EXPECT_EQ(app.last().dials, 2);
  EXPECT_EQ(app.last().round_trips, 2);
  ASSERT_EQ(world.gateway->asked.size(), 3u);
  EXPECT_TRUE(world.gateway->asked[1].with_item);
  EXPECT_EQ(world.gateway->asked[1].ticket, "");
  EXPECT_FALSE(world.gateway->asked[2].with_item);
  EXPECT_EQ(world.gateway->asked[2].ticket, world.player().ticket) << "for the balancer";
  world.sim.run_for(2s);
  world.gateway->reset_all();
  ASSERT_TRUE(world.sim.run_until([&] { return world.toy().counts.resumed == 2; }));
  EXPECT_EQ(world.gateway->asked.back().cookie, "seat=7");
}

TEST(Driver, a_balancer_that_says_not_now_is_asked_again_then_and_in_the_same_way) {
  SmallWorld world;
  Application app(world.phone.world(), world.options());
  ASSERT_TRUE(world.open(app));
  world.gateway->refuse_with = 503;
  world.gateway->refuse_lines = "Retry-After: 2\r\n";
  world.gateway->reset_all();
  ASSERT_TRUE(world.sim.run_until([&] { return world.gateway->asked.size() == 2; }));
  const TimePoint refused = world.sim.now();
  world.gateway->refuse_with = 0;
  ASSERT_TRUE(world.until(app, Kind::resumed));
  EXPECT_GE(world.sim.now() - refused, 2s);
  EXPECT_LT(world.sim.now() - refused, 3s);
  EXPECT_TRUE(world.gateway->asked.back().with_item);
  EXPECT_EQ(app.last().round_trips, 1);
}

TEST(Driver, the_longest_ticket_still_fits_an_item) {
  SmallWorld world;
  world.toy().options.ticket_bytes = 968;  // a RESUME of 1 KiB
  Application app(world.phone.world(), world.options());
  ASSERT_TRUE(world.open(app));
  world.gateway->reset_all();
  ASSERT_TRUE(world.until(app, Kind::resumed));
  EXPECT_TRUE(world.gateway->asked.back().with_item);
  EXPECT_EQ(app.last().round_trips, 1);
}

// --- doubt ---

TEST(Driver, a_link_that_went_silent_is_dialled_beside_and_replaced) {
  SmallWorld world;
  Application app(world.phone.world(), world.options());
  ASSERT_TRUE(world.open(app));
  world.phone.change_address("10.2.0.2");  // no error, no word: Wi-Fi is gone
  app.driver->network_changed(Driver::Change::doubt);
  EXPECT_TRUE(app.send("after"));
  EXPECT_TRUE(world.toy().produce(world.player(), "meanwhile"));
  const TimePoint before = world.sim.now();
  ASSERT_TRUE(world.until(app, Kind::resumed));
  EXPECT_EQ(app.states(), "connecting, open, resumed") << "made before broken: nobody had to be told";
  EXPECT_GE(world.sim.now() - before, 2s);
  EXPECT_LT(world.sim.now() - before, 2100ms);
  EXPECT_EQ(app.last().local.ip_text(), "10.2.0.2");
  ASSERT_TRUE(world.sim.run_until([&] { return app.got.size() == 1 && world.player().got.size() == 1; }));
}

TEST(Driver, told_that_the_path_is_gone_it_dials_at_once) {
  SmallWorld world;
  Application app(world.phone.world(), world.options());
  ASSERT_TRUE(world.open(app));
  world.phone.change_address("10.2.0.2");
  app.driver->network_changed(Driver::Change::path_gone);
  const TimePoint before = world.sim.now();
  ASSERT_TRUE(world.until(app, Kind::resumed));
  EXPECT_LT(world.sim.now() - before, 50ms);
  EXPECT_EQ(app.last().round_trips, 1);
  EXPECT_EQ(app.last().dials, 1);
}

TEST(Driver, a_doubt_that_is_answered_costs_nothing) {
  SmallWorld world;
  Application app(world.phone.world(), world.options());
  ASSERT_TRUE(world.open(app));
  for (int i = 0; i < 5; ++i) {
    app.driver->network_changed(Driver::Change::doubt);
    world.sim.run_for(3s);
  }
  EXPECT_EQ(app.states(), "connecting, open");
  EXPECT_EQ(app.driver->stats().dials, 1u);
}

TEST(Driver, what_is_sent_into_a_hole_is_noticed_without_a_hint) {
  SmallWorld world;
  Application app(world.phone.world(), world.options());
  ASSERT_TRUE(world.open(app));
  world.phone.change_address("10.2.0.2");
  EXPECT_TRUE(app.send("x"));
  const TimePoint before = world.sim.now();
  ASSERT_TRUE(world.until(app, Kind::resumed));
  EXPECT_LT(world.sim.now() - before, 4100ms);  // 2 s without an answer, 2 s without a PONG
}

TEST(Driver, a_silent_network_is_given_up_and_tried_until_it_is_back) {
  session::SessionRules with = rules();
  with.grace = 3600s;
  SmallWorld world(1, with);
  Application app(world.phone.world(), world.options());
  ASSERT_TRUE(world.open(app));
  world.sim.run_for(1s);
  world.sim.black_hole(world.phone, world.gateway_host);
  world.sim.black_hole(world.gateway_host, world.phone);
  ASSERT_TRUE(world.until(app, Kind::reconnecting));
  EXPECT_EQ(app.last().reason, "the gateway is silent");
  world.sim.run_for(120s);
  const std::uint64_t dials = app.driver->stats().dials;
  EXPECT_GT(dials, 5u);
  EXPECT_LT(dials, 40u) << "5 s each, and a growing time between them";
  world.sim.reopen(world.phone, world.gateway_host);
  world.sim.reopen(world.gateway_host, world.phone);
  ASSERT_TRUE(world.until(app, Kind::resumed, 30s));
}

TEST(Driver, a_change_of_the_network_ends_a_dial_that_hangs) {
  SmallWorld world;
  Application app(world.phone.world(), world.options());
  world.sim.black_hole(world.phone, world.gateway_host);
  app.start();
  world.sim.run_for(1s);
  world.sim.reopen(world.phone, world.gateway_host);
  // SYN's retransmission would take its time.
  app.driver->network_changed(Driver::Change::doubt);
  ASSERT_TRUE(world.until(app, Kind::open, 50ms));
  EXPECT_EQ(app.last().dials, 2);
}

// --- what gateways ask for ---

TEST(Driver, moves_when_asked_before_the_link_closes) {
  SmallWorld world;
  Application app(world.phone.world(), world.options());
  ASSERT_TRUE(world.open(app));
  world.toy().detach(world.player().link, detach(LinkCode::going_away, DetachAction::move, 5000));
  ASSERT_TRUE(world.until(app, Kind::resumed, 1s));
  EXPECT_EQ(app.states(), "connecting, open, resumed");
}

TEST(Driver, comes_again_when_and_where_it_is_told) {
  const struct {
    std::uint32_t wait;
    std::string_view address;
    bool advertised;
    Duration least, most;
    std::string_view transport;
    std::uint64_t dials;
  } cases[] = {
      {0, "", false, 0s, 50ms, "ws", 0},  // on the same link: no dial at all
      {3000, "", false, 3s, 3200ms, "ws", 1},
      {0, "tcp://10.0.0.1:8001", true, 0s, 50ms, "tcp", 1},
      {1000, "tcp://10.0.0.1:8001", true, 1s, 1050ms, "tcp", 1},
      {0, "tcp://10.0.0.1:8001", false, 0s, 600ms, "ws", 1},  // not allowed: home, after a time by chance
  };
  for (const auto& c : cases) {
    SmallWorld world;
    DriverOptions options = world.options();
    if (c.advertised) options.advertised = session::Advertised::yes;
    Application app(world.phone.world(), options);
    ASSERT_TRUE(world.open(app));
    app.send("before");
    world.toy().detach(world.player().link,
                       detach(LinkCode::restart, DetachAction::again, c.wait, c.address));
    const TimePoint before = world.sim.now();
    ASSERT_TRUE(world.until(app, Kind::resumed));
    EXPECT_GE(world.sim.now() - before, c.least) << &c - cases;
    EXPECT_LE(world.sim.now() - before, c.most) << &c - cases;
    EXPECT_TRUE(app.last().url.starts_with(c.transport)) << &c - cases;
    EXPECT_EQ(app.driver->stats().dials, 1 + c.dials) << &c - cases;
    EXPECT_EQ(app.last().round_trips, 1) << &c - cases;
    ASSERT_TRUE(world.sim.run_until([&] { return world.player().got.size() == 1; }));
  }
}

TEST(Driver, advertised_addresses_are_used_for_resumes_if_allowed) {
  for (const bool allowed : {false, true}) {
    SmallWorld world;
    world.toy().options.addresses = {"tcp://10.0.0.1:8001"};
    DriverOptions options = world.options();
    if (allowed) options.advertised = session::Advertised::yes;
    Application app(world.phone.world(), options);
    ASSERT_TRUE(world.open(app));
    EXPECT_EQ(app.last().url, "ws://10.0.0.1:8000/play");
    world.sim.run_for(2s);
    world.gateway->reset_all();
    ASSERT_TRUE(world.until(app, Kind::resumed));
    EXPECT_EQ(app.last().url, allowed ? "tcp://10.0.0.1:8001" : "ws://10.0.0.1:8000/play");
  }
}

TEST(Driver, a_session_that_is_gone_means_a_new_login_if_the_application_wants) {
  for (const bool again : {true, false}) {
    SmallWorld world;
    DriverOptions options = world.options();
    options.login_again = again;
    Application app(world.phone.world(), options);
    ASSERT_TRUE(world.open(app));
    world.gateway->reset_all();
    world.toy().players.clear();  // a gateway that lost its memory
    ASSERT_TRUE(world.sim.run_until([&] { return app.told.size() >= (again ? 5u : 4u); }));
    EXPECT_EQ(app.states(), again ? "connecting, open, reconnecting, lost 4401, open"
                                  : "connecting, open, reconnecting, ended 4401");
    EXPECT_EQ(app.driver->stats().dials, 2u) << "HELLO goes over the link that was told so";
    if (again) {
      EXPECT_EQ(app.last().round_trips, 2);
      app.send("anew");
      ASSERT_TRUE(world.sim.run_until([&] { return world.player().got.size() == 1; }));
    } else {
      EXPECT_EQ(app.saved.back(), "");
    }
  }
}

TEST(Driver, replaced_by_a_copy_it_stops_and_leaves_the_copys_ticket_alone) {
  SmallWorld world;
  Application app(world.phone.world(), world.options());
  ASSERT_TRUE(world.open(app));
  DriverOptions options = world.options();
  options.saved = app.saved.back();
  Application copy(world.phone.world(), options);
  copy.start();
  ASSERT_TRUE(world.until(copy, Kind::resumed));
  EXPECT_FALSE(copy.last().whole);
  ASSERT_TRUE(world.until(app, Kind::ended));
  EXPECT_EQ(app.last().code, 4409);
  EXPECT_NE(app.saved.back(), "");
  world.sim.run_for(30s);
  EXPECT_EQ(copy.states(), "connecting, resumed with a gap");
}

TEST(Driver, a_frame_above_the_window_ends_the_link_before_it_is_held) {
  const struct {
    std::string_view url;
    std::string bytes;
  } cases[] = {
      {"tcp://10.0.0.1:8001", std::string("\x00\x01\x00\x01x", 5)},                           // 65,537
      {"ws://10.0.0.1:8000/", std::string("\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x01x", 11)},  // the same
      {"ws://10.0.0.1:8000/", std::string("\x82\x7f\x00\x00\x00\x00\x7f\xff\xff\xffx", 11)},
  };
  for (const auto& c : cases) {
    SmallWorld world;
    Application app(world.phone.world(), world.options(c.url));
    ASSERT_TRUE(world.open(app));
    world.sim.run_for(1s);
    world.gateway->say_raw(c.bytes);
    ASSERT_TRUE(world.until(app, Kind::resumed)) << &c - cases;
    EXPECT_EQ(app.told[app.told.size() - 2].reason, "a frame above the window");
  }
}

// --- the end ---

TEST(Driver, close_says_goodbye_behind_the_last_message) {
  SmallWorld world;
  Application app(world.phone.world(), world.options());
  ASSERT_TRUE(world.open(app));
  EXPECT_EQ(app.driver->send("last", true), Driver::Sent::taken);
  app.driver->close(1000, "bye");
  EXPECT_EQ(app.driver->send("later", true), Driver::Sent::ended);
  ASSERT_TRUE(world.until(app, Kind::ended));
  EXPECT_EQ(app.last().code, 1000);
  EXPECT_EQ(world.player().ended, 1000);
  EXPECT_EQ(world.player().got, std::vector<std::string>{"last"});
  EXPECT_EQ(app.saved.back(), "");
  world.sim.run_for(10s);
  EXPECT_EQ(world.phone.open_sockets(), 0u);
  EXPECT_EQ(app.driver->deadline(), kNever);
}

TEST(Driver, a_closing_client_without_a_link_dials_to_say_it) {
  for (const bool reachable : {true, false}) {
    SmallWorld world;
    Application app(world.phone.world(), world.options());
    ASSERT_TRUE(world.open(app));
    world.gateway->reset_all();
    if (!reachable) world.gateway->stop();
    ASSERT_TRUE(world.until(app, Kind::reconnecting));
    const std::uint64_t dials = app.driver->stats().dials;
    app.driver->close(1000, "bye");
    ASSERT_TRUE(world.until(app, Kind::ended));
    EXPECT_EQ(app.last().code, 1000);
    EXPECT_GT(app.driver->stats().dials, dials);
    EXPECT_EQ(world.player().ended, reachable ? 1000 : 0);
  }
}

TEST(Driver, the_game_ends_the_session) {
  SmallWorld world;
  Application app(world.phone.world(), world.options());
  ASSERT_TRUE(world.open(app));
  world.toy().end(world.player(), 4410, "the match is over");
  ASSERT_TRUE(world.until(app, Kind::ended));
  EXPECT_EQ(app.last().code, 4410);
  EXPECT_EQ(app.last().reason, "the match is over");
  EXPECT_EQ(app.saved.back(), "");
}

TEST(Driver, an_end_that_was_missed_is_told_later) {
  SmallWorld world;
  Application app(world.phone.world(), world.options());
  ASSERT_TRUE(world.open(app));
  world.gateway->reset_all();
  world.toy().end(world.player(), 4411, "the game server is gone");
  ASSERT_TRUE(world.until(app, Kind::ended));
  EXPECT_EQ(app.states(), "connecting, open, reconnecting, ended 4411");
}

TEST(Driver, gives_up_when_told_to) {
  SmallWorld world;
  world.gateway->stop();
  DriverOptions options = world.options();
  options.give_up = 10s;
  Application app(world.phone.world(), options);
  app.start();
  ASSERT_TRUE(world.until(app, Kind::ended));
  EXPECT_NE(app.last().reason.find("refused"), std::string::npos) << app.last().reason;
  EXPECT_EQ(app.last().code, 0);
  EXPECT_TRUE(app.saved.empty()) << "what is stored stays stored";
}

// --- kept by the application ---

TEST(Driver, a_restarted_program_goes_on_by_another_transport) {
  for (const session::Snapshot kind : {session::Snapshot::light, session::Snapshot::whole}) {
    SmallWorld world;
    DriverOptions options = world.options();
    options.save = kind;
    auto app = std::make_unique<Application>(world.phone.world(), options);
    ASSERT_TRUE(world.open(*app));
    app->send("1");
    EXPECT_TRUE(world.toy().produce(world.player(), "a"));
    ASSERT_TRUE(world.sim.run_until([&] { return !app->got.empty() && !world.player().got.empty(); }));
    world.sim.run_for(1s);                                         // acknowledged
    EXPECT_EQ(app->driver->send("2", true), Driver::Sent::taken);  // never leaves
    options.saved = app->driver->snapshot(kind);
    app.reset();
    EXPECT_TRUE(world.toy().produce(world.player(), "b"));
    options.url = *proto::Url::parse("tcp://10.0.0.1:8001");
    Application second(world.phone.world(), options);
    EXPECT_EQ(second.driver->send("3", true), Driver::Sent::no_room);
    second.start();
    ASSERT_TRUE(world.until(second, Kind::resumed));
    EXPECT_EQ(second.last().whole, kind == session::Snapshot::whole);
    EXPECT_EQ(second.rooms, 1);
    EXPECT_TRUE(second.send("3"));
    const bool whole = kind == session::Snapshot::whole;
    ASSERT_TRUE(world.sim.run_until(
        [&] { return second.got.size() >= 1 && world.player().got.size() >= (whole ? 3u : 2u); }));
    EXPECT_EQ(second.got, std::vector<std::string>{"b"});
    EXPECT_EQ(world.player().got,
              whole ? (std::vector<std::string>{"1", "2", "3"}) : (std::vector<std::string>{"1", "3"}));
  }
}

TEST(Driver, what_cannot_be_made_says_why) {
  SmallWorld world;
  NoResolver resolver;
  Application app(world.phone.world(), world.options());
  const auto error_of = [&](DriverOptions options) {
    auto made = Driver::make(world.phone.world(), nullptr, resolver, std::move(options), app);
    return made ? std::string() : made.error().detail;
  };
  EXPECT_EQ(error_of(world.options("wss://10.0.0.1:8000/")), "wss://10.0.0.1:8000/: there is no TLS here");
  EXPECT_NE(error_of(world.options("http://10.0.0.1:8000/")), "");
  DriverOptions options = world.options();
  options.saved = "nonsense";
  EXPECT_NE(error_of(options), "");
  options = world.options();
  options.identity.assign(20'000, 'x');
  EXPECT_NE(error_of(options), "");
}

TEST(Driver, a_full_window_and_room_again) {
  SmallWorld world;
  world.toy().options.accept_at_once = false;
  Application app(world.phone.world(), world.options());
  ASSERT_TRUE(world.open(app));
  int sent = 0;
  while (app.send("x")) ++sent;
  EXPECT_EQ(sent, 16);
  world.sim.run_for(1s);
  EXPECT_EQ(app.rooms, 0);
  while (!world.player().queue.empty()) world.toy().take_one(world.player());
  ASSERT_TRUE(world.sim.run_until([&] { return app.rooms == 1; }));
  EXPECT_TRUE(app.send("y"));
}

}  // namespace
}  // namespace rejoin::client
