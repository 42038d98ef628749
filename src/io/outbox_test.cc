#include "io/outbox.h"

#include <gtest/gtest.h>

#include "io/network_contract.h"
#include "io/sim_network.h"

namespace rejoin::io {
namespace {

/// An open connection from `a`, whose outbox is under test, to `b`, which reads when it is told to.
struct Pair : testing::Test {
  Pair() {
    listener = std::move(*b.network().listen(b.address(80), {}, acceptor));
    socket = std::move(*a.network().connect(b.address(80), {}));
    EXPECT_TRUE(sim.run_until([&] { return socket.may_write() && !acceptor.ends.empty(); }));
  }
  ~Pair() override {
    box = Outbox();
    socket.reset();
    acceptor.ends.clear();
    listener.reset();
    sim.run_for(1s);
    EXPECT_EQ(sim.leftovers_text(), "");
  }
  contract::End& reader() { return *acceptor.ends[0]; }
  BufferPool& blocks() { return a.world().buffers; }
  std::uint64_t writes() { return a.operations() - began; }
  /// Reads and flushes until all is there.
  void drain(std::size_t bytes) {
    for (int i = 0; i < 1000 && reader().received.size() < bytes; ++i) {
      reader().drain();
      sim.run_for(2ms);
      ASSERT_EQ(box.flush(socket), 0);
    }
  }

  Simulation sim{1};
  SimHost& a = sim.add_host({.name = "a", .addresses = {"10.0.0.1"}, .send_buffer_bytes = 4096});
  SimHost& b = sim.add_host({.name = "b", .addresses = {"10.0.0.2"}, .receive_buffer_bytes = 4096});
  contract::Acceptor acceptor;
  std::unique_ptr<Listener> listener;
  Socket socket;
  Outbox box;
  std::uint64_t began = 1;  // the connect
};

TEST_F(Pair, what_is_put_leaves_in_one_call_and_holds_nothing_then) {
  for (int i = 0; i < 10; ++i) box.put(blocks(), socket, "head", "payload");
  EXPECT_EQ(box.size(), 110u);
  EXPECT_EQ(writes(), 0u);
  EXPECT_EQ(box.flush(socket), 0);
  EXPECT_EQ(writes(), 1u);
  EXPECT_TRUE(box.empty());
  EXPECT_EQ(blocks().lent(), 0u);
}

TEST_F(Pair, what_is_sent_leaves_at_once_without_a_block_and_behind_what_was_put) {
  box.send(blocks(), socket, "head", "payload");
  EXPECT_EQ(writes(), 1u);
  EXPECT_TRUE(box.empty());
  EXPECT_EQ(blocks().lent(), 0u);
  box.put(blocks(), socket, "put ");
  box.send(blocks(), socket, "sent");
  EXPECT_EQ(writes(), 2u);
  EXPECT_EQ(blocks().lent(), 0u);
  drain(19);
  EXPECT_EQ(reader().received, "headpayloadput sent");
}

TEST_F(Pair, what_is_kept_is_not_written_before_a_flush) {
  const std::string large(3 * limits::kBufferBytes, 'x');
  box.keep(blocks(), "head");
  box.keep(blocks(), large);
  EXPECT_EQ(writes(), 0u);
  EXPECT_EQ(box.size(), 4 + large.size());
  drain(4 + large.size());
  EXPECT_EQ(reader().received, "head" + large);
  EXPECT_TRUE(box.empty());
}

TEST_F(Pair, order_and_every_byte_hold_whatever_is_mixed_and_however_slowly_it_is_read) {
  std::string all;
  for (std::size_t i = 0; i < 400; ++i) {
    const std::string head(1 + i % 9, static_cast<char>('A' + i % 26));
    const std::string payload(i * 97 % 1900, static_cast<char>('a' + i % 26));
    all += head + payload;
    switch (i % 4) {
      case 0: box.put(blocks(), socket, head, payload); break;
      case 1: box.send(blocks(), socket, head, payload); break;
      case 2:
        box.keep(blocks(), head);
        box.keep(blocks(), payload);
        break;
      default: box.put(blocks(), socket, head, payload); ASSERT_EQ(box.flush(socket), 0);
    }
    if (i % 5 == 0 && reader().socket.may_read()) reader().read(700);
    if (i % 3 == 0) sim.run_for(1ms);
  }
  drain(all.size());
  EXPECT_EQ(reader().received, all);
  EXPECT_EQ(blocks().lent(), 0u);
}

TEST_F(Pair, a_broken_socket_is_told_of_and_nothing_more_is_kept) {
  for (const bool send : {false, true}) {
    Outbox broken;
    a.fail_operation(1);
    if (send) {
      broken.send(blocks(), socket, "hello");
    } else {
      broken.put(blocks(), socket, "hello");
      EXPECT_NE(broken.flush(socket), 0);
    }
    EXPECT_NE(broken.error(), 0);
    const std::size_t left = broken.size();
    broken.put(blocks(), socket, "more");
    broken.send(blocks(), socket, "more");
    EXPECT_EQ(broken.size(), left);
    EXPECT_EQ(broken.flush(socket), broken.error());
  }
}

}  // namespace
}  // namespace rejoin::io
