// The keys of what happens at the edge: who may come in, how fast, and what is done for connections that
// stay.
#include "apps/config/key_table.h"
#include "base/limits.h"

namespace rejoin::config {
namespace {

// In the order of the enumerators.
constexpr std::string_view kProxyIns[] = {"off", "accept", "require"};

constexpr Range<Duration> kTimeout{1ms, 24h * 365};
constexpr Range<Duration> kFromZero{0s, 24h * 365};
constexpr Range<int> kConnections{0, 100'000'000};
constexpr Range<std::uint64_t> kBytesPerSecond{0, 1024ull * 1024 * 1024 * 1024};
constexpr std::size_t kNetworksMax = 10'000;
/// A head that is passed on needs room beside it, in one block of a loop (limits::kBufferBytes).
constexpr Range<int> kHeadBytes{512, static_cast<int>(limits::kHeadBytesMax)};
constexpr Range<int> kHeadFields{8, static_cast<int>(limits::kHeadFieldsMax)};

}  // namespace

void visit_edge(KeyVisitor& v, Edge& it, std::string_view proxy_says) {
  v.choice({"proxy_protocol", proxy_says, R"("require")"}, it.proxy_protocol, kProxyIns);
  v.texts({"allow",
           "Networks from which clients may come. Others are reset before anything is done for them. With "
           "`proxy_protocol` it is the client whom the header names that counts.",
           R"(["10.0.0.0/8", "2001:db8::/32"])", Need::optional, "everybody"},
          it.allow, TextForm::network, kNetworksMax);
  v.texts({"deny", "Networks from which they may not; wins over `allow`.", R"(["192.0.2.0/24"])",
           Need::optional, "nobody"},
          it.deny, TextForm::network, kNetworksMax);
  v.table({"limits", "How many connections are taken; those beyond are reset.",
           R"({ connections_per_client = 50, handshakes_per_client = 20 })"},
          it.limits);
}

void visit_listener_edge(KeyVisitor& v, Listener& it) {
  v.duration(
      {"client_timeout",
       "The same when its client alone is silent, whatever the server says. `0s`: no such bound.", R"("5m")"},
      it.client_timeout, kFromZero);
  v.duration({"server_timeout", "The same when its server alone is silent. `0s`: no such bound.", R"("5m")"},
             it.server_timeout, kFromZero);
  v.duration(
      {"half_closed_timeout",
       "What is left to the other side once one has ended (FIN). `0s`: until `tunnel_timeout`.", R"("30s")"},
      it.half_closed_timeout, kFromZero);
  v.duration({"write_timeout",
              "A side that takes nothing of what waits for it, for so long, is gone. `0s`: no such bound.",
              R"("20s")"},
             it.write_timeout, kFromZero);
  v.integer({"head_bytes", "`http`: the longest request head that is taken; beyond it 431.", "8192"},
            it.head_bytes, kHeadBytes);
  v.integer({"head_fields", "`http`: the most fields in a request head; beyond it 431.", "64"},
            it.head_fields, kHeadFields);
  visit_edge(v, it.edge,
             "PROXY headers (versions 1 and 2) of proxies in front, before the connection's own first byte. "
             "`require`: only proxies in `trusted` may connect, and each has to send one. `accept`: those in "
             "`trusted` may send one, where clients speak first; the others are clients.");
  v.texts(
      {"trusted", "Proxies in front, as addresses or networks: their PROXY headers say who the client is.",
       R"(["10.0.0.0/8"])", Need::optional, "none"},
      it.trusted, TextForm::network, kNetworksMax);
  v.table({"rate", "Bytes a second of one connection, both in HTTP and in tunnels.",
           R"({ from_client = "256KiB", to_client = "4MiB" })"},
          it.rate);
  v.table({"websocket",
           "`http`: care for WebSockets behind their handshake. What is not asked for costs nothing: their "
           "bytes are then passed on unseen.",
           R"({ ping = "20s", pong_timeout = "10s" })"},
          it.websocket);
  v.list({"sni",
          "`tcp`: TLS clients are sent to a pool by the name that they ask for; TLS is read, and not ended. "
          "Names that are not in the list go to `pool`, or are refused when there is none.",
          R"({ name = "*.play.example", pool = "gateways" })"},
         it.sni, limits::kPoolsMax);
  v.flag({"mptcp",
          "Multipath TCP, where the kernel has it: a phone that speaks it changes networks without a "
          "reconnect. Others are served as ever.",
          "true"},
         it.mptcp);
}

void visit(KeyVisitor& v, Process& it) {
  v.text(
      {"user",
       "Once the listeners are open the process gives up being root for this user. To listen on ports from "
       "1024 on it needs no root at all.",
       R"("rejoin")", Need::optional, "who started it"},
      it.user, TextForm::account);
  v.text({"group", "And for this group.", R"("rejoin")", Need::optional, "the user's own"}, it.group,
         TextForm::account);
  v.choice(
      {"io",
       "How the kernel is asked for what happens on connections. `auto`: by io_uring where all that it needs "
       "works (Linux 6.1 or newer that does not forbid it), else by epoll; the log says which at the start. "
       "The "
       "environment variable `REJOIN_IO`, with the same words, comes before this key.",
       R"("auto")"},
      it.io, io::kLoopChoices);
  v.choice(
      {"descriptors",
       "Whose the limit of open files (`ulimit -n`, systemd's `LimitNOFILE=`) is. `per_process`: all "
       "workers' together. `per_worker`: each worker's, so that one process may have `workers` times as many "
       "sockets; Linux 5.9 or newer. The environment variable `REJOIN_DESCRIPTORS`, with the same words, "
       "comes before this key.",
       R"("per_worker")"},
      it.descriptors, io::kDescriptors);
}

void visit(KeyVisitor& v, Drain& it) {
  v.integer({"per_second",
             "WebSockets that are closed in a second, each with a close frame between two frames of its own. "
             "`0`: they stay until `drain_timeout` is over, and are cut. Their frames are followed from the "
             "handshake on where this is not 0.",
             "50"},
            it.per_second, {0, 1'000'000});
  v.integer({"code", "In the close frame. 1012: service restart, come again. 1001: going away.", "1001"},
            it.code, {1000, 4999});
}

void visit(KeyVisitor& v, EdgeLimits& it) {
  v.integer({"connections", "Of the listener, all workers together. `0`: no bound.", "20000"}, it.connections,
            kConnections);
  v.integer({"connections_per_client", "Of one client at once. `0`: no bound.", "50"},
            it.connections_per_client, kConnections);
  v.integer(
      {"handshakes_per_client",
       "Connections that one client may begin in a second, on average; a second's worth at once. `0`: no "
       "bound.",
       "20"},
      it.handshakes_per_client, {0, 1'000'000});
  v.integer({"prefix", "Bits of an IPv4 address that make one client.", "24"}, it.prefix, {1, 32});
  v.integer({"prefix_v6", "Bits of an IPv6 address that make one client: whoever has one has its /64.", "56"},
            it.prefix_v6, {1, 128});
}

void visit(KeyVisitor& v, ByteRate& it) {
  v.size({"from_client",
          "Bytes a second that are taken from one client; it is read more slowly. `0B`: no bound.",
          R"("256KiB")"},
         it.from_client, kBytesPerSecond);
  v.size({"to_client", "Bytes a second that one client is sent. `0B`: no bound.", R"("4MiB")"}, it.to_client,
         kBytesPerSecond);
}

void visit(KeyVisitor& v, WebSocketCare& it) {
  v.duration({"ping",
              "A client that was silent for so long is sent a ping, between two frames of its server; the "
              "server sees neither it nor the pong. `0s`: none.",
              R"("20s")"},
             it.ping, kFromZero);
  v.duration({"pong_timeout",
              "A client that gives no sign of life for so long after a ping is gone: its server gets a close "
              "frame with 1001 and an end.",
              R"("5s")"},
             it.pong_timeout, kTimeout);
  v.size({"message_max", "The largest message taken from a client (1009 beyond it). `0B`: no bound.",
          R"("64KiB")"},
         it.message_max, {0, 1024ull * 1024 * 1024});
  v.size(
      {"frame_max", "The largest frame taken from a client (1009 beyond it). `0B`: no bound.", R"("64KiB")"},
      it.frame_max, {0, 1024ull * 1024 * 1024});
  v.integer({"messages",
             "Frames a second that one client may send, on average over two (1008 beyond it). `0`: no bound.",
             "50"},
            it.messages, {0, 1'000'000});
}

void visit(KeyVisitor& v, SniRule& it) {
  v.text({"name", "The name; `*.example` means every name below `example`. The longest that fits wins.",
          R"("play.example")", Need::required},
         it.name, TextForm::name_pattern);
  v.text({"pool", "The pool that serves it.", R"("gateways")", Need::required}, it.pool, TextForm::name);
}

}  // namespace rejoin::config
