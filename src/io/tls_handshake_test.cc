// Who is let in: certificates, names, versions, protocols, resumption; and a handshake that breaks anywhere.
#include <gtest/gtest.h>

#include "base/scope.h"
#include "io/stream.h"
#include "io/tls_scenario.h"

namespace rejoin::io {
namespace {

constexpr std::int64_t kDay = 24 * 3600;

class TlsHandshake : public TlsTest {};

TEST_F(TlsHandshake, opens_and_both_know_what_was_agreed) {
  listen();
  connect();
  EXPECT_EQ(info().version, "TLSv1.3");
  EXPECT_EQ(info().cipher, "TLS_AES_128_GCM_SHA256");
  EXPECT_FALSE(info().resumed);
  EXPECT_EQ(server_tls->info(server().socket).server_name, "play.example");
  EXPECT_TRUE(server().socket.connect_status());
  EXPECT_TRUE(echoes());
}

TEST_F(TlsHandshake, certificates) {
  TestAuthority stranger(client_host.world().clock.unix_now(), "a stranger");
  const struct {
    const char* what;
    TestIdentity identity;
    std::string name;    // whom the client means
    std::string wanted;  // "open", or a part of what is said
  } cases[] = {
      {"its name", authority.issue({.names = {"play.example"}}), "play.example", "open"},
      {"in capitals", authority.issue({.names = {"play.example"}}), "PLAY.Example", "open"},
      {"the root's dot", authority.issue({.names = {"play.example"}}), "play.example.", "open"},
      {"one of several", authority.issue({.names = {"a.example", "play.example"}}), "play.example", "open"},
      {"a wildcard", authority.issue({.names = {"*.play.example"}}), "eu.play.example", "open"},
      {"a chain", authority.issue_below({.names = {"play.example"}}), "play.example", "open"},
      {"the address dialled", authority.issue({.ips = {"10.0.0.1"}}), "", "open"},
      {"an address as name", authority.issue({.ips = {"10.0.0.1"}}), "10.0.0.1", "open"},
      {"another name", authority.issue({.names = {"shop.example", "w\x07.example"}}), "play.example",
       "TLS with play.example:443: its certificate is refused: hostname mismatch (it is for shop.example, "
       "w?.example)"},
      {"a wildcard's depth", authority.issue({.names = {"*.play.example"}}), "1.eu.play.example",
       "hostname mismatch (it is for *.play.example)"},
      {"half a wildcard", authority.issue({.names = {"e*.play.example"}}), "eu.play.example",
       "hostname mismatch"},
      {"a name in the subject only", authority.issue({.common_name = "play.example"}), "play.example",
       "hostname mismatch (it is for no name)"},
      {"another address", authority.issue({.ips = {"10.0.0.7"}}), "",
       "TLS with 10.0.0.1:443: its certificate is refused: IP address mismatch (it is for 10.0.0.7)"},
      {"a name for an address", authority.issue({.names = {"10.0.0.1"}}), "10.0.0.1", "IP address mismatch"},
      {"an address for a name", authority.issue({.ips = {"10.0.0.1"}}), "play.example",
       "hostname mismatch (it is for 10.0.0.1)"},
      {"expired", authority.issue({.names = {"play.example"}, .from_s = -2 * kDay, .until_s = -kDay}),
       "play.example", "certificate has expired (Jan 14 08:16:40 2027 GMT, CN=test)"},
      {"not yet", authority.issue({.names = {"play.example"}, .from_s = kDay, .until_s = 2 * kDay}),
       "play.example", "certificate is not yet valid (before Jan 16 08:16:40 2027 GMT, CN=test)"},
      {"by itself", authority.self_signed({.names = {"play.example"}}), "play.example",
       "self-signed certificate (CN=test)"},
      {"by a stranger", stranger.issue({.names = {"play.example"}}), "play.example",
       "unable to get local issuer certificate (CN=test)"},
  };
  listen();
  for (const auto& one : cases) {
    SCOPED_TRACE(one.what);
    use_identity(one.identity);
    const std::string outcome = TlsTest::outcome(dial(one.name));
    if (one.wanted == "open") {
      EXPECT_EQ(outcome, "open");
      continue;
    }
    EXPECT_NE(outcome.find(one.wanted), std::string::npos) << outcome;
    const Status why = client().socket.connect_status();
    ASSERT_FALSE(why);
    EXPECT_EQ(why.error().side, Side::server);
    EXPECT_EQ(why.error().retry, Retry::yes);
    EXPECT_EQ(client().write("secret").errnum, EPROTO);
    EXPECT_EQ(client().read().errnum, EPROTO);
    // The server is told, by an alert.
    ASSERT_TRUE(run_until([&] { return server().drain() == ReadResult::State::failed; }));
    EXPECT_EQ(server().failed_with, EPROTO);
    const Status heard = server().socket.connect_status();
    ASSERT_FALSE(heard);
    EXPECT_EQ(heard.error().side, Side::client);
    EXPECT_NE(heard.error().detail.find("alert"), std::string::npos) << heard.error().detail;
  }
}

TEST_F(TlsHandshake, a_chain_without_its_middle_is_refused) {
  TestIdentity cut = authority.issue_below({.names = {"play.example"}});
  cut.chain_pem.resize(cut.chain_pem.find("-----BEGIN", 10));
  use_identity(cut);
  listen();
  EXPECT_NE(outcome(dial()).find("unable to get local issuer certificate"), std::string::npos);
}

TEST_F(TlsHandshake, the_clients_own_clock_decides_what_has_expired) {
  SimHost& late = sim.add_host({.name = "late", .addresses = {"10.0.0.3"}, .unix_skew_s = 2 * kDay});
  TlsNetwork late_tls(late.world(), {.client = client_context(authority.pem())});
  listen();
  End end(std::move(*late_tls.connect(server_host.address(kPort), {.server_name = "play.example"})));
  EXPECT_NE(outcome(end).find("expired"), std::string::npos);
  end.close();
  EXPECT_EQ(outcome(dial()), "open");
}

TEST_F(TlsHandshake, names_that_cannot_be_one_are_refused_at_once) {
  using namespace std::string_literals;
  for (const std::string& name :
       {".example"s, "a..b"s, "a b"s, "a\0b"s, "."s, std::string(300, 'a'), "pl\xc3\xa4y.example"s, "a/b"s}) {
    const auto made = client_tls->connect(server_host.address(kPort), {.server_name = name});
    ASSERT_FALSE(made) << name;
    EXPECT_EQ(made.error().kind, ErrorKind::bad_input);
    EXPECT_EQ(made.error().side, Side::ours);
  }
  EXPECT_EQ(client_host.open_sockets(), 0u);
}

TEST_F(TlsHandshake, without_a_context_nothing_begins) {
  contract::Acceptor nobody;
  EXPECT_EQ(client_tls->listen(client_host.address(1), {}, nobody).error().kind, ErrorKind::config);
  EXPECT_EQ(server_tls->connect(server_host.address(1), {}).error().kind, ErrorKind::config);
  EXPECT_EQ(server_host.open_sockets(), 0u);
}

TEST_F(TlsHandshake, a_plain_server_is_said_to_be_one) {
  listen_raw();
  plain_acceptor.accepted = [](End& end) { end.write("220 mail.example ESMTP at your service\r\n"); };
  EXPECT_EQ(outcome(dial()), "bad input (server): TLS with play.example:443: what it sends is not TLS");
}

TEST_F(TlsHandshake, a_plain_client_is_said_to_be_one) {
  listen();
  End plain(std::move(*client_host.network().connect(server_host.address(kPort), {})));
  ASSERT_TRUE(run_until([&] { return plain.socket.may_write(); }));
  plain.write("GET / HTTP/1.1\r\nHost: play.example\r\n\r\n");
  ASSERT_TRUE(
      run_until([&] { return !acceptor.ends.empty() && server().drain() == ReadResult::State::failed; }));
  EXPECT_EQ(server().failed_with, EPROTO);
  EXPECT_EQ(to_string(server().socket.connect_status().error()),
            "bad input (client): TLS with " + plain.socket.local_address().text() + ": it sends plain HTTP");
  EXPECT_EQ(server().write("x").errnum, EPROTO);
}

void only(SSL_CTX* context, int version) {
  SSL_CTX_set_security_level(context, 0);
  SSL_CTX_set_min_proto_version(context, version);
  SSL_CTX_set_max_proto_version(context, version);
}

TEST_F(TlsHandshake, tls_1_1_is_refused_on_both_sides) {
  dial_raw_server([](SSL_CTX* context) { only(context, TLS1_1_VERSION); });
  EXPECT_EQ(outcome(client()), "bad input (server): TLS with play.example:443: tlsv1 alert protocol version");
  raw.reset();
  listener.reset();
  dial_raw_client([](SSL_CTX* context) { only(context, TLS1_1_VERSION); });
  ASSERT_TRUE(run_until([&] { return server().drain() == ReadResult::State::failed; }));
  EXPECT_NE(server().socket.connect_status().error().detail.find("unsupported protocol"), std::string::npos);
  ASSERT_TRUE(run_until([&] { return !raw->reason.empty(); }));
  EXPECT_EQ(raw->reason, "tlsv1 alert protocol version");
}

TEST_F(TlsHandshake, tls_1_2_is_served_with_forward_secrecy_only) {
  dial_raw_client([](SSL_CTX* context) { only(context, TLS1_2_VERSION); });
  ASSERT_TRUE(run_until([&] { return raw->open(); }));
  EXPECT_EQ(server_tls->info(server().socket).version, "TLSv1.2");
  EXPECT_NE(server_tls->info(server().socket).cipher.find("ECDHE"), std::string::npos);
  raw->send("hello");
  ASSERT_TRUE(run_until([&] { return server().drain(), server().received == "hello"; }));
  raw.reset();

  dial_raw_client([](SSL_CTX* context) {
    only(context, TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(context, "AES256-GCM-SHA384:AES128-SHA:ECDHE-ECDSA-AES128-SHA256");
  });
  ASSERT_TRUE(run_until([&] { return server().drain() == ReadResult::State::failed; }));
  EXPECT_NE(server().socket.connect_status().error().detail.find("no shared cipher"), std::string::npos);
}

TEST_F(TlsHandshake, a_server_may_be_a_tls_1_2_one) {
  dial_raw_server([](SSL_CTX* context) { only(context, TLS1_2_VERSION); });
  ASSERT_EQ(outcome(client()), "open");
  EXPECT_EQ(info().version, "TLSv1.2");
  client().write("question");
  ASSERT_TRUE(run_until([&] { return raw->received == "question"; }));
  raw->send("answer");
  ASSERT_TRUE(run_until([&] { return client().drain(), client().received == "answer"; }));
  EXPECT_EQ(client_tls->resumable_peers(), 1u);
}

TEST_F(TlsHandshake, alpn) {
  const struct {
    std::vector<std::string> client, server;
    std::string agreed;  // "-": refused
  } cases[] = {
      {{"http/1.1"}, {"http/1.1"}, "http/1.1"},
      {{"h2", "http/1.1"}, {"http/1.1"}, "http/1.1"},
      {{"a", "b"}, {"b", "a"}, "b"},  // the server's order
      {{}, {"http/1.1"}, ""},
      {{"http/1.1"}, {}, ""},
      {{"h2"}, {"http/1.1"}, "-"},
  };
  listen();
  for (const auto& one : cases) {
    server_tls->use({.server = server_context(identity, one.server)});
    client_tls->use({.client = client_context(authority.pem(), one.client)});
    const std::string outcome = TlsTest::outcome(dial());
    if (one.agreed == "-") {
      EXPECT_NE(outcome.find("alert no application protocol"), std::string::npos) << outcome;
      continue;
    }
    ASSERT_EQ(outcome, "open");
    ASSERT_TRUE(run_until([&] { return server_tls->info(server().socket).open; }));
    EXPECT_EQ(info().alpn, one.agreed);
    EXPECT_EQ(server_tls->info(server().socket).alpn, one.agreed);
  }
}

TEST_F(TlsHandshake, a_reload_is_for_new_connections) {
  listen();
  connect();
  use_identity(authority.issue({.names = {"other.example"}}));
  EXPECT_TRUE(echoes());
  EXPECT_NE(outcome(dial()).find("hostname mismatch"), std::string::npos);
  EXPECT_EQ(outcome(dial("other.example")), "open");
}

TEST_F(TlsHandshake, over_a_connection_that_has_spoken_in_the_clear) {
  listen_raw();
  for (const std::size_t read_on : {std::size_t{0}, std::size_t{1}, std::size_t{100}}) {
    End plain(std::move(*client_host.network().connect(server_host.address(kPort), {})));
    ASSERT_TRUE(run_until([&] { return plain.socket.may_write(); }));
    plain.write("PROXY ");
    auto dialled = client_tls->begin_client(std::move(plain.socket), {.server_name = "play.example"});
    ASSERT_TRUE(dialled);
    clients.push_back(std::make_unique<End>(std::move(*dialled)));
    ASSERT_TRUE(run_until([&] { return !plain_acceptor.ends.empty(); }));
    End& accepted = *plain_acceptor.ends.back();
    // Whoever reads the header has read into TLS a little already.
    ASSERT_TRUE(run_until([&] {
      while (accepted.socket.may_read() && accepted.received.size() < 6 + read_on) {
        accepted.read(6 + read_on - accepted.received.size());
      }
      return accepted.received.size() == 6 + read_on;
    }));
    auto begun =
        server_tls->begin_server(std::move(accepted.socket), std::string_view(accepted.received).substr(6));
    ASSERT_TRUE(begun);
    acceptor.ends.push_back(std::make_unique<End>(std::move(*begun)));
    ASSERT_EQ(outcome(client()), "open");
    EXPECT_TRUE(echoes());
    plain_acceptor.ends.clear();
  }
}

// --- resumption ---

TEST_F(TlsHandshake, a_broken_link_is_resumed) {
  listen();
  const struct {
    const char* how;
    std::function<void()> end;
  } cases[] = {
      {"closed", [&] { client().close(); }},
      {"closed by the server", [&] { server().close(); }},
      {"reset by the client", [&] { client().socket.reset(); }},
      {"reset on the way", [&] { sim.set_faults({.reset = 1, .within = 1ms}); }},
      {"a hole", [&] { sim.black_hole(client_host, server_host); }},
  };
  connect();
  ASSERT_TRUE(echoes());
  for (const auto& one : cases) {
    SCOPED_TRACE(one.how);
    one.end();
    sim.run_for(500ms);
    if (client().socket) client().drain();
    clients.clear();
    sim.heal();
    sim.reopen(client_host, server_host);
    connect();
    EXPECT_TRUE(info().resumed);
    EXPECT_TRUE(server_tls->info(server().socket).resumed);
    EXPECT_EQ(server_tls->info(server().socket).server_name, "play.example");
    EXPECT_TRUE(echoes());  // and hears the next tickets
  }
}

TEST_F(TlsHandshake, a_session_is_for_the_name_and_the_trust_that_it_was_verified_with) {
  use_identity(authority.issue({.names = {"play.example", "chat.example"}}));
  listen();
  connect("play.example");
  ASSERT_TRUE(echoes());
  connect("chat.example");
  EXPECT_FALSE(info().resumed);
  connect("play.example");
  EXPECT_TRUE(info().resumed);
  ASSERT_TRUE(echoes());
  TestAuthority stranger(client_host.world().clock.unix_now(), "a stranger");
  client_tls->use({.client = client_context(stranger.pem())});
  EXPECT_EQ(client_tls->resumable_peers(), 0u);
  EXPECT_NE(outcome(dial()).find("unable to get local issuer"), std::string::npos);
}

TEST_F(TlsHandshake, a_ticket_is_shown_once_and_only_to_somebody_who_answers) {
  listen();
  connect();
  ASSERT_TRUE(echoes());  // one ticket
  listener.reset();
  for (int i = 0; i < 5; ++i) EXPECT_NE(outcome(dial()).find("refused"), std::string::npos);
  listen();
  acceptor.accepted = nullptr;
  // Nobody reads, so no new ticket is heard of.
  connect();
  EXPECT_TRUE(info().resumed);
  connect();
  EXPECT_FALSE(info().resumed);
}

TEST_F(TlsHandshake, a_session_of_tls_1_2_is_resumed_again_and_again) {
  const auto old = [](SSL_CTX* context) {
    only(context, TLS1_2_VERSION);
    static const unsigned char keys[80] = "keys that outlive the context, as those of one server would ...";
    SSL_CTX_set_tlsext_ticket_keys(context, const_cast<unsigned char*>(keys), sizeof keys);
  };
  for (int i = 0; i < 4; ++i) {
    dial_raw_server(old);
    ASSERT_EQ(outcome(client()), "open");
    EXPECT_EQ(info().resumed, i > 0);
    raw->socket().reset();
    ASSERT_TRUE(run_until([&] { return client().drain() == ReadResult::State::failed; }));
  }
}

// --- handshakes that break ---

TEST_F(TlsHandshake, cut_at_every_byte) {
  listen();
  connect();
  ASSERT_TRUE(echoes());
  const std::uint64_t there = sim.counters().bytes;
  clients.clear();
  std::size_t failed = 0, opened = 0, cuts = 0;
  for (const Break how : {Break::reset, Break::hole}) {
    for (const Towards towards : {Towards::listener, Towards::dialler}) {
      for (std::uint64_t after = 0;; ++after) {
        SCOPED_TRACE(after);
        ASSERT_LT(after, there);
        client_tls->use({.client = client_context(authority.pem())});  // without sessions: a whole handshake
        acceptor.ends.clear();
        const std::uint64_t before = sim.counters().cuts;
        sim.cut({.towards = towards, .after_bytes = after, .how = how});
        End& end = dial();
        run_until([&] { return end.writable > 0; }, 1s);
        const bool open = end.writable > 0 && end.socket.connect_status();
        if (how == Break::reset && !open) {
          ASSERT_GT(end.writable, 0) << "nobody said that it broke";
          EXPECT_NE(end.write("x").errnum, 0);
        }
        ++(open ? opened : failed);
        if (open) end.write("a word");
        run_until([&] { return !acceptor.ends.empty() && (server().drain(), !server().received.empty()); },
                  500ms);
        const bool whole = !acceptor.ends.empty() && server().received == "a word";
        clients.clear();
        if (sim.counters().cuts == before) {  // past all that is said: done with this direction
          EXPECT_TRUE(whole);
          sim.heal();
          break;
        }
        ++cuts;
        sim.heal();
      }
    }
  }
  EXPECT_GT(cuts, 1900u);
  EXPECT_GT(failed, 1000u);
  EXPECT_GT(opened, 50u);
}

TEST_F(TlsHandshake, every_operation_may_fail) {
  listen();
  for (SimHost* host : {&client_host, &server_host}) {
    for (std::uint64_t nth = 1;; ++nth) {
      ASSERT_LT(nth, 100u);
      SCOPED_TRACE(host->name() + " " + std::to_string(nth));
      acceptor.ends.clear();
      clients.clear();
      sim.run_for(2s);
      const std::uint64_t before = sim.counters().operations_failed;
      host->fail_operation(nth);
      auto made = client_tls->connect(server_host.address(kPort), {.server_name = "play.example"});
      bool good = static_cast<bool>(made);
      if (good) {
        clients.push_back(std::make_unique<End>(std::move(*made)));
        good =
            outcome(client()) == "open" && run_until([&] { return !acceptor.ends.empty(); }, 1s) && echoes();
      }
      if (sim.counters().operations_failed == before) {
        EXPECT_TRUE(good);
        host->fail_operation(0);
        break;
      }
      if (clients.empty() || acceptor.ends.empty()) continue;
      // Who waits for the other hears that it is over.
      EXPECT_TRUE(run_until([&] { return client().drain() == ReadResult::State::failed || good; }, 1s));
      EXPECT_TRUE(run_until([&] { return server().drain() == ReadResult::State::failed || good; }, 1s));
    }
  }
}

TEST_F(TlsHandshake, owners_may_go_at_any_moment) {
  listen();
  for (int steps = 0; steps < 60; ++steps) {
    for (const bool reset : {false, true}) {
      for (const bool by_server : {false, true}) {
        End& end = dial();
        for (int i = 0; i < steps; ++i) sim.step();
        if (by_server) {
          if (reset && !acceptor.ends.empty()) server().socket.reset();
          acceptor.ends.clear();
        } else if (reset) {
          end.socket.reset();
        }
        if (!by_server) clients.clear();
        sim.run_for(2s);
        clients.clear();
        acceptor.ends.clear();
        ASSERT_TRUE(
            run_until([&] { return server_host.open_sockets() + client_host.open_sockets() == 0; }, 5s));
      }
    }
  }
}

TEST_F(TlsHandshake, an_end_that_is_asked_for_early_is_said_when_it_is_open) {
  listen();
  End& end = dial();
  end.socket.shutdown_write();
  EXPECT_EQ(end.write("x").errnum, EPIPE);
  ASSERT_EQ(outcome(end), "open");
  ASSERT_TRUE(run_until([&] { return server().drain() == ReadResult::State::ended; }));
  write_all(server(), "answer");
  ASSERT_TRUE(run_until([&] { return client().drain(), client().received == "answer"; }));
}

TEST_F(TlsHandshake, read_again_is_answered_in_a_handshake) {
  listen();
  End& end = dial();
  end.read_again_asked = true;
  end.socket.read_again();
  ASSERT_TRUE(run_until([&] { return end.readable > 0; }));
  EXPECT_EQ(end.writable, 0);
  acceptor.accepted = [](End& accepted) {
    accepted.read_again_asked = true;
    EXPECT_EQ(accepted.drain(), ReadResult::State::would_block);
    accepted.socket.read_again();
  };
  ASSERT_TRUE(run_until([&] { return !acceptor.ends.empty() && server().readable > 0; }));
  EXPECT_FALSE(server_tls->info(server().socket).open);
  ASSERT_EQ(outcome(end), "open");
}

// --- as coroutines dial ---

Task<void> dial_stream(World& world, Address to, ConnectOptions options, Stop& stop, std::string& out) {
  Stream stream(world, Side::server, stop);
  const TimePoint deadline = world.clock.now() + 5s;
  const Status open = co_await stream.connect(to, options, deadline);
  out = open ? "open" : to_string(open.error());
  if (!open) co_return;
  const std::string hello = "hello";
  const Status said = co_await stream.write_all(hello, deadline);
  Buffer heard = world.buffers.borrow();
  const Status answered = co_await stream.read_into(heard, deadline);
  if (said && answered) out.append(" ").append(heard.view());
}

TEST_F(TlsHandshake, a_stream_dials_with_a_deadline) {
  listen();
  acceptor.accepted = [](End& end) {
    end.told = [&end] {
      if (end.drain(); !end.received.empty()) end.write(std::exchange(end.received, {}));
    };
    end.told();
  };
  const auto outcome_of = [&](const std::string& name) {
    Stop stop;
    Scope scope(client_host.world().ready);
    std::string out;
    ConnectOptions options;
    options.server_name = name;
    scope.spawn(dial_stream(client_tls->world(), server_host.address(kPort), options, stop, out));
    EXPECT_TRUE(run_until([&] { return scope.running() == 0; }));
    return out;
  };
  EXPECT_EQ(outcome_of("play.example"), "open hello");
  EXPECT_EQ(
      outcome_of("shop.example"),
      "bad input (server): connect 10.0.0.1:443: TLS with shop.example:443: its certificate is refused: "
      "hostname mismatch (it is for play.example, 10.0.0.1)");
  acceptor.ends.clear();
  listener.reset();
  listen_raw();  // takes the connection and says nothing
  EXPECT_EQ(outcome_of("play.example"), "timed out (server): connect 10.0.0.1:443: waited in vain");
}

}  // namespace
}  // namespace rejoin::io
