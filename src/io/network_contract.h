// What every Network promises (network.h), as tests that run on any of them: the bodies stand in
// network_contract_test.cc, and each Network's own test instantiates them:
//
//   INSTANTIATE_TEST_SUITE_P(Sim, NetworkContract, testing::Values(NetworkMaker{"calm", make_calm_hosts}));
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "io/network.h"

namespace rejoin::io {

/// Two programs that can dial each other, over the Network that is tested. Made anew for each test.
class TwoHosts {
 public:
  virtual ~TwoHosts() = default;
  /// May be one and the same.
  virtual Network& server() = 0;
  virtual Network& client() = 0;
  /// Where the server may listen, port 0.
  virtual Address listen_address() = 0;
  /// Two different addresses to dial from, port 0. `n` is 0 or 1.
  virtual Address client_address(int n) = 0;
  /// An address with a port where nobody listens, and a RST says so.
  virtual Address nobody() = 0;
  /// Gives both sides turns until `done()` holds, asked after each turn; false when that takes seconds.
  virtual bool run_until(const std::function<bool()>& done) = 0;
  /// Gives turns until all that is on its way has come and been told. Less than half a second of the hosts'
  /// time.
  virtual void settle() = 0;
  /// All that is on its way arrives, but no program gets a turn.
  virtual void let_kernels_work() = 0;
  /// From now on the server can open `count` more sockets. False: cannot be done here.
  virtual bool leave_descriptors(std::size_t count) = 0;
  virtual void give_back_descriptors() = 0;
  /// A client sends something by itself (a handshake): it is never silent.
  virtual bool clients_are_never_silent() const { return false; }
};

/// The parameter of the tests: how to make the hosts, and what they are called in the test's name.
struct NetworkMaker {
  std::string name;
  std::function<std::unique_ptr<TwoHosts>()> make;
};
inline void PrintTo(const NetworkMaker& maker, std::ostream* out) { *out << maker.name; }

namespace contract {

/// One end of a connection that remembers what it was told. Fails the test when it is told inside a call, or
/// after close().
class End final : public SocketEvents {
 public:
  explicit End(Socket given) : socket(std::move(given)) { socket.set_events(this); }
  End(const End&) = delete;
  End& operator=(const End&) = delete;

  void on_ready(Ready ready) override {
    EXPECT_FALSE(in_call) << "told from inside a call";
    EXPECT_TRUE(static_cast<bool>(socket)) << "told after it was closed";
    if (ready.readable) ++readable;
    if (ready.writable) ++writable;
    if (ready.readable) {
      EXPECT_TRUE(!socket || socket.may_read() || read_again_asked);
    }
    if (ready.writable) {
      EXPECT_TRUE(!socket || socket.may_write());
    }
    if (told) told();
  }

  ReadResult read(std::size_t max = limits::kBufferBytes) {
    in_call = true;
    const ReadResult got = socket.read(max);
    in_call = false;
    if (got.state == ReadResult::State::would_block) {
      EXPECT_FALSE(socket.may_read());
    }
    if (got.state == ReadResult::State::ended) {
      EXPECT_TRUE(socket.may_read()) << "the end is told at each read";
    }
    if (got.got()) {
      EXPECT_TRUE(!got.bytes.empty() && got.bytes.size() <= max);
    }
    received.append(got.view());
    return got;
  }
  WriteResult write(Bytes bytes) {
    in_call = true;
    const WriteResult done = socket.write(bytes);
    in_call = false;
    if (done.errnum == 0 && done.taken < bytes.size()) {
      EXPECT_FALSE(socket.may_write());
    }
    return done;
  }
  /// Reads on until nothing more has come. What the last read said.
  ReadResult::State drain() {
    ReadResult::State last = ReadResult::State::would_block;
    while (socket.may_read()) {
      const ReadResult got = read();
      last = got.state;
      if (got.state == ReadResult::State::failed) failed_with = got.errnum;
      if (!got.got()) break;
    }
    return last;
  }
  void close() {
    in_call = true;
    socket.close();
    in_call = false;
  }

  Socket socket;
  int readable = 0, writable = 0;
  bool in_call = false, read_again_asked = false;
  int failed_with = 0;
  std::string received;
  std::function<void()> told;
};

class Acceptor final : public AcceptEvents {
 public:
  void on_accept(Socket socket, const Address& peer) override {
    EXPECT_TRUE(socket.may_read()) << "who takes an accepted socket tries a read first";
    EXPECT_TRUE(socket.may_write());
    peers.push_back(peer);
    ends.push_back(std::make_unique<End>(std::move(socket)));
    if (accepted) accepted(*ends.back());
  }
  std::vector<std::unique_ptr<End>> ends;
  std::vector<Address> peers;
  std::function<void(End&)> accepted;
};

/// The byte at a position of a stream that is checked as it comes.
inline char pattern(std::size_t at) { return static_cast<char>((at * 2654435761u) >> 13); }

/// Sends back what it gets, and reads no more than it can send.
class Echo {
 public:
  explicit Echo(End& end) : end_(end) {
    end.told = [this] { go_on(); };
    go_on();
  }
  std::size_t most_pending = 0;
  bool ended = false;

 private:
  void go_on() {
    for (;;) {
      if (!pending_.empty()) {
        const WriteResult done = end_.write(pending_);
        ASSERT_EQ(done.errnum, 0);
        pending_.erase(0, done.taken);
        if (!pending_.empty()) return;
      }
      if (ended || !end_.socket.may_read()) return;
      const ReadResult got = end_.read(8000);
      if (got.state == ReadResult::State::ended) {
        ended = true;
        end_.socket.shutdown_write();
      }
      pending_.append(got.view());
      end_.received.clear();
      most_pending = std::max(most_pending, pending_.size());
    }
  }
  End& end_;
  std::string pending_;
};

}  // namespace contract

class NetworkContract : public testing::TestWithParam<NetworkMaker> {
 protected:
  using End = contract::End;

  void listen(ListenOptions options = {}) {
    auto made = hosts.server().listen(hosts.listen_address(), options, acceptor);
    ASSERT_TRUE(made) << to_string(made.error());
    listener = std::move(*made);
    ASSERT_NE(listener->address().port, 0);
  }
  /// Begins to dial; the socket may not be open yet.
  End& dial(const ConnectOptions& options = {}) {
    auto made = hosts.client().connect(listener->address(), options);
    EXPECT_TRUE(made) << to_string(made.error());
    clients.push_back(std::make_unique<End>(std::move(*made)));
    return *clients.back();
  }
  /// An open connection: clients.back() and acceptor.ends.back().
  void connect() {
    End& client = dial();
    const std::size_t accepted = acceptor.ends.size();
    ASSERT_TRUE(run_until([&] { return client.socket.may_write() && acceptor.ends.size() > accepted; }));
    Status open = client.socket.connect_status();
    ASSERT_TRUE(open) << to_string(open.error());
  }
  End& client() { return *clients.back(); }
  End& server() { return *acceptor.ends.back(); }
  bool run_until(const std::function<bool()>& done) { return hosts.run_until(done); }
  /// Writes all of `bytes`, as the socket takes them.
  void write_all(End& end, Bytes bytes) {
    while (!bytes.empty()) {
      ASSERT_TRUE(run_until([&] { return end.socket.may_write(); }));
      const WriteResult done = end.write(bytes);
      ASSERT_EQ(done.errnum, 0);
      bytes.remove_prefix(done.taken);
    }
  }
  /// Reads until `end` has received `count` bytes in all, or its connection is over.
  bool read_until(End& end, std::size_t count) {
    return run_until([&] {
      const auto last = end.drain();
      return end.received.size() >= count ||
             (last != ReadResult::State::would_block && last != ReadResult::State::got);
    });
  }
  void TearDown() override {
    clients.clear();
    acceptor.ends.clear();
    listener.reset();
    EXPECT_EQ(hosts.server().open_sockets(), 0u);
    EXPECT_EQ(hosts.client().open_sockets(), 0u);
    hosts.settle();
  }

  std::unique_ptr<TwoHosts> owned_hosts = GetParam().make();
  TwoHosts& hosts = *owned_hosts;
  contract::Acceptor acceptor;
  std::unique_ptr<Listener> listener;
  std::vector<std::unique_ptr<End>> clients;
};

}  // namespace rejoin::io
