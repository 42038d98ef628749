// What threads share of TLS: contexts that a reload changes under them, and ticket keys; and connections that
// one gives to another. (ThreadSanitizer runs it.)
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "io/epoll_loop.h"
#include "io/tls_network.h"
#include "io/tls_test_certificates.h"

namespace rejoin::io {
namespace {

constexpr int kHandshakes = 40;  // of each thread
constexpr Duration kPatience = 30s;

/// Both ends of connections on one loop, in one thread.
class Pair final : public AcceptEvents {
 public:
  explicit Pair(std::shared_ptr<TlsContextInUse> in_use) : in_use_(std::move(in_use)) {}

  void on_accept(Socket socket, const Address&) override {
    auto begun = tls.accept_with(in_use_->get(), std::move(socket));
    ASSERT_TRUE(begun);
    accepted = std::move(*begun);
  }
  template <typename Done>
  bool run_until(Done done) {
    const TimePoint end = loop->now() + kPatience;
    while (!done()) {
      if (loop->now() > end) return false;
      loop->turn(10ms);
    }
    return true;
  }
  /// Was the session resumed? A byte goes each way.
  bool shake(const std::shared_ptr<const TlsContext>& trust) {
    Socket plain = std::move(*loop->connect(listener->address(), {}));
    EXPECT_TRUE(run_until([&] { return plain.may_write(); }));
    Socket client = std::move(*tls.dial_with(trust, std::move(plain), "play.example"));
    EXPECT_TRUE(run_until([&] { return client.may_write() && accepted && accepted.may_write(); }));
    EXPECT_TRUE(client.connect_status()) << to_string(client.connect_status().error());
    EXPECT_EQ(accepted.write("s").taken, 1u);
    EXPECT_TRUE(run_until([&] { return client.may_read() && client.read().got(); }));
    const bool resumed = tls.info(client).resumed;
    accepted.close();
    return resumed;
  }

  NullLog log;
  SystemRandom random;
  std::unique_ptr<EpollLoop> loop = std::move(*EpollLoop::make(log));
  World world = loop->world(random, log);
  TlsNetwork tls{world, {}};
  Socket accepted;
  std::unique_ptr<Listener> listener = std::move(*loop->listen(*Address::parse_ip("127.0.0.1"), {}, *this));

 private:
  std::shared_ptr<TlsContextInUse> in_use_;
};

TEST(TlsThreads, share_contexts_that_change_under_them) {
  TestAuthority authority(SystemClock().unix_now());
  TlsTicketKeys::Secret secret;
  secret.bytes.fill(7);
  const auto keys = std::make_shared<TlsTicketKeys>(std::vector{secret}, secret, 1s);
  const auto fresh = [&] {
    const TestIdentity identity = authority.issue({.names = {"play.example"}});
    return *TlsContext::make(
        TlsServerOptions{.chain_pem = identity.chain_pem, .key_pem = identity.key_pem, .tickets = keys});
  };
  const auto in_use = std::make_shared<TlsContextInUse>(fresh());
  const auto trust = *TlsContext::make(TlsClientOptions{.ca_pem = authority.pem()});
  std::atomic<int> working = 2, resumed = 0;
  const auto work = [&] {
    {
      Pair pair(in_use);
      for (int i = 0; i < kHandshakes; ++i) resumed += pair.shake(trust);
      EXPECT_TRUE(pair.run_until([&] { return pair.tls.lingering() == 0; }));
    }
    --working;
  };
  std::thread one(work), two(work);
  while (working != 0) in_use->put(fresh());
  one.join();
  two.join();
  EXPECT_GT(resumed, kHandshakes);
}

TEST(TlsThreads, a_connection_goes_from_one_to_the_other_and_speaks_on) {
  TestAuthority authority(SystemClock().unix_now());
  const TestIdentity identity = authority.issue({.names = {"play.example"}});
  const auto in_use = std::make_shared<TlsContextInUse>(
      *TlsContext::make(TlsServerOptions{.chain_pem = identity.chain_pem, .key_pem = identity.key_pem}));
  const auto trust = *TlsContext::make(TlsClientOptions{.ca_pem = authority.pem()});
  Pair here(in_use);
  Socket plain = std::move(*here.loop->connect(here.listener->address(), {}));
  ASSERT_TRUE(here.run_until([&] { return plain.may_write(); }));
  Socket client = std::move(*here.tls.dial_with(trust, std::move(plain), "play.example"));
  ASSERT_TRUE(
      here.run_until([&] { return client.may_write() && here.accepted && here.accepted.may_write(); }));
  ASSERT_EQ(client.write("hello").taken, 5u);
  Socket moving = std::move(here.accepted);
  auto parcel = std::make_shared<TlsParcel>(here.tls.give_up(moving));
  const LooseConnection loose = EpollLoop::give_up(std::move(moving));
  std::thread there([&] {
    Pair pair(in_use);
    Socket taken = pair.tls.take_over(pair.loop->take_over(loose), std::move(*parcel));
    std::string heard;
    EXPECT_TRUE(pair.run_until([&] {
      const ReadResult read = taken.read();
      heard += read.view();
      return heard == "hello";
    }));
    EXPECT_EQ(taken.write("and back").taken, 8u);
    taken.close();
    EXPECT_TRUE(pair.run_until([&] { return pair.tls.lingering() == 0; }));
  });
  std::string heard;
  ReadResult::State last = ReadResult::State::would_block;
  EXPECT_TRUE(here.run_until([&] {
    const ReadResult read = client.read();
    heard += read.view();
    last = read.state;
    return last == ReadResult::State::ended;
  }));
  EXPECT_EQ(heard, "and back");
  there.join();
}

}  // namespace
}  // namespace rejoin::io
