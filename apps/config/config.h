// The configuration as plain values: what a file says, with the defaults of what it leaves out.
//
// Place on the path: before it. A program reads its file once at start (and later at a reload), checks
// everything, and hands parts of it by const reference to what it builds. Nothing here opens a socket or a
// key file.
//
// Values compare by what they say (operator==), so that a reload finds what has changed.
//
// The defaults stand here and nowhere else: the reader starts from a default-made struct, and the reference
// in docs/configuration.md prints what it finds in one. To add a key: a member here, a line in key_table.cc,
// and a run of config_test with REJOIN_UPDATE_DOCS=1.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "apps/config/diagnostic.h"
#include "base/address.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/result.h"
#include "io/loop_choice.h"

namespace rejoin::config {

/// Where a sealing key is found. keys.h reads them.
struct KeySource {
  enum class Kind : std::uint8_t { file, env };
  Kind kind = Kind::file;
  std::string
      from;  // as written: a path (relative ones start at the configuration's folder), or a variable's name
  Place place;  // of the entry in the configuration

  /// Wherever it is written.
  bool operator==(const KeySource& other) const { return kind == other.kind && from == other.from; }
};

/// The first seals, all of them open, so that keys can be rotated. Empty: a random key for the life of the
/// process.
struct Keys {
  bool operator==(const Keys&) const = default;
  std::vector<KeySource> seal;
};

struct Logging {
  bool operator==(const Logging&) const = default;
  LogLevel level = LogLevel::info;
};

/// Where operators and their scripts ask.
struct Admin {
  bool operator==(const Admin&) const = default;
  Address listen;
  std::optional<KeySource> token;  // none: whoever reaches it may
};

/// Who the process becomes once it listens (empty: who it is), and how it asks the kernel.
struct Process {
  std::string user;
  std::string group;  // empty: the user's own
  io::LoopChoice io = io::LoopChoice::epoll;
  io::Descriptors descriptors = io::Descriptors::per_process;
  bool operator==(const Process&) const = default;
};

/// How WebSockets are ended in a drain. Zero a second: they stay until the drain's time is over, and are cut.
struct Drain {
  int per_second = 0;
  int code = 1012;

  bool operator==(const Drain&) const = default;
};

struct Balancer {
  bool operator==(const Balancer&) const = default;
  int workers = 1;
  Duration drain_timeout = 5s;     // after SIGTERM
  Duration upgrade_timeout = 24h;  // the same after an upgrade: of those who stay with the old process
  Drain drain;
  std::optional<Admin> admin;  // see Config::admin_of_balancer()
};

enum class AccessFormat : std::uint8_t { off, json, line };

/// A line for each request, connection and tunnel of the balancer.
struct AccessLog {
  bool operator==(const AccessLog&) const = default;
  AccessFormat format = AccessFormat::off;
  std::string path;  // empty: stdout
  StandsAt path_stands_at;
  bool query = false;  // behind the path
};

/// Whether connections begin with a PROXY header that tells who the client is.
enum class ProxyIn : std::uint8_t { off, accept, require };

/// Zero: no such bound.
struct EdgeLimits {
  int connections = 0;             // of the listener
  int connections_per_client = 0;  // at once
  int handshakes_per_client = 0;   // a second
  int prefix = 32;                 // bits of an IPv4 address that make one client
  int prefix_v6 = 64;

  bool operator==(const EdgeLimits&) const = default;
};

/// What is asked of a connection before anything is done for it; of the balancer's and the gateway's
/// listeners.
struct Edge {
  ProxyIn proxy_protocol = ProxyIn::off;
  std::vector<std::string> allow;  // "10.0.0.0/8"; empty: everybody
  std::vector<std::string> deny;
  EdgeLimits limits;

  bool operator==(const Edge&) const = default;
};

/// Of one connection. Zero: no bound.
struct ByteRate {
  std::uint64_t from_client = 0;  // a second
  std::uint64_t to_client = 0;

  bool operator==(const ByteRate&) const = default;
};

/// Care for WebSockets behind their handshake. Zeros: none, and their bytes are passed on unseen.
struct WebSocketCare {
  Duration ping{0};
  Duration pong_timeout = 10s;
  std::uint64_t message_max = 0;
  std::uint64_t frame_max = 0;
  int messages = 0;  // a second, from the client

  bool operator==(const WebSocketCare&) const = default;
};

/// A name that a TLS client asks for, and who serves it.
struct SniRule {
  std::string name;  // "play.example", or "*.play.example"
  std::string pool;

  bool operator==(const SniRule&) const = default;
};

enum class TlsVersion : std::uint8_t { v1_2, v1_3 };
/// Whether clients are asked for a certificate.
enum class ClientCertificate : std::uint8_t { off, optional, required };

/// Most certificates of one listener.
inline constexpr std::size_t kCertificatesMax = 256;

/// Paths of PEM files; tls_files.h reads them.
struct CertificateFiles {
  std::string certificate;  // the chain: the server's own first
  std::string key;          // without a pass phrase; may be the same file

  bool operator==(const CertificateFiles&) const = default;
};

/// What a listener speaks TLS with.
struct ListenerTls {
  std::string certificate, key;                // the first of the list, after reading
  std::vector<CertificateFiles> certificates;  // after reading all, at least one; the first is the default
  bool strict_sni = false;
  TlsVersion min_version = TlsVersion::v1_2;
  ClientCertificate client_certificate = ClientCertificate::off;
  std::string client_ca, client_crl;
  Duration handshake_timeout = 10s;
  StandsAt stands_at;

  bool operator==(const ListenerTls&) const = default;
};

/// What a pool's servers are spoken to with.
struct ServerTls {
  bool verify = true;
  std::string ca;                // empty: the system's
  std::string crl;               // empty: nobody asks what was revoked
  std::string name;              // of those servers that have no tls_name; empty: their address
  std::string certificate, key;  // ours, if they ask; both or none
  TlsVersion min_version = TlsVersion::v1_2;
  StandsAt stands_at;

  bool operator==(const ServerTls&) const = default;
};

/// What all listeners with TLS have together.
struct Tls {
  Duration session_lifetime = 2h;  // zero: no session is resumed

  bool operator==(const Tls&) const = default;
};

enum class Mode : std::uint8_t { http, tcp };

enum class XForwarded : std::uint8_t { append, replace, off };

/// What servers are told of where a request came from, and whom we believe who says it before us.
struct Forwarded {
  std::vector<std::string> trust;  // "10.0.0.0/8": proxies in front of us
  XForwarded x_forwarded = XForwarded::append;
  bool forwarded = false;            // the field of RFC 7239 besides
  bool request_id = false;           // X-Request-Id
  bool request_id_response = false;  // ... on the response, too
  std::string via;                   // our name in Via; empty: no such field

  bool operator==(const Forwarded&) const = default;
};

/// A redirect of ours. `to` may hold {host}, {path} (with its query).
struct Redirect {
  std::string to;
  int status = 302;

  bool operator==(const Redirect&) const = default;
};

/// An answer of ours.
struct Respond {
  int status = 200;
  std::string body;
  std::string type = "text/plain; charset=utf-8";

  bool operator==(const Respond&) const = default;
};

/// Requests of a host, a path, or both, and what becomes of them.
struct Rule {
  std::string host;  // empty: any; "*.example.com": every name below
  std::string path = "/";
  bool exact = false;
  std::string pool;  // after reading the name of a pool that exists
  std::string strip_prefix;
  std::optional<Redirect> redirect;
  std::optional<Respond> respond;
  // "Name: value"; removed ones are names
  std::vector<std::string> set_request_headers, add_request_headers, remove_request_headers;
  std::vector<std::string> set_response_headers, add_response_headers, remove_response_headers;

  bool operator==(const Rule&) const = default;
};

enum class RedirectAll : std::uint8_t { off, https };

/// Where the balancer listens.
struct Listener {
  bool operator==(const Listener&) const = default;
  std::string name;  // after reading never empty: "listener-1" for the first that has none
  Address listen;    // port 0: the system chooses
  Mode mode = Mode::http;
  std::string pool;  // after reading the name of a pool that exists
  Duration head_timeout = 10s;
  Duration idle_timeout = 60s;
  Duration keep_alive_timeout = 60s;  // after reading, unless written, the idle_timeout
  Duration tunnel_timeout = 1h;
  std::optional<ListenerTls> tls;
  std::string health_path;  // answered by ourselves; empty: none
  // mode http
  std::uint64_t max_body = 0;  // bytes; zero: no bound
  RedirectAll redirect = RedirectAll::off;
  int redirect_port = 443;
  Forwarded forwarded;
  std::vector<Rule> rules;
  std::vector<std::pair<std::string, std::string>> error_pages;  // status, path of a file
  StandsAt error_pages_stand_at;
  // Zero: only tunnel_timeout
  Duration client_timeout{0};
  Duration server_timeout{0};
  Duration half_closed_timeout{0};
  Duration write_timeout{0};
  int head_bytes = static_cast<int>(limits::kHeadBytesMax);
  int head_fields = static_cast<int>(limits::kHeadFieldsMax);
  Edge edge;
  std::vector<std::string> trusted;  // whose PROXY headers are believed
  ByteRate rate;
  WebSocketCare websocket;
  std::vector<SniRule> sni;
  bool mptcp = false;
};

/// Whether a connection to a server begins with a PROXY header, and of which version.
enum class ProxyProtocol : std::uint8_t { off, v1, v2 };

enum class Scheduler : std::uint8_t { round_robin, least_connections, random_two, source_hash, key_hash };
enum class AffinityKind : std::uint8_t {
  cookie_insert,
  cookie_rewrite,
  cookie_prefix,
  source_ip,
  ticket,
  key
};
enum class SameSite : std::uint8_t { unset, lax, strict, none };  // unset: no such attribute

struct CookieInsert {
  bool operator==(const CookieInsert&) const = default;
  std::string name = "REJOIN";
  // Zero, no bound, is the default: dates in a cookie count from the last response, and a WebSocket gets none
  // while it is open. The balancer remembers those that are open, but only as long as it runs.
  Duration max_idle{0};  // since the last use
  Duration max_life{0};  // since it was first given
  std::string domain;    // empty: no Domain attribute
  std::string path = "/";
  SameSite same_site = SameSite::lax;
  bool secure = false;
  bool http_only = true;
  bool partitioned = false;
  bool hide = true;        // strip it before the server
  std::string cross_site;  // the name of a second cookie, for pages of other sites; empty: none
};

struct CookieRewrite {
  bool operator==(const CookieRewrite&) const = default;
  std::string name;
};

struct CookiePrefix {
  bool operator==(const CookiePrefix&) const = default;
  std::string name;
};

struct SourceIp {
  bool operator==(const SourceIp&) const = default;
  Duration grace = 5min;  // after the last connection of an address closed
  int prefix = 32;        // bits of an IPv4 address that count
  int prefix_v6 = 128;
};

struct Ticket {
  bool operator==(const Ticket&) const = default;
  std::string cookie = "REJOIN-SESSION";  // as the gateways' session_cookie; REJOIN-TICKET counts, too
  Duration owner_gone = 60s;              // the session's grace: after it there is nothing to come back to
  Duration come_again = 1s;               // what a client is told to wait while its gateway is away
};

/// Where a request bears a key of the application. After reading exactly one of the three is not empty.
struct RequestKey {
  bool operator==(const RequestKey&) const = default;
  std::string header;
  std::string query;
  std::string cookie;
};

/// One entry of a pool's list. Only the options of its kind mean anything; the others keep their defaults.
struct Affinity {
  bool operator==(const Affinity&) const = default;
  AffinityKind kind = AffinityKind::cookie_insert;
  CookieInsert insert;
  CookieRewrite rewrite;
  CookiePrefix prefix;
  SourceIp source_ip;
  Ticket ticket;
  RequestKey key;
  bool strict = false;  // not of ticket

  /// The cookie of the three cookie kinds and of ticket; empty for source_ip and key.
  const std::string& cookie_name() const;
};

enum class HealthKind : std::uint8_t { off, tcp, http, tls };

/// From one status to another, both included.
struct StatusRange {
  bool operator==(const StatusRange&) const = default;
  int first = 200;
  int last = 200;
};

enum class OnDown : std::uint8_t { keep, close };

/// What clients' connections tell of a server.
struct Passive {
  bool operator==(const Passive&) const = default;
  int failures = 5;
  Duration within = 10s;
  Duration out = 30s;
};

struct Health {
  bool operator==(const Health&) const = default;
  HealthKind kind = HealthKind::off;
  std::string path = "/";
  std::string host;  // empty: the server's own IP:PORT
  std::vector<StatusRange> expect = {StatusRange{}};
  std::string weight_field = "Rejoin-Weight";  // empty: no server may ask for another weight
  Duration drain_time{0};                      // zero: as long as the server says that it drains
  Duration every = 2s;
  Duration timeout = 1s;
  int rise = 2;
  int fall = 3;
  std::optional<Passive> passive;  // none: failures count only where a probe, or a connect, fails
  OnDown on_down = OnDown::keep;
};

/// Connections to servers that wait for their next request.
struct KeepAlive {
  int connections = static_cast<int>(limits::kIdlePerServerMax);  // of each server, in each worker
  Duration idle = limits::kIdleServerConnectionS;
  Duration unsafe = 1s;  // requests that must not be sent twice go on one used within this time; 0: on none

  bool operator==(const KeepAlive&) const = default;
};

/// When a request is sent a second time.
struct RetryRules {
  std::vector<std::string> on = {"connect", "reset"};

  bool operator==(const RetryRules&) const = default;
};

enum class NameType : std::uint8_t { a, aaaa, srv };

struct Server {
  bool operator==(const Server&) const = default;
  std::string name;     // with `resolve`: what the names of its servers begin with
  Address address;      // this, or `resolve`
  int weight = 1;       // 0: no new clients, pinned ones still come
  std::string resolve;  // a name in DNS, which stands for servers: discovery.h of the balancer
  int port = 0;         // with `resolve` of type a or aaaa
  NameType type = NameType::a;
  bool backup = false;
  int max_connections = 0;  // 0: no bound
  std::string tls_name;     // whom its certificate must be for; empty: the pool's tls.name
};

/// Who waits when servers have no room. Size 0: nobody.
struct Queue {
  bool operator==(const Queue&) const = default;
  int size = 0;
  Duration timeout = 10s;
};

struct Pool {
  bool operator==(const Pool&) const = default;
  std::string name;
  Scheduler scheduler = Scheduler::round_robin;
  std::vector<Affinity> affinity;  // tried in order; cookie names differ, at most one source_ip, one ticket
  Health health;
  std::optional<RequestKey> hash_key;  // of scheduler key_hash; after reading there exactly then
  Queue queue;
  Duration slow_start{0};
  Duration burst{0};
  std::string unpin_field = "Rejoin-Unpin";  // empty: servers cannot
  Duration connect_timeout = 3s;
  int retries = 2;  // other servers tried when one refuses
  std::optional<ServerTls> tls;
  RetryRules retry;
  std::optional<Duration> response_timeout;  // for the head of an answer; none: the listener's idle_timeout
  KeepAlive keep_alive;
  ProxyProtocol proxy_protocol = ProxyProtocol::off;
  std::vector<Server> servers;  // at least one; names are unique in the pool
};

/// How names of servers are looked up.
struct Dns {
  bool operator==(const Dns&) const = default;
  std::vector<std::string> servers;  // "IP:PORT"; empty: those of /etc/resolv.conf
  Duration timeout = 2s;
  int tries = 3;
  Duration ttl_min = 1s;
  Duration ttl_max = 5min;
  Duration retry = 5s;        // after a failure
  Duration keep_empty = 30s;  // how long an answer without addresses is not believed
};

enum class GatewayListenerKind : std::uint8_t { websocket, tcp };
/// What clients of a listener speak: the resume protocol, or the game's own messages and nothing else.
enum class LinkProtocol : std::uint8_t { any, rejoin, plain };

struct GatewayListener {
  bool operator==(const GatewayListener&) const = default;
  std::string name;  // after reading never empty: its kind, then "websocket-2" and so on
  Address listen;
  GatewayListenerKind kind = GatewayListenerKind::websocket;
  LinkProtocol protocol = LinkProtocol::any;
  std::optional<ListenerTls> tls;
  Edge edge;
  bool mptcp = false;
};

enum class Overflow : std::uint8_t { pause, expire };

/// What outlives a client's connection, and for how long.
struct Session {
  bool operator==(const Session&) const = default;
  Duration grace = 60s;
  std::uint64_t window_bytes = 256 * 1024;
  int window_messages = 2048;  // 20 messages a second fill 512 in 26 s: less than the grace
  Overflow overflow = Overflow::pause;
  Duration pause = 5s;
  std::uint64_t memory_max = 1024ull * 1024 * 1024;  // of all replay windows together
  int sessions_max = 100'000;
  Duration spread = 1s;  // clients that all lose their link dial again within this time
};

/// How sessions go to the next process when the gateway is upgraded.
struct Upgrade {
  Duration over = 10s;     // links are told within this time, evenly
  Duration wait = 10s;     // and have so long to dial the new process beside
  Duration linger = 600s;  // clients without a way back keep the old process for so long
};

struct Heartbeat {
  bool operator==(const Heartbeat&) const = default;
  Duration ping = 15s;
  Duration dead = 40s;
};

/// What one client may send. Zero: no such bound.
struct ClientRate {
  bool operator==(const ClientRate&) const = default;
  int messages = 0;  // a second
  std::uint64_t bytes = 0;
};

/// The cookie by which a plain WebSocket client gets its session back.
struct SessionCookie {
  bool operator==(const SessionCookie&) const = default;
  std::string name = "REJOIN-SESSION";
  std::string domain;
  std::string path = "/";
  SameSite same_site = SameSite::lax;
  bool secure = true;
  bool partitioned = false;
};

/// Another gateway of the fleet, for clients that reach us with its tickets.
struct PeerGateway {
  bool operator==(const PeerGateway&) const = default;
  std::string name;
  Address websocket;  // its listeners; none: such links are not relayed
  Address tcp;
  ProxyProtocol proxy_protocol = ProxyProtocol::off;
  std::optional<ServerTls> tls{};  // both listeners speak it; its `name`, or their addresses, are verified
};

enum class UpstreamKind : std::uint8_t { echo, tcp, ws };
enum class Endian : std::uint8_t { big, little };

/// What stands behind a session. Only the options of its kind mean anything; the others keep their defaults.
struct Upstream {
  bool operator==(const Upstream&) const = default;
  UpstreamKind kind = UpstreamKind::echo;
  // tcp and ws: after reading exactly one of the two
  Address address;                                       // of the one game server
  std::string pool;                                      // the name of a pool that exists
  Duration connect_timeout = 3s;                         // with a pool, the pool's
  std::optional<ServerTls> tls;                          // with a pool, the pool's
  std::uint64_t message_max = limits::kMessageBytesMax;  // bytes, from the game server
  // tcp
  int length_bytes = 4;  // 2 or 4
  Endian endian = Endian::big;
  bool counts_itself = false;
  ProxyProtocol proxy_protocol = ProxyProtocol::off;
  // ws
  std::string path = "/";
  std::string host;  // empty: the game server's own IP:PORT
};

/// permessage-deflate (RFC 7692). `shared`: no context takeover, one deflater and one inflater a worker.
/// `dedicated`: with context takeover, a deflater and an inflater for each link.
enum class CompressionKind : std::uint8_t { off, shared, dedicated };

struct Compression {
  bool operator==(const Compression&) const = default;
  CompressionKind kind = CompressionKind::off;
  int window_bits = 12;
  int memory_level = 5;
  std::uint64_t min_bytes = 64;
  std::uint64_t memory_max = 256 * 1024 * 1024;  // of all dedicated deflaters and inflaters
  bool on_resumable_links = false;
};

struct Gateway {
  bool operator==(const Gateway&) const = default;
  std::string name;  // as the pool calls it
  int workers = 1;
  std::vector<GatewayListener> listeners;  // at least one
  Upstream upstream;
  std::uint64_t message_max = limits::kMessageBytesMax;  // bytes, from a client; unless written, at most
                                                         // what the upstream's length can say
  Duration handshake_timeout = 10s;
  Duration drain_timeout = 5s;  // after SIGTERM
  std::string
      cookie;  // a session cookie that the handshake sets for clients without one of ours; empty: none
  Session session;
  Heartbeat heartbeat;
  Upgrade upgrade;
  ClientRate rate;
  Compression compression;
  std::optional<SessionCookie> session_cookie;  // none: a plain client's session ends with its connection
  std::vector<std::string> origins;             // besides the host's own; "*": any
  std::vector<std::string> trusted_proxies;     // "10.0.0.0/8": whose X-Forwarded-For is believed
  std::vector<std::string> advertise;           // URLs at which this gateway itself can be dialled
  std::vector<PeerGateway> peers;
  std::string pages;  // a folder whose files the websocket listeners serve; empty: none
  StandsAt pages_stand_at;
};

struct Config {
  std::string file;  // as the caller named it
  Keys keys;
  Logging log;
  Tls tls;
  AccessLog access_log;
  Process process;
  Balancer balancer;
  std::vector<Listener> listeners;
  std::vector<Pool> pools;
  Dns dns;
  std::optional<Gateway> gateway;
  std::optional<Admin> admin;  // of the gateway, or of the balancer where there is no gateway
  /// What was found doubtful, sorted by place: log it at start. No errors are among them.
  std::vector<Diagnostic> warnings;

  /// Nothing when there is none by that name (cannot be for a listener's pool once the file was read without
  /// errors).
  const Pool* find_pool(std::string_view name) const;
  /// [balancer.admin], or else [admin] of a file without a gateway; nullptr: no such port.
  const Admin* admin_of_balancer() const;
  /// Paths in the file start at its folder: "seal.key" in "/etc/rejoin/play.toml" is "/etc/rejoin/seal.key".
  std::string resolve(std::string_view path) const;
};

/// A configuration and all that is wrong with it.
struct Reading {
  Config config;                        // fit for use only if ok(); config.warnings is then filled
  std::vector<Diagnostic> diagnostics;  // errors and warnings, sorted by place
  bool ok() const { return !has_errors(diagnostics); }
};

/// Reads TOML. Finds every error, not only the first; a syntax error is the exception, for nothing behind it
/// can be trusted. `file_name` is for messages and for relative paths; no file is opened. Never throws.
Reading read_config(std::string_view text, const std::string& file_name);
/// The same for a file of at most limits::kConfigBytesMax.
Reading read_config_file(const std::string& path);

/// As read_config for callers who only want it good: the Error's kind is `config`, its detail has every
/// error's text() on a line of its own.
Result<Config> parse_config(std::string_view text, const std::string& file_name);
Result<Config> load_config(const std::string& path);

}  // namespace rejoin::config
