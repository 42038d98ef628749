// What flows when the handshake is over: much, slowly, in pieces; how it ends; and what a bad peer can do.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>

#include "io/sim_scenario.h"
#include "io/tls_scenario.h"
#include "io/tls_test_random.h"

namespace rejoin::io {
namespace {

using contract::pattern;
using scenario::EchoClient;
using scenario::EchoServer;

std::string stream(std::size_t length) {
  std::string out(length, ' ');
  for (std::size_t i = 0; i < length; ++i) out[i] = pattern(i);
  return out;
}

class TlsFlow : public TlsTest {
 protected:
  std::size_t lent() { return client_host.world().buffers.lent() + server_host.world().buffers.lent(); }
};

TEST_F(TlsFlow, what_is_idle_holds_no_buffer) {
  listen();
  connect();
  ASSERT_TRUE(echoes());
  EXPECT_EQ(lent(), 0u);
  write_all(client(), stream(100'000));
  ASSERT_TRUE(run_until([&] { return server().drain(), server().received.size() >= 100'000; }));
  EXPECT_EQ(lent(), 0u);
}

TEST_F(TlsFlow, much_through_slow_readers_holds_at_most_two_buffers_a_connection) {
  listen();
  sim.set_faults({.slow_reader = 1, .slow_bytes_per_second = 200'000});
  connect();
  const std::string text = stream(1'000'000);
  std::size_t sent = 0, most = 0;
  server().drain();
  server().told = [&] { server().drain(); };
  ASSERT_TRUE(run_until(
      [&] {
        if (client().socket.may_write()) sent += client().write(Bytes(text).substr(sent)).taken;
        most = std::max(most, lent());
        return server().received.size() == text.size();
      },
      60s));
  EXPECT_EQ(server().received, text);
  EXPECT_GT(most, 0u) << "it was never full";
  EXPECT_LE(most, 2u);
  EXPECT_EQ(lent(), 0u);
}

TEST_F(TlsFlow, a_reader_of_little_bits_keeps_what_it_does_not_take) {
  listen();
  connect();
  const std::string text = stream(200'000);
  std::size_t sent = 0;
  ASSERT_TRUE(run_until(
      [&] {
        if (sent < text.size() && client().socket.may_write()) {
          sent += client().write(Bytes(text).substr(sent)).taken;
        }
        for (std::size_t take : {1, 7, 3000, 17'000, 4}) {
          if (server().socket.may_read()) server().read(take);
        }
        EXPECT_LE(server_host.world().buffers.lent(), 1u);
        return server().received.size() == text.size();
      },
      60s));
  EXPECT_EQ(server().received, text);
  EXPECT_EQ(lent(), 0u);
}

TEST_F(TlsFlow, small_pieces_are_one_record) {
  connect_raw_server();
  sim.run_for(100ms);
  const std::uint64_t before = sim.counters().bytes;
  const std::string big = stream(20'000);
  const Bytes pieces[] = {"head", "", Bytes(), Bytes(big).substr(0, 100), "tail"};
  EXPECT_EQ(client().socket.write(pieces).taken, 108u);
  ASSERT_TRUE(run_until([&] { return raw->received.size() == 108; }));
  EXPECT_EQ(sim.counters().bytes - before, 108u + 22) << "one record: header, type, tag";
  const Bytes more[] = {"head", big, "tail"};
  EXPECT_EQ(client().socket.write(more).taken, 20'008u);
  ASSERT_TRUE(run_until([&] { return raw->received.size() == 108 + 20'008; }));
  EXPECT_EQ(raw->received, "head" + big.substr(0, 100) + "tail" + "head" + big + "tail");
}

TEST_F(TlsFlow, only_read_ends_the_loans_of_others) {
  listen();
  connect();
  connect();
  contract::Acceptor plain;
  auto plain_listener = client_host.network().listen(client_host.address(80), {}, plain);
  End sender(std::move(*server_host.network().connect(client_host.address(80), {})));
  ASSERT_TRUE(run_until([&] { return plain.ends.size() == 1; }));
  for (auto& end : acceptor.ends) end->write("unread by the client");
  sender.write("lent");
  sim.run_for(100ms);
  const ReadResult loan = plain.ends[0]->socket.read();
  ASSERT_EQ(loan.view(), "lent");
  EXPECT_TRUE(client().socket.may_read());
  client().write("x");
  client().socket.read_again();
  client().socket.shutdown_write();
  EXPECT_FALSE(client_tls->connect(server_host.address(kPort), {.server_name = "."}));
  client().close();
  clients[0]->socket.reset();
  Socket other = std::move(*client_tls->connect(server_host.address(kPort), {}));
  other.close();
  EXPECT_EQ(loan.view(), "lent");
}

// --- the end ---

TEST_F(TlsFlow, a_fin_without_close_notify_is_a_failure) {
  connect_raw_server();
  raw->send("the beginning of");
  raw->socket().shutdown_write();
  ASSERT_TRUE(run_until([&] { return client().drain() == ReadResult::State::failed; }));
  EXPECT_EQ(client().received, "the beginning of");
  EXPECT_EQ(client().failed_with, ECONNRESET);
  EXPECT_EQ(to_string(client().socket.connect_status().error()),
            "reset (server): TLS with play.example:443: the connection ended without close_notify");
}

TEST_F(TlsFlow, close_notify_is_an_end_with_or_without_a_fin) {
  connect_raw_server();
  raw->send("all of it");
  SSL_shutdown(raw->ssl);
  raw->flush();
  ASSERT_TRUE(run_until([&] { return client().drain() == ReadResult::State::ended; }));
  EXPECT_EQ(client().received, "all of it");
  client().write("and an answer");
  ASSERT_TRUE(run_until([&] { return raw->received == "and an answer"; }));
  raw->socket().shutdown_write();
  sim.run_for(100ms);
  EXPECT_EQ(client().read().state, ReadResult::State::ended);
  client().close();
  EXPECT_EQ(client_tls->lingering(), 0u);
  ASSERT_TRUE(run_until([&] { return raw->ended; }));
  EXPECT_EQ(SSL_get_shutdown(raw->ssl), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

TEST_F(TlsFlow, an_end_behind_what_is_unsent_follows_it) {
  connect_raw_server();
  raw->reads = false;
  std::size_t sent = 0;
  while (client().socket.may_write()) sent += client().write(stream(10'000)).taken;
  client().socket.shutdown_write();
  sim.run_for(1s);
  EXPECT_FALSE(raw->ended);
  raw->reads = true;
  raw->pump();
  ASSERT_TRUE(run_until([&] { return raw->ended; })) << "no FIN";
  EXPECT_EQ(raw->received.size(), sent);
  EXPECT_EQ(SSL_get_shutdown(raw->ssl), SSL_RECEIVED_SHUTDOWN);
}

TEST_F(TlsFlow, whoever_waits_to_write_hears_that_reading_has_failed) {
  connect_raw_server();
  raw->reads = false;
  while (client().socket.may_write()) client().write(stream(10'000));
  raw->send_raw(std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'z'));
  client_host.pause();
  sim.run_for(1s);
  const int told = client().writable;
  EXPECT_EQ(client().read().state, ReadResult::State::failed);  // before it is told
  EXPECT_EQ(client().writable, told);
  client_host.resume();
  ASSERT_TRUE(run_until([&] { return client().writable > told; }));
  EXPECT_EQ(client().write("x").errnum, EPROTO);
}

// A client that says something and goes, while the server's tickets are on their way to it.
TEST_F(TlsFlow, the_last_words_of_a_client_in_a_hurry_arrive) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    Simulation world(seed, {.latency = 2ms, .jitter = 8ms});
    HostOptions options{.turn_delay_max = 5ms};
    options.name = "server", options.addresses = {"10.0.0.1"};
    SimHost& at_server = world.add_host(options);
    options.name = "client", options.addresses = {"10.0.0.2"};
    SimHost& at_client = world.add_host(options);
    TlsNetwork of_server(at_server.world(), {.server = server_context(identity)});
    TlsNetwork of_client(at_client.world(), {.client = client_context(authority.pem())});
    contract::Acceptor told;
    auto open = of_server.listen(at_server.address(kPort), {}, told);
    world.set_faults({.tiny_segment = seed % 2 == 0 ? 0.5 : 0});
    End end(std::move(*of_client.connect(at_server.address(kPort), {.server_name = "play.example"})));
    ASSERT_TRUE(world.run_until([&] { return end.socket.may_write(); }));
    ASSERT_EQ(end.write("last words").taken, 10u);
    end.close();
    EXPECT_EQ(of_client.open_sockets(), 0u);
    ASSERT_TRUE(world.run_until(
        [&] { return !told.ends.empty() && told.ends[0]->drain() == ReadResult::State::ended; }));
    EXPECT_EQ(told.ends[0]->received, "last words");
    told.ends.clear();
    EXPECT_TRUE(world.run_until([&] { return of_client.lingering() + of_server.lingering() == 0; }, 900ms));
  }
}

TEST_F(TlsFlow, lingering_is_bounded_in_time_and_number) {
  listen();
  connect();
  sim.black_hole(client_host, server_host);
  sim.black_hole(server_host, client_host);
  client().close();
  EXPECT_EQ(client_tls->open_sockets(), 0u);
  EXPECT_EQ(client_tls->lingering(), 1u);
  EXPECT_EQ(client_host.leftovers().timers, 1u);
  sim.run_for(1100ms);
  EXPECT_EQ(client_tls->lingering(), 0u);
  EXPECT_EQ(client_host.open_sockets(), 0u);
}

TEST_F(TlsFlow, a_network_takes_what_lingers_with_it) {
  listen();
  connect();
  client().close();
  EXPECT_EQ(client_tls->lingering(), 1u);
  client_tls = std::make_unique<TlsNetwork>(client_host.world(), TlsContexts{});
  EXPECT_TRUE(client_host.leftovers().none());
}

TEST_F(TlsFlow, half_a_record_unread_at_the_close_is_a_reset) {
  connect_raw_client();
  raw->let_out = 20;
  raw->send(stream(1000));
  ASSERT_TRUE(run_until([&] { return server().readable > 0; }));
  EXPECT_EQ(server().drain(), ReadResult::State::would_block);
  server().close();
  ASSERT_TRUE(run_until([&] { return raw->failed; }));
  EXPECT_FALSE(raw->ended);
}

// --- messages of the handshake's kind, later on ---

TEST_F(TlsFlow, key_updates_are_answered) {
  connect_raw_server();
  for (int i = 0; i < 3000; ++i) {
    SSL_key_update(raw->ssl, SSL_KEY_UPDATE_REQUESTED);
    raw->send("word");
    ASSERT_TRUE(run_until(
        [&] { return client().drain(), client().received.size() == 4u * static_cast<unsigned>(i + 1); }));
    if (i % 500 != 0) continue;
    client().write("x");
    ASSERT_TRUE(run_until([&] { return !raw->received.empty(); }));
    raw->received.clear();
  }
}

TEST_F(TlsFlow, nothing_but_key_updates_ends_the_connection) {
  connect_raw_client();
  std::size_t updates = 0;
  raw->reads = false;  // and it hears no answer
  ReadResult::State last = ReadResult::State::would_block;
  for (int turns = 0; last != ReadResult::State::failed && turns < 500; ++turns) {
    for (int i = 0; i < 100 && raw->unsent() == 0; ++i, ++updates) {
      SSL_key_update(raw->ssl, SSL_KEY_UPDATE_REQUESTED);
      SSL_do_handshake(raw->ssl);
      raw->flush();
    }
    raw->flush();
    sim.run_for(1ms);
    last = server().drain();
    EXPECT_LE(server_host.world().buffers.lent(), 2u);
  }
  EXPECT_EQ(last, ReadResult::State::failed);
  EXPECT_EQ(server().failed_with, EPROTO);
  EXPECT_LT(updates, 7000u);
  EXPECT_NE(server().socket.connect_status().error().detail.find("bytes without any of the application's"),
            std::string::npos);
}

TEST_F(TlsFlow, answers_to_key_updates_wait_for_room_and_hold_up_nothing_else) {
  HostOptions narrow{.name = "narrow", .addresses = {"10.0.0.4"}, .receive_buffer_bytes = 2000};
  SimHost& host = sim.add_host(narrow);
  listen();
  Socket dialled = std::move(*host.network().connect(server_host.address(kPort), {}));
  ASSERT_TRUE(run_until([&] { return dialled.may_write(); }));
  raw = std::make_unique<RawTls>(std::move(dialled), RawTls::Side::client, nullptr);
  ASSERT_TRUE(run_until([&] { return raw->open() && server_tls->info(server().socket).open; }));
  raw->reads = false;
  // The server fills the way to a client that does not read, which asks for new keys all the same.
  while (server().socket.may_write()) ASSERT_EQ(server().write(stream(10'000)).errnum, 0);
  for (int i = 0; i < 1500; ++i) {
    SSL_key_update(raw->ssl, SSL_KEY_UPDATE_REQUESTED);
    raw->send("w");
    sim.run_for(1ms);
    ASSERT_NE(server().drain(), ReadResult::State::failed);
  }
  EXPECT_LE(server_host.world().buffers.lent(), 2u);
  const std::size_t held_up = server().received.size();
  EXPECT_GT(held_up, 100u);
  raw->reads = true;
  raw->pump();
  server().told = [&] { server().drain(); };
  ASSERT_TRUE(run_until([&] { return server().received.size() == 1500; })) << held_up;
  ASSERT_TRUE(run_until([&] { return server().socket.may_write(); }));
  server().write("the end");
  ASSERT_TRUE(run_until([&] { return raw->received.ends_with("the end"); }));
}

// A ticket over several records, of which half has come: OpenSSL must have the rest before it writes again.
class TlsHalfTicket : public TlsFlow {
 protected:
  void SetUp() override {
    connect_raw_server([](SSL_CTX* context) {
      SSL_CTX_set_max_send_fragment(context, 512);
      SSL_CTX_set_session_ticket_cb(
          context,
          [](SSL* ssl, void*) {
            const std::string much(3000, 't');
            return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), much.data(), much.size());
          },
          nullptr, nullptr);
      SSL_CTX_set_num_tickets(context, 0);
    });
    raw->let_out = 1000;
    ASSERT_EQ(SSL_new_session_ticket(raw->ssl), 1);
    SSL_do_handshake(raw->ssl);
    raw->flush();
    ASSERT_GT(raw->unsent(), 2000u);
    ASSERT_TRUE(run_until([&] { return client().readable > 0; }));
    ASSERT_EQ(client().drain(), ReadResult::State::would_block);
  }
};

TEST_F(TlsHalfTicket, what_is_written_in_its_midst_follows_it) {
  EXPECT_EQ(client().write("stuck").taken, 0u);
  EXPECT_FALSE(client().socket.may_write());
  const int told = client().writable;
  sim.run_for(100ms);
  EXPECT_EQ(client().writable, told);
  // The owner does not read: it is read for them.
  raw->let_out = SIZE_MAX;
  raw->flush();
  ASSERT_TRUE(run_until([&] { return client().writable > told; }));
  EXPECT_EQ(client().write("free").taken, 4u);
  ASSERT_TRUE(run_until([&] { return raw->received == "free"; }));
  EXPECT_EQ(client_tls->resumable_peers(), 1u);
}

TEST_F(TlsHalfTicket, a_write_that_needs_the_rest_does_not_read_it_over_a_loan) {
  contract::Acceptor plain;
  auto plain_listener = client_host.network().listen(client_host.address(80), {}, plain);
  End sender(std::move(*server_host.network().connect(client_host.address(80), {})));
  ASSERT_TRUE(run_until([&] { return plain.ends.size() == 1; }));
  sender.write("lent");
  raw->let_out = SIZE_MAX;
  raw->flush();
  client_host.pause();
  sim.run_for(100ms);
  const ReadResult loan = plain.ends[0]->socket.read();
  EXPECT_EQ(client().write(loan.view()).taken, 0u);
  EXPECT_EQ(loan.view(), "lent");
  client_host.resume();
  ASSERT_TRUE(run_until([&] { return client().socket.may_write(); }));
}

TEST_F(TlsHalfTicket, a_reader_finds_the_rest_and_the_writer_is_told) {
  EXPECT_EQ(client().write("stuck").taken, 0u);
  raw->let_out = SIZE_MAX;
  raw->send("and more");
  const int told = client().writable;
  client().told = [&] { client().drain(); };
  ASSERT_TRUE(run_until([&] { return client().received == "and more"; }));
  ASSERT_TRUE(run_until([&] { return client().writable > told; }));
}

TEST_F(TlsHalfTicket, closing_in_its_midst_ends_in_time) {
  EXPECT_EQ(client().write("stuck").taken, 0u);
  client().close();
  ASSERT_TRUE(run_until([&] { return client_tls->lingering() == 0; }, 1100ms));
}

TEST_F(TlsFlow, renegotiation_is_refused) {
  const auto old = [](SSL_CTX* context) { SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION); };
  connect_raw_client(old);
  SSL_renegotiate(raw->ssl);
  SSL_do_handshake(raw->ssl);
  raw->flush();
  run_until([&] { return server().drain() == ReadResult::State::failed || !raw->reason.empty(); }, 2s);
  EXPECT_EQ(raw->reason, "no renegotiation");
  EXPECT_EQ(server().failed_with, 0);
}

// --- what is not TLS ---

TEST_F(TlsFlow, a_changed_byte_ends_the_connection_on_both_sides) {
  connect_raw_server();
  raw->send("good");
  raw->send_raw(std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'z'));
  ASSERT_TRUE(run_until([&] { return client().drain() == ReadResult::State::failed; }));
  EXPECT_EQ(client().received, "good");
  EXPECT_EQ(client().failed_with, EPROTO);
  EXPECT_EQ(to_string(client().socket.connect_status().error()),
            "bad input (server): TLS with play.example:443: decryption failed or bad record mac");
  EXPECT_EQ(client().write("x").errnum, EPROTO);
  EXPECT_FALSE(client_tls->info(client().socket).open);
  ASSERT_TRUE(run_until([&] { return !raw->reason.empty(); }));
  EXPECT_EQ(raw->reason, "sslv3 alert bad record mac");
}

TEST_F(TlsFlow, garbage_is_refused_whatever_it_is) {
  listen();
  for (int i = 0; i < 300; ++i) {
    End plain(std::move(*client_host.network().connect(server_host.address(kPort), {})));
    ASSERT_TRUE(run_until([&] { return plain.socket.may_write(); }));
    std::string garbage(1 + sim.random().below(3000), ' ');
    sim.random().fill(garbage);
    if (i % 2 == 0) garbage.replace(0, std::min<std::size_t>(3, garbage.size()), "\x16\x03\x01", 3);
    plain.write(garbage);
    plain.socket.shutdown_write();
    ASSERT_TRUE(
        run_until([&] { return !acceptor.ends.empty() && server().drain() == ReadResult::State::failed; }));
    ASSERT_FALSE(server().socket.connect_status());
    acceptor.ends.clear();
  }
}

TEST_F(TlsFlow, a_handshake_without_end_is_ended) {
  dial_raw_client([](SSL_CTX* context) { SSL_CTX_set_max_cert_list(context, 1 << 20); });
  raw->reads = false;
  // A ClientHello that says it is long, and records that each bring a byte of it.
  ReadResult::State last = ReadResult::State::would_block;
  raw->send_raw(std::string("\x16\x03\x01\x00\x04\x01\x00\xff\xff", 9));
  for (int i = 0; i < 30'000 && last != ReadResult::State::failed; ++i) {
    raw->send_raw(std::string("\x16\x03\x01\x00\x01x", 6));
    if (i % 50 == 0) sim.run_for(1ms);
    if (i % 50 == 0) last = server().drain();
  }
  EXPECT_EQ(last, ReadResult::State::failed);
  EXPECT_EQ(server().failed_with, EPROTO);
}

// --- all at once ---

struct Outcome {
  std::uint64_t hash = 0;
  std::size_t complete = 0, broken = 0;
};

Outcome soak(std::uint64_t seed) {
  const SeededOpenssl chance(seed);
  Simulation sim(seed, {.latency = 2ms, .jitter = 3ms});
  SimHost& server_host = sim.add_host({.name = "server", .addresses = {"10.0.0.1"}, .turn_delay_max = 1ms});
  TestAuthority authority(server_host.world().clock.unix_now());
  TlsNetwork server_tls(server_host.world(),
                        {.server = server_context(authority.issue({.ips = {"10.0.0.1"}}))});
  std::vector<SimHost*> hosts;
  std::vector<std::unique_ptr<TlsNetwork>> networks;
  for (int i = 0; i < 4; ++i) {
    const std::string n = std::to_string(i);
    hosts.push_back(&sim.add_host({.name = "client" + n,
                                   .addresses = {"10.1.0." + n},
                                   .send_buffer_bytes = 2000,
                                   .receive_buffer_bytes = 3000,
                                   .roam_to = {"10.2.0." + n, "10.1.0." + n}}));
    networks.push_back(std::make_unique<TlsNetwork>(hosts.back()->world(),
                                                    TlsContexts{.client = client_context(authority.pem())}));
  }
  EchoServer server(server_host, server_tls, 8000);
  Faults faults = Faults::from_seed(sim.random());
  if (seed % 2 == 0) faults.roam_every = 1s;
  sim.set_faults(faults);
  std::vector<std::unique_ptr<EchoClient>> clients;
  for (std::size_t who = 0; who < 30; ++who) {
    clients.push_back(std::make_unique<EchoClient>(*networks[who % 4], server_host.address(8000), who,
                                                   1 + sim.random().below(20'000)));
    sim.run_for(Duration(static_cast<std::int64_t>(sim.random().below(100'000))));
  }
  sim.run_for(10s);
  sim.heal();
  for (SimHost* host : hosts) host->change_address("10.1.0." + host->name().substr(6));
  Outcome run;
  EXPECT_TRUE(sim.run_until([&] { return server_host.open_sockets() == 0; }, 20min)) << "seed " << seed;
  sim.run_for(1s);
  for (const auto& client : clients) {
    client->check();
    ++(client->complete() ? run.complete : run.broken);
    client->give_up();
  }
  server.stop();
  sim.run_for(30min);
  EXPECT_EQ(sim.leftovers_text(), "") << "seed " << seed;
  EXPECT_EQ(sim.connections(), 0u) << "seed " << seed;
  run.hash = sim.trace_hash();
  return run;
}

TEST(TlsSoak, nothing_is_crossed_lost_or_left_under_all_faults) {
  std::size_t complete = 0, broken = 0;
  for (std::uint64_t seed = 1; seed <= 30 && !testing::Test::HasFailure(); ++seed) {
    const Outcome run = soak(seed);
    complete += run.complete;
    broken += run.broken;
  }
  EXPECT_GT(complete, 200u);
  EXPECT_GT(broken, 60u);
}

TEST(TlsSoak, the_same_seed_gives_the_same_run) {
  for (const std::uint64_t seed : {3, 8}) EXPECT_EQ(soak(seed).hash, soak(seed).hash);
  EXPECT_NE(soak(3).hash, soak(4).hash);
}

}  // namespace
}  // namespace rejoin::io
