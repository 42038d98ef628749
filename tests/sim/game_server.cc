#include "tests/sim/game_server.h"

#include <cstdlib>

#include "base/bytes.h"
#include "io/world.h"

namespace rejoin::sim_test {

struct GameServer::Connection final : io::SocketEvents {
  Connection(GameServer& owner, std::uint64_t of_number, io::Socket accepted)
      : server(owner),
        number(of_number),
        name("g" + std::to_string(of_number)),
        socket(std::move(accepted)),
        timer([](void* self) { static_cast<Connection*>(self)->on_time(); }, this) {
    Random& random = world().random;
    const auto moment = [&](double chance) {
      const bool happens = static_cast<double>(random.below(1000)) < chance * 1000;
      return happens ? now() + Duration(static_cast<std::int64_t>(random.below(4'000'000))) : kNever;
    };
    slow_at = moment(manner().slow);
    gone_at = moment(manner().gone);
    flood_at = moment(manner().flood);
    if (server.calm_) slow_at = gone_at = flood_at = kNever;
    left_to_say = manner().messages;
    socket.set_events(this);
    read();
    on_time();
  }

  io::World& world() { return server.host_.world(); }
  const GameManner& manner() const { return server.manner_; }
  TimePoint now() { return world().clock.now(); }

  void on_ready(io::Ready ready) override {
    if (ready.writable) flush();
    if (ready.readable && reading) read();
  }

  void read() {
    while (socket && reading && socket.may_read()) {
      const io::ReadResult got = socket.read();
      if (got.state == io::ReadResult::State::would_block) return;
      if (!got.got()) return close();
      Bytes input = got.view();
      for (proto::LengthEvent event = lengths.feed(input); event.kind != proto::LengthEvent::Kind::more;
           event = lengths.feed(input)) {
        if (event.kind == proto::LengthEvent::Kind::refused)
          return server.ledger_.complain(name + ": lengths that cannot be followed");
        if (event.first) message.clear();
        message += event.payload;
        if (event.last) heard();
      }
    }
  }

  void heard() {
    const Numbered said = read_numbered(message);
    if (account == nullptr) {
      const auto at = server.ledger_.accounts.find(said.name);
      if (at == server.ledger_.accounts.end()) return server.ledger_.complain(name + ": hears a stranger");
      account = &at->second;
      if (account->connection != 0) server.ledger_.complain(account->name + " has two game connections");
      account->connection = number;
      account->game_said = said_so_far;
      if (account->seen_connection != 0 && account->seen_connection != number)
        server.ledger_.complain(account->name + " was told by another's game connection");
    }
    if (said.name != account->name)
      return server.ledger_.complain(account->name + ": the game server hears " + said.name);
    if (account->leaps_up > 0 && said.number > account->game_heard + 1) {
      account->game_heard = said.number - 1;
      --account->leaps_up;
    }
    server.ledger_.take("game server of " + account->name, said.number, account->game_heard);
  }

  void say_one() {
    const std::size_t bytes = world().random.below(world().random.below(6) == 0 ? manner().message_max : 40);
    const std::string payload = numbered(name, ++said_so_far, bytes);
    if (account != nullptr) account->game_said = said_so_far;
    char length[4];
    store_u32(length, static_cast<std::uint32_t>(payload.size()));
    unsent.append(length, 4);
    unsent += payload;
  }

  void flush() {
    while (socket && !unsent.empty() && socket.may_write()) {
      const io::WriteResult written = socket.write(unsent);
      if (written.errnum != 0) return close();
      unsent.erase(0, written.taken);
    }
  }

  void on_time() {
    if (!socket) return;
    const TimePoint at = now();
    if (gone_at <= at) return reset();
    if (flood_at <= at) {
      flood_at = kNever;
      if (account != nullptr) account->flooded = true;
      left_to_say += manner().flood_messages;
      for (; left_to_say > 0; --left_to_say) say_one();
    }
    if (slow_at <= at) {
      slow_at = kNever;
      reading = false;
      read_on_at = at + Duration(1 + static_cast<std::int64_t>(world().random.below(
                                         static_cast<std::uint64_t>(manner().slow_max.count()))));
    }
    if (read_on_at <= at) read_on();
    if (say_at <= at) {
      const bool may = account != nullptr || manner().speaks_first;
      if (may && left_to_say > 0) {
        --left_to_say;
        say_one();
      }
      const auto step = static_cast<std::uint64_t>(2 * manner().every.count());
      say_at = at + Duration(1 + static_cast<std::int64_t>(world().random.below(step)));
    }
    flush();
    if (!socket) return;
    const bool silent = left_to_say <= 0;
    world().timers.arm(timer, std::min({gone_at, flood_at, slow_at, read_on_at, silent ? kNever : say_at}));
  }

  void read_on() {
    read_on_at = kNever;
    reading = true;
    read();
  }
  void reset() {
    if (account != nullptr) account->game_gone = true;
    if (socket) socket.reset();
    timer.cancel();
  }
  void close() {
    socket.close();
    timer.cancel();
  }

  GameServer& server;
  std::uint64_t number;
  std::string name;
  io::Socket socket;
  Timer timer;
  Account* account = nullptr;
  proto::LengthReader lengths{proto::LengthFormat{}};
  std::string message, unsent;
  std::uint64_t said_so_far = 0;
  int left_to_say = 0;
  bool reading = true;
  TimePoint say_at{}, slow_at = kNever, gone_at = kNever, flood_at = kNever, read_on_at = kNever;
};

GameServer::GameServer(io::SimHost& host, std::uint16_t port, Ledger& ledger, const GameManner& manner)
    : host_(host), ledger_(ledger), manner_(manner) {
  auto listener = host.network().listen(host.address(port), {}, *this);
  if (!listener) std::abort();
  listener_ = std::move(*listener);
}

GameServer::~GameServer() = default;

void GameServer::on_accept(io::Socket socket, const Address&) {
  connections_.push_back(std::make_unique<Connection>(*this, ++next_number_, std::move(socket)));
}

void GameServer::calm_down() {
  calm_ = true;
  for (auto& each : connections_) {
    each->gone_at = each->flood_at = each->slow_at = kNever;
    if (each->socket && !each->reading) each->read_on();
  }
}

GameServer::Connection* GameServer::find(const Account& account) {
  for (auto& each : connections_) {
    if (each->account == &account) return each.get();
  }
  return nullptr;
}

void GameServer::reset(const Account& account) {
  if (Connection* const one = find(account)) one->reset();
}
void GameServer::stop_reading(const Account& account) {
  if (Connection* const one = find(account)) one->reading = false;
}
void GameServer::say(const Account& account, int messages) {
  Connection* const one = find(account);
  if (one == nullptr || !one->socket) return;
  for (int i = 0; i < messages; ++i) one->say_one();
  one->flush();
}

std::size_t GameServer::connections() const {
  std::size_t open = 0;
  for (const auto& each : connections_) open += each->socket ? 1 : 0;
  return open;
}

bool GameServer::has_said_all() const {
  for (const auto& each : connections_) {
    // Whom it never heard of it has nothing to say.
    const bool speaks = each->account != nullptr || manner_.speaks_first;
    if (each->socket && speaks && (each->left_to_say > 0 || !each->unsent.empty())) return false;
  }
  return true;
}

}  // namespace rejoin::sim_test
