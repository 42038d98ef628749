// permessage-deflate on links: who gets it, on what terms, and what happens to a client that abuses it. Raw
// clients that compress by themselves, on a simulated network.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "apps/gateway/resume_client.h"
#include "proto/ws_compression.h"
#include "proto/ws_extensions.h"

namespace rejoin::gateway {
namespace {

using config::CompressionKind;
using proto::Takeover;
using proto::WsOpcode;

constexpr std::uint32_t kMessageMax = 16 * 1024;
const std::string kChromiumOffers = "permessage-deflate; client_max_window_bits";
const std::string kGreeting = "DATA 1 '{\"server\":\"g'";

config::Gateway rules_with(CompressionKind kind, bool on_resumable_links = false) {
  config::Gateway rules;
  rules.message_max = kMessageMax;
  rules.compression.kind = kind;
  rules.compression.on_resumable_links = on_resumable_links;
  return rules;
}

std::string state_message(int tick) {
  std::string out = R"({"type":"state","tick":)" + std::to_string(tick) + R"(,"players":[)";
  for (int i = 0; i < 4; ++i)
    out += R"({"id":)" + std::to_string(i) + R"(,"x":)" + std::to_string(tick + i) + R"(.5,"y":7},)";
  return out + "]}";
}

std::string noise_of(std::size_t size) {
  SeededRandom random(5);
  std::string noise(size, '\0');
  random.fill(noise);
  return noise;
}

/// A WebSocket client that offers compression, and uses it as it was agreed on.
class Deflating {
 public:
  /// `at`: another gateway, or worker, than the scene's first.
  explicit Deflating(Scene& scene, const std::string& offer = kChromiumOffers, const std::string& more = {},
                     const Address& at = {})
      : scene_(scene), raw_(at ? scene.client_at(at) : scene.client()) {
    raw_.say(kUpgrade + "Sec-WebSocket-Extensions: " + offer + "\r\n" + more + "\r\n");
    EXPECT_TRUE(scene.until([&] { return heard_head() || raw_.over(); }));
    if (!heard_head() || head_.status() != 101) return;
    answer = std::string(head_.value_of(proto::KnownField::sec_websocket_extensions));
    const auto terms = proto::check_deflate_answer(head_, proto::DeflateTerms());
    EXPECT_TRUE(terms.ok());
    if (!terms.ok() || !*terms) return;
    // As browsers are: no threshold.
    proto::CompressionSettings settings;
    settings.role = proto::WsRole::client;
    settings.message_min = 0;
    settings.takeover = (*terms)->client.takeover;
    share_ = std::make_unique<proto::CompressionShare>(settings);
    compression_ = std::make_unique<proto::MessageCompression>(*share_, **terms, 1 << 24);
  }

  void say(WsOpcode opcode, std::string_view message) {
    const auto payload = compression_ ? compression_->pack(message) : std::nullopt;
    say_frame(opcode, payload.value_or(message), payload.has_value());
  }
  void say_frame(WsOpcode opcode, std::string_view payload, bool rsv1) {
    std::string frame = masked(opcode, payload);
    if (rsv1) frame[0] = static_cast<char>(frame[0] | 0x40);
    said_bytes += frame.size();
    raw_.say(frame);
  }

  /// What came so far, inflated: messages, and "close CODE".
  const std::vector<std::string>& heard() {
    std::string fresh = raw_.heard().substr(taken_);
    taken_ += fresh.size();
    MutableBytes input = fresh;
    for (;;) {
      const proto::WsEvent event = reader_.feed(input);
      switch (event.kind) {
        case proto::WsEvent::Kind::more: return heard_;
        case proto::WsEvent::Kind::close:
          heard_.push_back("close " + std::to_string(number(event.code)));
          break;
        case proto::WsEvent::Kind::refused: ADD_FAILURE() << event.reason; return heard_;
        case proto::WsEvent::Kind::data: {
          if (!compression_) {
            if (const auto message = assembler_.add(event)) heard_.emplace_back(*message);
            break;
          }
          if (event.first && event.compressed) ++compressed;
          const auto taken = compression_->take(event);
          EXPECT_NE(taken.kind, proto::MessageCompression::Taken::Kind::refused) << taken.reason;
          if (taken.kind == proto::MessageCompression::Taken::Kind::message)
            heard_.emplace_back(taken.message);
          break;
        }
        default: break;
      }
    }
  }
  testing::AssertionResult hears(std::size_t messages, const std::string& last) {
    if (scene_.until([&] { return heard().size() >= messages; }) && heard().back() == last)
      return testing::AssertionSuccess();
    return testing::AssertionFailure()
           << "heard " << heard().size() << (heard().empty() ? "" : ", last " + heard().back().substr(0, 80));
  }
  /// Frames of rejoin.v1, as ResumeLink tells them.
  std::string told() {
    std::string out;
    for (const std::string& frame : heard()) out += (out.empty() ? "" : "; ") + ResumeLink::describe(frame);
    return out;
  }
  testing::AssertionResult tells(std::string_view end) {
    if (scene_.until([&] { return std::string_view(told()).ends_with(end); }))
      return testing::AssertionSuccess();
    return testing::AssertionFailure() << "heard " << told();
  }

  /// The messages in DATA frames of rejoin.v1, once there are so many.
  std::vector<std::string> data_heard(std::size_t count) {
    std::vector<std::string> out;
    scene_.until([&] {
      out.clear();
      for (const std::string& bytes : heard()) {
        const auto frame = proto::parse_frame(bytes);
        if (frame && frame->head.is(proto::FrameType::data)) out.emplace_back(frame->body);
      }
      return out.size() >= count;
    });
    return out;
  }

  RawClient& raw() { return raw_; }
  int status() const { return head_.status(); }
  bool agreed() const { return compression_ != nullptr; }

  std::string answer;          // the extension that the 101 names
  std::size_t compressed = 0;  // messages that came with RSV1
  std::size_t said_bytes = 0;

 private:
  bool heard_head() {
    if (taken_ != 0) return true;
    head_bytes_ = raw_.heard();
    const proto::HeadVerdict verdict = head_.feed(head_bytes_);
    if (verdict.state != proto::HeadState::complete) return false;
    taken_ = verdict.consumed;
    return true;
  }

  Scene& scene_;
  RawClient& raw_;
  std::string head_bytes_;
  proto::ResponseHead head_;
  std::size_t taken_ = 0;
  proto::FrameReader reader_{proto::WsRole::client, 1 << 24, proto::Rsv1::allowed};
  proto::MessageAssembler assembler_;
  std::unique_ptr<proto::CompressionShare> share_;
  std::unique_ptr<proto::MessageCompression> compression_;
  std::vector<std::string> heard_;
};

TEST(Compression, IsAgreedOnAsConfigured) {
  struct Case {
    CompressionKind kind;
    std::string offer;
    std::string answer;
  };
  const std::string no_takeover = "; server_no_context_takeover; client_no_context_takeover";
  const Case cases[] = {
      {CompressionKind::off, kChromiumOffers, ""},
      {CompressionKind::shared, kChromiumOffers,
       "permessage-deflate" + no_takeover + "; server_max_window_bits=12"},
      {CompressionKind::dedicated, kChromiumOffers,
       "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"},
      {CompressionKind::dedicated, "permessage-deflate",
       "permessage-deflate; client_no_context_takeover; server_max_window_bits=12"},
      {CompressionKind::dedicated, "permessage-deflate; server_max_window_bits=8", ""},
      {CompressionKind::dedicated, "x-webkit-deflate-frame", ""},
  };
  for (const Case& it : cases) {
    Scene scene(1, {}, rules_with(it.kind));
    Deflating client(scene, it.offer);
    EXPECT_EQ(client.status(), 101) << it.offer;
    EXPECT_EQ(client.answer, it.answer) << it.offer;
    client.say(WsOpcode::text, "hello");
    EXPECT_TRUE(client.hears(2, "hello"));
    EXPECT_EQ(scene.worker->counts().compressed_links, it.answer.empty() ? 0u : 1u);
  }
}

TEST(Compression, AMalformedOfferIs400WhateverIsConfigured) {
  for (const CompressionKind kind : {CompressionKind::off, CompressionKind::shared}) {
    Scene scene(1, {}, rules_with(kind));
    Deflating client(scene, "permessage-deflate; client_max_window_bits=");
    EXPECT_EQ(client.status(), 400);
    EXPECT_NE(client.raw().heard().find("Sec-WebSocket-Extensions is malformed"), std::string::npos);
    EXPECT_EQ(scene.worker->links(), 0u);
  }
}

TEST(Compression, MessagesComeBackWhole) {
  for (const CompressionKind kind : {CompressionKind::shared, CompressionKind::dedicated}) {
    Scene scene(1, {}, rules_with(kind));
    Deflating first(scene), second(scene);
    std::vector<std::string> messages = {"", "x", std::string(63, 'y'), noise_of(kMessageMax),
                                         std::string(kMessageMax, 'z')};
    for (int tick = 0; tick < 20; ++tick) messages.push_back(state_message(tick));
    for (std::size_t i = 0; i < messages.size(); ++i) {
      for (Deflating* const client : {&first, &second}) client->say(WsOpcode::binary, messages[i]);
      EXPECT_TRUE(first.hears(2 + i, messages[i]));
      EXPECT_TRUE(second.hears(2 + i, messages[i]));
    }
    EXPECT_GE(first.compressed, 21u) << "all but the short ones, and noise";
    // Bytes that both directions took, beside what they carry.
    std::size_t bytes = 0;
    for (int tick = 0; tick < 20; ++tick) bytes += state_message(tick).size();
    Deflating third(scene);
    const std::size_t before = third.raw().heard().size();
    for (int tick = 0; tick < 20; ++tick) third.say(WsOpcode::text, state_message(tick));
    EXPECT_TRUE(third.hears(21, state_message(19)));
    const std::size_t came = third.raw().heard().size() - before;
    EXPECT_LT(came, kind == CompressionKind::dedicated ? bytes / 4 : bytes * 3 / 4);
  }
}

/// The budget of dedicated memory: who comes later shares.
TEST(Compression, DedicatedMemoryHasABound) {
  config::Gateway rules = rules_with(CompressionKind::dedicated);
  rules.compression.memory_max = 2 * proto::takeover_bytes(12, 5);
  Scene scene(1, {}, rules);
  Deflating first(scene), second(scene), third(scene);
  EXPECT_EQ(first.answer.find("no_context_takeover"), std::string::npos);
  EXPECT_EQ(second.answer.find("no_context_takeover"), std::string::npos);
  EXPECT_NE(third.answer.find("no_context_takeover"), std::string::npos);
  EXPECT_EQ(scene.worker->compression()->takeover_memory_bytes(), rules.compression.memory_max);
  first.raw().break_off();
  scene.sim.run_for(1s);
  Deflating fourth(scene);
  EXPECT_EQ(fourth.answer.find("no_context_takeover"), std::string::npos);
  for (Deflating* const client : {&second, &third, &fourth}) {
    client->say(WsOpcode::text, state_message(1));
    EXPECT_TRUE(client->hears(2, state_message(1)));
  }
}

TEST(Compression, AbuseEndsThatLinkAndNoOther) {
  const std::string bomb(1 << 20, '\0');
  struct Case {
    const char* name;
    WsOpcode opcode;
    std::string payload;  // empty: the bomb
    const char* end;
  };
  const Case cases[] = {
      {"bomb", WsOpcode::binary, "", "close 1009"},
      {"corrupt", WsOpcode::binary, "\x07", "close 1007"},
      {"reaches back before the beginning", WsOpcode::binary, std::string("\xf2\x00\x11\x00\x00", 5),
       "close 1007"},
      {"cut short", WsOpcode::text, "\xf2\x48\xcd", "close 1007"},
      {"not UTF-8", WsOpcode::text, std::string("\x00\x01\x00\xfe\xff\xff\x00", 7), "close 1007"},
      {"longer than the limit at once", WsOpcode::binary, noise_of(kMessageMax + kMessageMax / 8 + 65),
       "close 1009"},
  };
  for (const CompressionKind kind : {CompressionKind::shared, CompressionKind::dedicated}) {
    Scene scene(1, {}, rules_with(kind));
    Deflating good(scene);
    good.say(WsOpcode::text, state_message(0));
    EXPECT_TRUE(good.hears(2, state_message(0)));
    std::size_t refused = 0;
    for (const Case& it : cases) {
      Deflating bad(scene);
      if (it.payload.empty()) {
        bad.say(it.opcode, bomb);
        EXPECT_LT(bad.said_bytes, 8000u);
      } else {
        bad.say_frame(it.opcode, it.payload, true);
      }
      EXPECT_TRUE(bad.hears(2, it.end)) << it.name;
      EXPECT_TRUE(scene.until([&] { return bad.raw().over(); })) << it.name;
      EXPECT_EQ(scene.worker->counts().refused_frames, ++refused) << it.name;
      good.say(WsOpcode::text, state_message(static_cast<int>(refused)));
      EXPECT_TRUE(good.hears(2 + refused, state_message(static_cast<int>(refused)))) << it.name;
    }
    EXPECT_LT(scene.worker->compression()->memory_bytes(), 200'000u);
  }
}

TEST(Compression, Rsv1IsWrongWhereNothingWasAgreedOn) {
  Scene scene(1, {}, rules_with(CompressionKind::off));
  Deflating client(scene);
  client.say_frame(WsOpcode::text, std::string("\xf2\x48\xcd\xc9\xc9\x07\x00", 7), true);
  EXPECT_TRUE(client.hears(2, "close 1002"));
}

// --- clients of the resume protocol ---

const std::string kRejoin = "Sec-WebSocket-Protocol: rejoin.v1\r\n";

/// Logs in, and hears the echo's greeting.
Kept log_in(Deflating& link) {
  link.say(WsOpcode::binary, hello());
  EXPECT_TRUE(link.tells("WELCOME"));
  link.say(WsOpcode::binary, ack_of(0));
  EXPECT_TRUE(link.tells("WELCOME; " + kGreeting));
  Kept kept;
  kept.received = 1;
  const auto welcome = proto::parse_welcome(proto::parse_frame(link.heard().front())->body);
  EXPECT_TRUE(welcome);
  kept.secret = welcome->secret;
  kept.ticket = welcome->ticket;
  return kept;
}

TEST(CompressionOfResumableLinks, IsOffUnlessAskedFor) {
  for (const bool on : {false, true}) {
    Scene scene(1, {}, rules_with(CompressionKind::dedicated, on));
    Deflating link(scene, kChromiumOffers, kRejoin);
    EXPECT_EQ(link.agreed(), on);
    log_in(link);
    Deflating plain(scene);
    EXPECT_TRUE(plain.agreed());
  }
}

/// A link is lost in the middle of a conversation, and the next one begins with empty windows on both sides.
TEST(CompressionOfResumableLinks, ASessionGoesOnOverALinkOfItsOwn) {
  for (const CompressionKind kind : {CompressionKind::shared, CompressionKind::dedicated}) {
    for (const bool in_request : {true, false}) {
      Scene scene(1, {}, rules_with(kind, true));
      Deflating first(scene, kChromiumOffers, kRejoin);
      Kept kept = log_in(first);
      for (std::uint64_t i = 1; i <= 5; ++i) first.say(WsOpcode::binary, data(i, state_message(1), 1));
      EXPECT_EQ(first.data_heard(6).size(), 6u);
      EXPECT_GE(first.compressed, 5u);
      kept.received = 3;  // the rest was lost, as far as this client knows
      first.raw().break_off();
      scene.sim.run_for(1s);

      const std::string resume = kept.resume();
      Deflating again(scene, kChromiumOffers,
                      in_request
                          ? "Sec-WebSocket-Protocol: rejoin.v1, " + *proto::resume_item(resume) + "\r\n"
                          : kRejoin);
      EXPECT_TRUE(again.agreed());
      if (!in_request) again.say(WsOpcode::binary, resume);
      EXPECT_TRUE(again.tells("DATA 6 '{\"type\":\"sta'")) << again.told();
      EXPECT_TRUE(again.told().starts_with("RESUMED 5/4/6; DATA 4 ")) << again.told();
      again.say(WsOpcode::binary, data(6, state_message(6), 6));
      EXPECT_EQ(again.data_heard(4).back(), state_message(6));
      EXPECT_GE(again.compressed, 4u);
    }
  }
}

// --- a link that reaches the wrong worker, or the wrong gateway ---

/// Workers of one gateway on one loop.
struct Crew final : serve::Colleagues {
  explicit Crew(io::World& world) : scope(world.ready) {}
  unsigned count() const override { return 2; }
  void ask(unsigned, std::function<void(serve::WorkerProgram&)>) override { ADD_FAILURE() << "nobody asks"; }
  void hand_over(unsigned worker, io::Socket socket,
                 std::function<void(serve::WorkerProgram&, io::Socket)> work) override {
    scope.spawn(run(std::move(work), *programs[worker], std::move(socket)));
  }
  static Task<void> run(std::function<void(serve::WorkerProgram&, io::Socket)> work,
                        serve::WorkerProgram& program, io::Socket socket) {
    work(program, std::move(socket));
    co_return;
  }
  std::vector<serve::WorkerProgram*> programs;
  Scope scope;
};

/// The client's second link reaches the worker that has not its session; its windows go along to the one that
/// has.
TEST(CompressionOfResumableLinks, GoesAlongToAnotherWorker) {
  for (const CompressionKind kind : {CompressionKind::shared, CompressionKind::dedicated}) {
    Scene scene(1, {}, rules_with(kind, true));
    Crew crew(scene.gateway.world());
    scene.worker->stop();
    EXPECT_TRUE(scene.until([&] { return scene.worker->idle(); }));
    scene.worker = std::make_unique<Worker>(scene.gateway.world(), *scene.plan, 0, &crew);
    Worker other(scene.gateway.world(), *scene.plan, 1, &crew);
    crew.programs = {scene.worker.get(), &other};
    const Address any = scene.gateway.address(0);
    EXPECT_TRUE(scene.worker->open({}).ok() && other.open({any, any, any}).ok());

    Deflating first(scene, kChromiumOffers, kRejoin, other.addresses()[0]);
    Kept kept = log_in(first);
    first.raw().break_off();
    scene.sim.run_for(1s);
    Deflating again(scene, kChromiumOffers, kRejoin);
    again.say(WsOpcode::binary, kept.resume());
    EXPECT_TRUE(again.tells("RESUMED 0/2/1"));
    EXPECT_EQ(scene.worker->counts().handed_over, 1u);
    for (std::uint64_t i = 1; i <= 3; ++i) again.say(WsOpcode::binary, data(i, state_message(1), 1));
    EXPECT_EQ(again.data_heard(3), std::vector<std::string>(3, state_message(1)));
    EXPECT_GE(again.compressed, 3u);
    EXPECT_EQ(scene.worker->compression()->takeover_memory_bytes(), 0u);
    EXPECT_EQ(other.counts().compressed_links, 2u);

    other.stop();
    scene.worker->stop();
    EXPECT_TRUE(scene.until([&] { return other.idle() && crew.scope.running() == 0; }));
  }
}

/// Two gateways of a fleet; the first knows the second.
struct Fleet {
  explicit Fleet(CompressionKind here, CompressionKind there)
      : host2(nullptr), scene(1, {}, with_peer(rules_with(here, true))) {
    host2 = &scene.sim.add_host({.name = "g2", .addresses = {"10.0.0.2"}});
    config::Config config;
    config.gateway = with_peer(rules_with(there, true));
    config.gateway->name = "g2";
    config::GatewayListener listener;
    listener.listen = host2->address(Scene::kWebSocketPort);
    config.gateway->listeners = {listener};
    SeededRandom random(1);  // as the scene: the same key
    auto made = make_plan(config, route::KeyRing(route::generate_key(random)), random);
    EXPECT_TRUE(made.ok());
    plan2 = std::make_unique<Plan>(std::move(*made));
    owner = std::make_unique<Worker>(host2->world(), *plan2);
    EXPECT_TRUE(owner->open({}).ok());
  }
  ~Fleet() {
    owner->stop();
    EXPECT_TRUE(scene.until([&] { return owner->idle(); }));
  }
  static config::Gateway with_peer(config::Gateway rules) {
    config::PeerGateway peer;
    peer.name = "g2";
    peer.websocket = *Address::parse("10.0.0.2:8000");
    rules.peers = {peer};
    return rules;
  }

  io::SimHost* host2;
  Scene scene;
  std::unique_ptr<Plan> plan2;
  std::unique_ptr<Worker> owner;
};

/// A session is made at its owner, and come back to through the other gateway.
TEST(CompressionOfResumableLinks, IsPassedOnToTheOwner) {
  using Kind = CompressionKind;
  struct Case {
    Kind here, there;
    bool in_request, agreed, reached;
  };
  const Case cases[] = {
      // The owner hears the request itself, and says what it wants.
      {Kind::shared, Kind::shared, true, true, true},
      {Kind::dedicated, Kind::dedicated, true, true, true},
      {Kind::off, Kind::dedicated, true, true, true},
      {Kind::shared, Kind::off, true, false, true},
      // The first gateway has agreed to something before it knows whose the client is.
      {Kind::shared, Kind::shared, false, true, true},
      {Kind::dedicated, Kind::dedicated, false, true, true},
      {Kind::dedicated, Kind::shared, false, true, true},
      {Kind::off, Kind::dedicated, false, false, true},
      {Kind::shared, Kind::off, false, true, false},
  };
  for (const Case& it : cases) {
    SCOPED_TRACE(std::to_string(static_cast<int>(it.here)) + " and " +
                 std::to_string(static_cast<int>(it.there)) +
                 (it.in_request ? " by request" : " by first message"));
    Fleet fleet(it.here, it.there);
    Scene& scene = fleet.scene;
    Deflating direct(scene, kChromiumOffers, kRejoin, fleet.host2->address(Scene::kWebSocketPort));
    Kept kept = log_in(direct);
    direct.raw().break_off();
    scene.sim.run_for(1s);

    const std::string resume = kept.resume();
    const std::string item = ", " + *proto::resume_item(resume);
    Deflating again(scene, kChromiumOffers,
                    "Sec-WebSocket-Protocol: rejoin.v1" + (it.in_request ? item : "") + "\r\n");
    EXPECT_EQ(again.agreed(), it.agreed);
    if (!it.in_request) again.say(WsOpcode::binary, resume);
    if (!it.reached) {
      EXPECT_TRUE(again.tells("DETACH 4404 again; close 4404"));
      continue;
    }
    EXPECT_TRUE(again.tells("RESUMED 0/2/1"));
    EXPECT_EQ(scene.worker->sessions().counts().relayed, 1u);
    for (std::uint64_t i = 1; i <= 3; ++i) again.say(WsOpcode::binary, data(i, state_message(1), 1));
    EXPECT_EQ(again.data_heard(3), std::vector<std::string>(3, state_message(1)));
    EXPECT_EQ(again.compressed, it.agreed ? 3u : 0u);
  }
}

}  // namespace
}  // namespace rejoin::gateway
