// An unmodified game server for the storm: messages behind a 4-byte length, one connection per player. It
// counts aloud, one message each --every MS, and expects each player to count, too: 1, 2, 3, ... once and in
// order. Knows nothing of Rejoin.
//
//   storm_numbers_server --every MS --count N
//
// At the end it says how many players came, how many of their numbers, and how many were lost or came twice.
#include <memory>
#include <vector>

#include "base/intrusive_list.h"
#include "proto/length_framing.h"
#include "proto/ws_message.h"
#include "tests/storm/loop_program.h"

namespace storm {
namespace {

struct Totals {
  std::uint64_t players = 0, heard = 0, said = 0, lost = 0, twice = 0, complete = 0;
};

class Server;

class Player final : public rejoin::ListNode, public rejoin::io::SocketEvents {
 public:
  Player(Server& server, rejoin::io::Socket socket);
  void on_ready(rejoin::io::Ready ready) override;

 private:
  void read();
  void speak();
  void write();
  void take(rejoin::Bytes message);

  Server& server_;
  rejoin::io::Socket socket_;
  rejoin::Timer timer_;
  rejoin::proto::LengthReader reader_{rejoin::proto::LengthFormat{}};
  rejoin::proto::MessageAssembler assembler_;
  std::string unsent_;
  std::uint64_t heard_ = 0, said_ = 0;
};

class Server final : public rejoin::io::AcceptEvents {
 public:
  Server(Program& program, const Arguments& arguments)
      : world(program.world()),
        every(std::chrono::milliseconds(arguments.number("every", 1000))),
        count(static_cast<std::uint64_t>(arguments.number("count", 1'000'000'000))) {
    auto made = world.network.listen(*rejoin::Address::parse_ip("127.0.0.1"), {}, *this);
    if (!made) die(made.error().detail);
    listener = std::move(*made);
    say_listening(listener->address());
  }
  void on_accept(rejoin::io::Socket socket, const rejoin::Address&) override {
    ++totals.players;
    auto* player = new Player(*this, std::move(socket));  // deletes itself at the end of its connection
    players.push_back(*player);
    player->on_ready({.readable = true, .writable = false});
  }

  rejoin::io::World& world;
  rejoin::Duration every;
  std::uint64_t count;
  Totals totals;
  rejoin::List<Player> players;
  std::unique_ptr<rejoin::io::Listener> listener;
};

Player::Player(Server& server, rejoin::io::Socket socket)
    : server_(server),
      socket_(std::move(socket)),
      timer_([](void* self) { static_cast<Player*>(self)->speak(); }, this) {
  socket_.set_events(this);
  const auto first =
      static_cast<std::int64_t>(server.world.random.below(static_cast<std::uint64_t>(server.every.count())));
  server.world.timers.arm(timer_, server.world.clock.now() + rejoin::Duration(first));
}

void Player::on_ready(rejoin::io::Ready ready) {
  if (ready.writable) write();
  if (ready.readable) read();
}

void Player::speak() {
  char message[12];
  rejoin::store_u32(message, 8);
  rejoin::store_u64(message + 4, ++said_);
  ++server_.totals.said;
  unsent_.append(message, sizeof message);
  if (said_ < server_.count) server_.world.timers.arm(timer_, server_.world.clock.now() + server_.every);
  write();
}

void Player::write() {
  while (!unsent_.empty() && socket_.may_write()) {
    const rejoin::io::WriteResult done = socket_.write(unsent_);
    if (done.errnum != 0) return;
    unsent_.erase(0, done.taken);
  }
}

void Player::read() {
  while (socket_.may_read()) {
    const rejoin::io::ReadResult got = socket_.read();
    if (got.state == rejoin::io::ReadResult::State::would_block) return;
    if (!got.got()) {
      delete this;
      return;
    }
    rejoin::Bytes input = got.view();
    for (;;) {
      const rejoin::proto::LengthEvent event = reader_.feed(input);
      if (event.kind != rejoin::proto::LengthEvent::Kind::piece) break;
      if (const auto message = assembler_.add(event)) take(*message);
    }
  }
}

void Player::take(rejoin::Bytes message) {
  if (message.size() != 8) return;
  const std::uint64_t number = rejoin::load_u64(message.data());
  ++server_.totals.heard;
  if (number <= heard_) {
    ++server_.totals.twice;
    return;
  }
  server_.totals.lost += number - heard_ - 1;
  heard_ = number;
  if (heard_ == server_.count) ++server_.totals.complete;
}

}  // namespace
}  // namespace storm

int main(int argc, char** argv) {
  using namespace storm;
  const Arguments arguments(argc, argv);
  Program program("numbers server");
  Server server(program, arguments);
  program.run_until([] { return false; });
  const Totals& t = server.totals;
  std::printf("{\"players\":%lu,\"heard\":%lu,\"said\":%lu,\"lost\":%lu,\"twice\":%lu,\"complete\":%lu}\n",
              t.players, t.heard, t.said, t.lost, t.twice, t.complete);
  std::fflush(stdout);
  _exit(0);
}
