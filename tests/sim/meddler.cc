#include "tests/sim/meddler.h"

#include <cstdlib>
#include <utility>

#include "base/bytes.h"

namespace rejoin::sim_test {

struct Meddler::Pair {
  struct End final : io::SocketEvents {
    End(Pair& of_pair, From is) : pair(of_pair), from(is) {}
    void on_ready(io::Ready ready) override {
      if (ready.writable && !open) {
        open = static_cast<bool>(socket.connect_status());
        if (!open) return pair.break_off();
      }
      if (ready.writable) flush();
      if (ready.readable) read();
    }
    void read() {
      while (socket && open && socket.may_read()) {
        const io::ReadResult got = socket.read();
        if (got.state == io::ReadResult::State::would_block) return;
        if (got.state == io::ReadResult::State::failed) return pair.break_off();
        if (got.state == io::ReadResult::State::ended) {
          pair.other(*this).fin = true;
          return pair.other(*this).flush();
        }
        arrived += got.view();
        while (arrived.size() >= 4 && arrived.size() - 4 >= load_u32(arrived.data())) {
          const std::size_t size = load_u32(arrived.data());
          std::string frame = arrived.substr(4, size);
          arrived.erase(0, 4 + size);
          pair.meddler.hook_(from, pair.number, frame);
          char length[4];
          store_u32(length, static_cast<std::uint32_t>(frame.size()));
          pair.other(*this).unsent.append(length, 4);
          pair.other(*this).unsent += frame;
        }
        pair.other(*this).flush();
      }
    }
    void flush() {
      while (socket && open && !unsent.empty() && socket.may_write()) {
        const io::WriteResult written = socket.write(unsent);
        if (written.errnum != 0) return pair.break_off();
        unsent.erase(0, written.taken);
      }
      if (socket && open && unsent.empty() && std::exchange(fin, false)) socket.shutdown_write();
    }
    Pair& pair;
    From from;
    io::Socket socket;
    bool open = false, fin = false;
    std::string arrived, unsent;
  };

  Pair(Meddler& owner, std::size_t of_number) : meddler(owner), number(of_number) {}
  End& other(End& end) { return &end == &client ? gateway : client; }
  void break_off() {
    if (client.socket) client.socket.reset();
    if (gateway.socket) gateway.socket.reset();
  }

  Meddler& meddler;
  std::size_t number;
  End client{*this, From::client}, gateway{*this, From::gateway};
};

Meddler::Meddler(io::SimHost& host, std::uint16_t port, Address to, Hook hook)
    : host_(host), to_(to), hook_(std::move(hook)) {
  auto listener = host.network().listen(host.address(port), {}, *this);
  if (!listener) std::abort();
  listener_ = std::move(*listener);
}

Meddler::~Meddler() = default;

void Meddler::on_accept(io::Socket socket, const Address&) {
  auto dialled = host_.network().connect(to_, {});
  if (!dialled) return;
  pairs_.push_back(std::make_unique<Pair>(*this, pairs_.size()));
  Pair& pair = *pairs_.back();
  pair.client.open = true;
  pair.client.socket = std::move(socket);
  pair.client.socket.set_events(&pair.client);
  pair.gateway.socket = std::move(*dialled);
  pair.gateway.socket.set_events(&pair.gateway);
  pair.client.read();
}

}  // namespace rejoin::sim_test
