// Both ends against each other over links that break anywhere, as the model does it (spec/resume.md): a
// client with its application, the calculator of the gateway with a game server, and somebody who has seen
// every RESUME but not the secret. A link is two queues; a break keeps a beginning of each, and each end may
// notice it at any later time. After faults have stopped, everything must have arrived, once and in order.
#include <gtest/gtest.h>

#include <charconv>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "session/client_session.h"
#include "session/toy_gateway.h"

namespace rejoin::session {
namespace {

/// What the application keeps outside its program, and when.
enum class Keeping : std::uint8_t {
  nothing,      // the program never restarts
  light,        // ticket, secret, epoch, before each RESUME
  whole,        // everything, at each step
  whole_stale,  // everything, but only now and then (and before each RESUME, as the library asks)
};

struct Options {
  std::uint64_t seed = 1;
  Keeping keeping = Keeping::nothing;
  std::uint64_t start = 0;  // of both counts: near 2^32 their low halves wrap
  Mistake mistake = Mistake::none;
  int steps = 250;
};

class Arena {
 public:
  explicit Arena(const Options& options)
      : options_(options),
        random_(options.seed),
        gateway_(
            rules(), random_, [this](int link, std::string frame) { put(link, std::move(frame)); },
            [this](int link, std::uint16_t) { gateway_closes(link); }),
        client_(*ClientSession::make("identity", "")) {
    gateway_.options.mistake = options.mistake;
    gateway_.options.accept_at_once = false;
    gateway_.now = TimePoint(3600s);
    gateway_.on_taken = [this](ToyGateway::Player&, const std::string& message) {
      game_got(number(message));
    };
  }

  /// Empty, or what went wrong.
  std::string run() {
    begin();
    for (int step = 0; step < options_.steps && wrong_.empty(); ++step) act();
    if (wrong_.empty()) settle();
    return wrong_;
  }
  const ClientSession::Counts& counts() const { return client_.counts(); }
  int resumed() const { return gateway_.counts.resumed; }
  int crashes() const { return crashes_; }
  int not_whole() const { return not_whole_; }

 private:
  struct Item {
    std::string frame;
    bool end = false;  // the other end has closed
  };
  struct Wire {
    int id;
    bool attackers = false;
    bool client_open = true, gateway_open = true, broken = false;
    std::deque<Item> to_gateway, to_client;
  };
  /// What the application knows; kept with the snapshot.
  struct App {
    std::uint64_t got = 0;
    bool may_jump = false;  // was told "not whole"
  };

  static SessionRules rules() {
    SessionRules rules;
    rules.grace = rules.ping = rules.dead = rules.pause_max = 1000h;
    rules.window = {.bytes = 100, .messages = 5};
    return rules;
  }
  static std::uint64_t number(std::string_view text) {
    std::uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
  }
  bool chance(std::uint64_t in) { return random_.below(in) == 0; }
  void fail(std::string what) {
    if (wrong_.empty()) wrong_ = std::move(what);
  }

  // --- links ---

  Wire* wire(int id) {
    for (auto& one : wires_) {
      if (one->id == id) return one.get();
    }
    return nullptr;
  }
  void put(int link, std::string frame) {
    Wire* to = wire(link);
    if (to != nullptr && to->gateway_open && !to->broken && !to->attackers)
      to->to_client.push_back({std::move(frame)});
  }
  void gateway_closes(int link) {
    Wire* at = wire(link);
    if (at == nullptr || !at->gateway_open) return;
    if (!at->broken) at->to_client.push_back({{}, true});
    at->gateway_open = false;
    at->to_gateway.clear();
    gateway_.lost(link);
  }
  void client_closes(Wire& at) {
    if (!at.client_open) return;
    if (!at.broken) at.to_gateway.push_back({{}, true});
    at.client_open = false;
    at.to_client.clear();
  }
  /// Whatever the session has forgotten is closed, unread.
  void sweep() {
    for (auto& at : wires_) {
      if (!at->attackers && at->client_open && !client_.knows(static_cast<LinkNumber>(at->id)))
        client_closes(*at);
    }
    std::erase_if(wires_, [](const auto& at) { return !at->client_open && !at->gateway_open; });
  }
  void pump() {
    std::string frame;
    for (auto& at : wires_) {
      if (at->attackers || !at->client_open) continue;
      while (client_.next_frame(static_cast<LinkNumber>(at->id), frame)) {
        if (!at->broken) at->to_gateway.push_back({frame});
      }
    }
  }

  // --- the client's program ---

  void open_on(Wire& at) {
    Opening opening = client_.open(static_cast<LinkNumber>(at.id));
    if (opening.kind == Opening::Kind::resume) {
      save();  // before it leaves
      captured_.push_back(opening.frame);
    }
    if (!at.broken) at.to_gateway.push_back({std::move(opening.frame)});
  }
  void dial() {
    auto made = std::make_unique<Wire>();
    made->id = ++last_link_;
    wires_.push_back(std::move(made));
    gateway_.now += 100ms * random_.below(4);
    open_on(*wires_.back());
  }
  void save() {
    if (options_.keeping == Keeping::nothing) return;
    saved_ = client_.snapshot(options_.keeping == Keeping::light ? Snapshot::light : Snapshot::whole);
    saved_app_ = app_;
  }
  void save_each_step() {
    if (options_.keeping == Keeping::whole || (options_.keeping == Keeping::whole_stale && chance(4))) save();
  }
  void client_reads(Wire& at) {
    const Item item = std::move(at.to_client.front());
    at.to_client.pop_front();
    const auto link = static_cast<LinkNumber>(at.id);
    if (item.end) {
      at.client_open = false;
      act_on(at, client_.lost(link));
    } else {
      act_on(at, client_.heard(link, item.frame));
    }
    pump();
    sweep();
  }
  void act_on(Wire& at, const Heard& heard) {
    switch (heard.kind) {
      case Heard::Kind::message:
        app_got(number(heard.bytes));
        save_each_step();
        client_.accepted(heard.bytes.size());
        break;
      case Heard::Kind::resumed:
        if (!heard.whole) {
          ++not_whole_;
          app_.may_jump = true;
          if (options_.keeping == Keeping::whole) fail("saved at each step, and yet not whole");
        }
        save_each_step();
        break;
      case Heard::Kind::opened: save(); break;
      case Heard::Kind::lost:
      case Heard::Kind::ended:
        fail("the session was lost: " + std::to_string(heard.code) + " " + heard.reason);
        break;
      case Heard::Kind::bad_frame: fail("a bad frame: " + heard.reason); break;
      case Heard::Kind::sent_away: break;
      default: break;
    }
    if (heard.reopen && at.client_open) open_on(at);
  }
  void app_got(std::uint64_t message) {
    if (message <= app_.got && !app_.may_jump)
      fail("the application got " + std::to_string(message) + " twice");
    if (message > app_.got + 1 && !app_.may_jump)
      fail("the application missed " + std::to_string(app_.got + 1));
    app_.got = message;
    app_.may_jump = false;
  }
  void submit() {
    if (client_.send(std::to_string(submitted_ + 1), true) != ClientSession::Sent::taken) return;
    ++submitted_;
    save_each_step();
    pump();
  }
  void game_got(std::uint64_t message) {
    if (message <= game_last_) fail("the game server got " + std::to_string(message) + " twice, or late");
    if (message > game_last_ + 1 && game_last_ + 1 > forgiven_) {
      fail("the game server missed " + std::to_string(game_last_ + 1));
    }
    game_last_ = message;
  }
  void crash() {
    ++crashes_;
    for (auto& at : wires_) {
      if (!at->attackers) client_closes(*at);
    }
    // What a program does not remember to have sent, nobody owes it.
    if (options_.keeping != Keeping::whole) forgiven_ = submitted_;
    client_ = *ClientSession::make("identity", "");
    if (!client_.restore(saved_)) fail("a snapshot that cannot be read");
    app_ = saved_app_;
    sweep();
  }

  // --- what happens ---

  void gateway_reads(Wire& at) {
    const Item item = std::move(at.to_gateway.front());
    at.to_gateway.pop_front();
    const int id = at.id;
    if (item.end) {
      at.gateway_open = false;
      at.to_gateway.clear();
      gateway_.lost(id);
    } else {
      gateway_.frame(id, item.frame);
    }
    sweep();
  }
  void break_wire(Wire& at) {
    at.broken = true;
    at.to_gateway.resize(random_.below(at.to_gateway.size() + 1));
    at.to_client.resize(random_.below(at.to_client.size() + 1));
  }
  void notice(Wire& at) {  // one end of a broken link does
    if (at.client_open && at.to_client.empty() && (chance(2) || !at.gateway_open)) {
      at.client_open = false;
      act_on(at, client_.lost(static_cast<LinkNumber>(at.id)));
      pump();
    } else if (at.gateway_open && at.to_gateway.empty()) {
      at.gateway_open = false;
      gateway_.lost(at.id);
    }
    sweep();
  }
  void attack() {
    if (captured_.empty()) return;
    auto made = std::make_unique<Wire>();
    made->id = ++last_link_;
    made->attackers = true;
    made->to_gateway.push_back({captured_[random_.below(captured_.size())]});
    made->client_open = false;
    wires_.push_back(std::move(made));
  }
  void gateway_sends_away() {
    if (player_->link == 0) return;
    const auto code = proto::number(proto::LinkCode::restart);
    switch (random_.below(3)) {
      case 0: gateway_.detach(player_->link, {code, proto::DetachAction::again, 0, 0, {}, {}}); break;
      case 1: gateway_.detach(player_->link, {code, proto::DetachAction::again, 100, 0, {}, {}}); break;
      default: gateway_.detach(player_->link, {code, proto::DetachAction::move, 100, 0, {}, {}}); break;
    }
  }
  std::size_t pending_dials() const {
    std::size_t count = 0;
    for (const auto& at : wires_) {
      if (!at->attackers && at->client_open && static_cast<LinkNumber>(at->id) != client_.live()) ++count;
    }
    return count;
  }

  void act() {
    if (!wires_.empty() && !chance(4)) {
      Wire& at = *wires_[random_.below(wires_.size())];
      const auto what = random_.below(14);
      if (what < 5 && at.gateway_open && !at.to_gateway.empty()) return gateway_reads(at);
      if (what < 10 && at.client_open && !at.to_client.empty()) return client_reads(at);
      if (what < 12 && at.broken) return notice(at);
      if (what == 12 && !at.broken && chance(3)) return break_wire(at);
      if (what == 13 && at.client_open && chance(12)) {  // the client gives a link up
        act_on(at, client_.lost(static_cast<LinkNumber>(at.id)));
        return sweep();
      }
    }
    switch (random_.below(12)) {
      case 0:
      case 1: return submit();
      case 2:
      case 3: return produce();
      case 4:
      case 5:
        if (!player_->queue.empty()) gateway_.take_one(*player_);
        return;
      case 6: gateway_.now += 200ms; return gateway_.tick();
      case 7: client_.ack_now(); return pump();
      case 8:
      case 9:
        if (pending_dials() < 3 && (client_.live() == 0 || chance(8))) dial();
        return;
      case 10:
        if (chance(10)) attack();
        if (chance(20)) gateway_sends_away();
        return;
      default:
        if (options_.keeping != Keeping::nothing && chance(10)) crash();
        return;
    }
  }
  void produce() {
    if (gateway_.produce(*player_, std::to_string(produced_ + 1), true)) ++produced_;
  }

  // --- beginning and end ---

  void begin() {
    dial();
    exchange();
    if (client_.live() == 0) return fail("the first link did not open");
    player_ = gateway_.players.begin()->second.get();
    if (options_.start != 0) begin_at(options_.start);
    app_.got = produced_ = options_.start;
    submitted_ = game_last_ = options_.start;
    save();
  }
  /// As if so many messages had been sent both ways.
  void begin_at(std::uint64_t count) {
    std::string both = client_.snapshot(Snapshot::whole);
    store_u64(both.data() + both.size() - 28, count);
    store_u64(both.data() + both.size() - 20, count);
    for (auto& at : wires_) client_closes(*at);
    exchange();
    std::string saved;
    player_->session.save(saved);
    for (const std::size_t at : {54u, 62u, 70u}) store_u64(saved.data() + at, count);
    const std::string ticket = player_->ticket;
    auto player =
        std::make_unique<ToyGateway::Player>(*Session::restore(saved, gateway_.rules(), gateway_.now));
    player->ticket = ticket;
    gateway_.players[ticket] = std::move(player);
    player_ = gateway_.players[ticket].get();
    client_ = *ClientSession::make("identity", "");
    if (!client_.restore(both)) return fail("a snapshot that cannot be read");
    sweep();
    dial();
    exchange();
    if (client_.live() == 0) fail("the first link did not open");
  }
  /// Everything that is under way arrives.
  void exchange() {
    for (bool moved = true; std::exchange(moved, false);) {
      for (std::size_t i = 0; i < wires_.size(); ++i) {
        Wire& at = *wires_[i];
        if (at.gateway_open && !at.to_gateway.empty()) {
          gateway_reads(at);
        } else if (at.client_open && !at.to_client.empty()) {
          client_reads(at);
        } else if (at.broken) {
          notice(at);
        } else {
          continue;
        }
        moved = true;
        break;
      }
    }
  }
  void settle() {
    for (int round = 0; round < 100 && wrong_.empty(); ++round) {
      exchange();
      while (!player_->queue.empty()) gateway_.take_one(*player_);
      gateway_.now += 1s;
      gateway_.tick();
      client_.ack_now();
      pump();
      exchange();
      if (pending_dials() == 0 && (client_.live() == 0 || client_.owes_resume())) {
        dial();
      } else if (settled()) {
        return part();
      }
    }
    fail("it never settles");
  }
  bool settled() {
    return client_.live() != 0 && static_cast<int>(client_.live()) == player_->link && pending_dials() == 0 &&
           client_.window().held_messages() == 0 && player_->session.window().held_messages() == 0 &&
           player_->queue.empty();
  }
  void part() {
    if (app_.got != produced_ && !app_.may_jump) return fail("the application did not get all");
    if (game_last_ != submitted_ && game_last_ < forgiven_)
      return;  // was forgiven, and nothing came after it
    if (game_last_ != submitted_ && submitted_ > forgiven_) return fail("the game server did not get all");
    client_.close(1000, "bye");
    pump();
    for (int i = 0; i < 8; ++i) {
      for (auto& at : wires_) {
        if (at->gateway_open && !at->to_gateway.empty()) {
          gateway_reads(*at);
          break;
        }
      }
    }
    if (player_->ended != 1000) return fail("CLOSE did not arrive");
    for (auto& at : wires_) {
      if (static_cast<LinkNumber>(at->id) != client_.live()) continue;
      while (!at->to_client.empty() && client_.phase() != ClientSession::Phase::ended) {
        client_.heard(client_.live(), at->to_client.front().frame);
        at->to_client.pop_front();
      }
      break;
    }
    if (client_.phase() != ClientSession::Phase::ended) fail("CLOSE was not answered");
  }

  Options options_;
  SeededRandom random_;
  std::vector<std::unique_ptr<Wire>> wires_;
  ToyGateway gateway_;
  ToyGateway::Player* player_ = nullptr;
  ClientSession client_;
  App app_, saved_app_;
  std::string saved_, wrong_;
  std::vector<std::string> captured_;
  int last_link_ = 0, crashes_ = 0, not_whole_ = 0;
  std::uint64_t submitted_ = 0, produced_ = 0, game_last_ = 0, forgiven_ = 0;
};

constexpr std::uint64_t kSeeds = 400;

void run_seeds(Options options) {
  std::uint64_t resumed = 0, again = 0, crashes = 0, not_whole = 0;
  for (options.seed = 1; options.seed <= kSeeds; ++options.seed) {
    Arena arena(options);
    const std::string wrong = arena.run();
    ASSERT_EQ(wrong, "") << "seed " << options.seed;
    resumed += static_cast<std::uint64_t>(arena.resumed());
    crashes += static_cast<std::uint64_t>(arena.crashes());
    not_whole += static_cast<std::uint64_t>(arena.not_whole());
    again += arena.counts().sent_again;
  }
  // What was to be tried has happened.
  EXPECT_GT(resumed, kSeeds * 3);
  EXPECT_GT(again, kSeeds / 10);
  EXPECT_EQ(crashes > 0, options.keeping != Keeping::nothing);
  EXPECT_EQ(not_whole > 0, options.keeping == Keeping::light || options.keeping == Keeping::whole_stale);
}

TEST(ClientSessionRandom, once_and_in_order_both_ways) { run_seeds({}); }
TEST(ClientSessionRandom, across_the_wrap_of_the_low_half) { run_seeds({.start = 0xfffffff0}); }
TEST(ClientSessionRandom, restarted_from_light_snapshots) { run_seeds({.keeping = Keeping::light}); }
TEST(ClientSessionRandom, restarted_from_whole_snapshots_loses_nothing) {
  run_seeds({.keeping = Keeping::whole});
}
TEST(ClientSessionRandom, restarted_from_stale_snapshots_says_so) {
  run_seeds({.keeping = Keeping::whole_stale, .start = 0x2fffffff8});
}

TEST(ClientSessionRandom, planted_mistakes_are_found) {
  for (const Mistake mistake :
       {Mistake::acks_one_too_much, Mistake::replays_one_less, Mistake::forgets_at_takeover}) {
    std::string wrong;
    for (std::uint64_t seed = 1; seed <= 300 && wrong.empty(); ++seed) {
      wrong = Arena({.seed = seed, .mistake = mistake}).run();
    }
    EXPECT_NE(wrong, "") << static_cast<int>(mistake);
  }
}

}  // namespace
}  // namespace rejoin::session
