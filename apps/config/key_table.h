// The one table of keys: name, form, range, description of every key that a file may hold, in the order of
// the reference. Three readers walk it: the parser (read_config.cc), "did you mean", and the reference
// (reference.cc). Defaults are not repeated here: they are what a default-made struct of config.h holds.
//
// The table is code, not data: `visit(visitor, struct)` calls the visitor once for each key, with the member
// that it fills. Adding a key is adding one line to key_table.cc.
#pragma once

#include <array>
#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "apps/config/config.h"

namespace rejoin::config {

enum class Need : std::uint8_t { optional, required };

/// What every key has. `example` is a value in TOML's form (of a list of tables: one entry), and a good one:
/// it stands in the reference and in what is said of wrong values. reference_test.cc has the parser read
/// each.
struct Key {
  std::string_view name;
  std::string_view says;  // a sentence for the reference
  std::string_view example;
  Need need = Need::optional;
  std::string_view stands_for =
      {};  // what an absent key means, when it is not the struct's value: "the only pool"
};

inline constexpr std::size_t kStatusRangesMax = 16;

template <typename T>
struct Range {
  T min;
  T max;
};

/// What a text must look like. text_form_hint() says it in words.
enum class TextForm : std::uint8_t {
  name,               // 1 to 64 of letters, digits, '.', '_', '-': stands in logs, cookies and metrics
  cookie_name,        // a token (RFC 6265 4.1.1)
  cookie_path,        // begins with '/', no ';' and no control characters
  cookie_domain,      // empty, or a host name
  url_path,           // begins with '/', visible ASCII
  host,               // empty, or a name or address, with an optional port
  origin,             // "*", or scheme://host with an optional port (RFC 6454 7)
  network,            // an IP address, with an optional /bits
  link_url,           // ws://, wss://, tcp:// or tls://, with a host
  no_or_cookie_name,  // empty, or a token
  no_or_field_name,   // empty, or the name of a header field: a token (RFC 9110 5.1)
  parameter_name,     // empty, or visible ASCII
  host_pattern,       // a name or address without a port, or "*." and a name
  field,              // "Name: value", a field line of HTTP
  field_name,         // a token
  field_value,        // no control characters
  redirect_to,        // http://, https:// or a path, with {host} and {path}
  status,             // 400 to 599
  body_text,          // anything without NUL
  name_pattern,       // a host name, or "*." and one
  account,            // empty, or a user's or group's name
  file_path,          // of this machine; relative ones start at the configuration's folder
  server_name,        // empty, or a host name or IP address as in a certificate
};
bool fits(TextForm form, std::string_view text);
/// What would be right: "write 1 to 64 letters, digits, '.', '_' or '-'".
std::string_view text_form_hint(TextForm form);

/// A listener may leave its port to the system (0), a server may not. `listen_here`: best where only this
/// machine can reach it.
enum class AddressUse : std::uint8_t { listen, listen_here, connect };

/// What other programs call a key, and we call otherwise: "interval" is our "every". Empty when we know no
/// such word.
std::string_view our_word_for(std::string_view key);

/// How the file writes an enumerator.
std::string_view word_of(AffinityKind kind);
std::string_view word_of(HealthKind kind);
std::string_view word_of(CompressionKind kind);
std::string_view word_of(GatewayListenerKind kind);
std::string_view word_of(UpstreamKind kind);

class KeyVisitor;
void visit(KeyVisitor& visitor, Keys& it);
void visit(KeyVisitor& visitor, Logging& it);
void visit(KeyVisitor& visitor, AccessLog& it);
void visit(KeyVisitor& visitor, Process& it);
void visit(KeyVisitor& visitor, Balancer& it);
void visit(KeyVisitor& visitor, Tls& it);
void visit(KeyVisitor& visitor, CertificateFiles& it);
void visit(KeyVisitor& visitor, ListenerTls& it);
void visit(KeyVisitor& visitor, ServerTls& it);
void visit(KeyVisitor& visitor, Drain& it);
void visit(KeyVisitor& visitor, EdgeLimits& it);
void visit(KeyVisitor& visitor, ByteRate& it);
void visit(KeyVisitor& visitor, WebSocketCare& it);
void visit(KeyVisitor& visitor, SniRule& it);
void visit(KeyVisitor& visitor, Listener& it);
void visit(KeyVisitor& visitor, Forwarded& it);
void visit(KeyVisitor& visitor, Rule& it);
void visit(KeyVisitor& visitor, Redirect& it);
void visit(KeyVisitor& visitor, Respond& it);
void visit(KeyVisitor& visitor, RetryRules& it);
void visit(KeyVisitor& visitor, KeepAlive& it);
void visit(KeyVisitor& visitor, Affinity& it);
void visit(KeyVisitor& visitor, RequestKey& it);
void visit(KeyVisitor& visitor, Queue& it);
void visit(KeyVisitor& visitor, Passive& it);
void visit(KeyVisitor& visitor, Health& it);
void visit(KeyVisitor& visitor, Server& it);
void visit(KeyVisitor& visitor, Pool& it);
void visit(KeyVisitor& visitor, Dns& it);
void visit(KeyVisitor& visitor, GatewayListener& it);
void visit(KeyVisitor& visitor, Session& it);
void visit(KeyVisitor& visitor, Upgrade& it);
void visit(KeyVisitor& visitor, Heartbeat& it);
void visit(KeyVisitor& visitor, ClientRate& it);
void visit(KeyVisitor& visitor, Compression& it);
void visit(KeyVisitor& visitor, SessionCookie& it);
void visit(KeyVisitor& visitor, PeerGateway& it);
void visit(KeyVisitor& visitor, Upstream& it);
void visit(KeyVisitor& visitor, Gateway& it);
void visit(KeyVisitor& visitor, Admin& it);
void visit(KeyVisitor& visitor, Config& it);
/// Of a listener of whichever program: who may come in. `proxy_says` describes proxy_protocol.
void visit_edge(KeyVisitor& visitor, Edge& it, std::string_view proxy_says);
/// Of the balancer's listeners, besides.
void visit_listener_edge(KeyVisitor& visitor, Listener& it);

/// One call for each key. A visitor may change the member (the parser) or only look (the reference).
class KeyVisitor {
 public:
  virtual ~KeyVisitor() = default;

  virtual void text(const Key& key, std::string& into, TextForm form) = 0;
  virtual void integer(const Key& key, int& into, Range<int> range) = 0;
  virtual void flag(const Key& key, bool& into) = 0;
  virtual void duration(const Key& key, Duration& into, Range<Duration> range) = 0;
  virtual void size(const Key& key, std::uint64_t& into, Range<std::uint64_t> range) = 0;
  virtual void address(const Key& key, Address& into, AddressUse use) = 0;
  /// A list of texts, each of the form. At most `most`.
  virtual void texts(const Key& key, std::vector<std::string>& into, TextForm form, std::size_t most) = 0;
  /// A status (204), a range of them ("200-299"), or a list of either. At most kStatusRangesMax.
  virtual void statuses(const Key& key, std::vector<StatusRange>& into, Range<int> range) = 0;
  virtual void key_sources(const Key& key, std::vector<KeySource>& into) = 0;
  /// Where one secret is.
  virtual void secret_source(const Key& key, std::optional<KeySource>& into) = 0;
  /// A duration whose absence means something: `into` stays empty.
  virtual void duration(const Key& key, std::optional<Duration>& into, Range<Duration> range) = 0;
  /// A table whose keys are the file's own: `{ 503 = "sorry.html" }`. At most `most`, in the order of their
  /// keys.
  virtual void pairs(const Key& key, std::vector<std::pair<std::string, std::string>>& into, TextForm name,
                     TextForm value, std::size_t most) = 0;

  /// One of `words`; E's enumerators count from 0 in the order of the words.
  template <typename E>
  void choice(const Key& key, E& into, std::span<const std::string_view> words) {
    std::size_t index = static_cast<std::size_t>(into);
    choose(key, index, words);
    into = static_cast<E>(index);
  }

  /// A table that always exists: its absence means its defaults.
  template <typename T>
  void table(const Key& key, T& into) {
    one(key, [&](KeyVisitor& visitor) { visit(visitor, into); });
  }
  /// A table whose absence means something: `into` stays empty.
  template <typename T>
  void table(const Key& key, std::optional<T>& into) {
    one(key, [&](KeyVisitor& visitor) {
      into.emplace();
      visit(visitor, *into);
    });
  }
  /// A list of tables, written [[key]] or key = [ { ... } ]. Need::required: at least one.
  template <typename T>
  void list(const Key& key, std::vector<T>& into, std::size_t most) {
    many(key, most, [&](KeyVisitor& visitor) {
      into.emplace_back();
      visit(visitor, into.back());
    });
  }

  /// The keys that follow, up to the next call, belong to these values of the table's key `kind` only;
  /// `chosen` is the value that was read. An empty list: to all.
  virtual void only_for(std::initializer_list<std::string_view> kinds, std::string_view chosen) = 0;

 protected:
  using Visit = std::function<void(KeyVisitor&)>;
  virtual void choose(const Key& key, std::size_t& index, std::span<const std::string_view> words) = 0;
  /// Calls `fill` with a visitor of the table's keys when the table is there.
  virtual void one(const Key& key, const Visit& fill) = 0;
  /// Calls `add` once for each entry.
  virtual void many(const Key& key, std::size_t most, const Visit& add) = 0;
};

}  // namespace rejoin::config
