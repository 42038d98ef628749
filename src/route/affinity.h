// Rules that find the server a client belongs to. A pool has an ordered list of them; the first that names a
// usable server wins, and the scheduler is asked when none does.
//
// One file per kind: cookie_insert, cookie_rewrite, cookie_prefix, source_ip, affinity_ticket, key_affinity.
// Three moments,
// all on the way of one request (at layer 4: of one connection, where only find() happens):
//   find()           what did the client bring?         -> Pin
//   server_sees()    what must the server not see?      -> the Cookie field that is forwarded
//   edit_response()  what must the client remember?     -> edits of the response head, 101 included
// What a rule found is in the Pin and travels with the request; a rule keeps nothing per request. What each
// does where HAProxy has the same mode: docs/decisions/0002-cookie-decisions-like-haproxy.md.
//
// Callers use the Router (router.h), not this. Owner: one Router; one worker's thread.
#pragma once

#include <cstdint>
#include <forward_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "base/result.h"
#include "proto/cookie.h"
#include "proto/http_editor.h"
#include "proto/http_head.h"
#include "proto/resume_frame.h"
#include "route/lease_table.h"
#include "route/maglev.h"
#include "route/pool.h"
#include "route/request_key.h"
#include "route/scheduler.h"
#include "route/seal.h"

namespace rejoin::route {

/// A client that wants a server: all that a rule may look at. Borrowed for the call.
struct Arrival {
  Address client;
  const proto::RequestHead* head = nullptr;  // none at layer 4
  TimePoint now{};
  UnixSeconds unix_now = 0;
  Bytes opening = {};  // layer 4: the first bytes, where Router::wants_opening()
};

/// What came of looking for a pin, one word per way it can end; each is counted.
enum class Reason : std::uint8_t {
  none,            // the client brought nothing
  found,           // names a server of this pool; whether that is usable is the Router's question
  malformed,       // brought something that is not of our form
  unknown_key,     // sealed by a key that we do not have
  forged,          // changed on the way, or of another pool or cookie
  expired,         // older than max_idle or max_life
  ahead,           // dated more than a day ahead: the clock of a balancer was wrong once
  unknown_server,  // opens, and names a server that the pool does not have any more
};
inline constexpr std::size_t kReasons = 8;
std::string_view to_string(Reason reason);

/// What one rule found in one arrival. 24 bytes.
struct Pin {
  /// By which it is known again: the key's hash, or that of the cookie's value where a table keeps its idle
  /// time.
  std::uint64_t key = 0;
  std::uint32_t first_use = 0;  // unix seconds, of a cookie that was found; else 0
  std::uint32_t last_use = 0;
  ServerIndex server = 0;  // only when found
  Reason reason = Reason::none;
  bool older_key = false;  // of a cookie that was found: Seal::is_of_older_key()

  bool found() const { return reason == Reason::found; }
};

using proto::SameSite;

// `strict` in each rule: a client whose server takes it not is refused instead of being sent to another.

/// A cookie of ours, sealed: server, first and last use.
struct CookieInsertRule {
  std::string name = "REJOIN";
  /// Zero: no such bound. Both are enforced by the dates inside the seal. The cookie itself is always a
  /// session cookie, without Max-Age: what it pins to, a server's memory of a visitor, does not outlive the
  /// visitor's browser either.
  Duration max_idle{0};
  Duration max_life{0};
  std::string domain;      // empty: no Domain attribute
  std::string path = "/";  // without it the next handshake on another path would not carry the cookie
  SameSite same_site = SameSite::lax;
  bool secure = false;
  bool http_only = true;
  bool partitioned = false;
  bool hide = true;  // the server never sees the cookie
  /// A second cookie with the same pin for pages of other sites, SameSite=None; Secure; Partitioned. Empty:
  /// none.
  std::string cross_site;
  bool strict = false;
};

/// The value of a cookie that the server itself sets is overwritten. The server sees our value in requests.
struct CookieRewriteRule {
  std::string name;
  bool strict = false;
};

/// A sealed prefix and '~' before the value of a cookie that the server itself sets. The server sees its own
/// value only.
struct CookiePrefixRule {
  std::string name;
  bool strict = false;
};

struct SourceIpRule {
  LeaseRules leases;
  bool strict = false;
};

/// A resume ticket (ticket.h), whose owner is a server of the pool. While the owner is away for less than
/// `owner_gone`, its clients are told to come again, and sent to no other.
struct TicketRule {
  std::string cookie = "REJOIN-SESSION";  // of plain WebSocket clients; proto::kTicketCookie counts, too
  Duration owner_gone = 60s;              // as long as a session lives without a link
  Duration come_again = 1s;               // what they are told to wait
};

/// A key of the application, by consistent hash.
struct KeyRule {
  KeyPlace key;
  bool strict = false;
};

using AffinityRule =
    std::variant<CookieInsertRule, CookieRewriteRule, CookiePrefixRule, SourceIpRule, TicketRule, KeyRule>;

/// What is wrong with a list of rules (Error: config), or nothing. At most limits::kAffinityRulesMax; cookie
/// names are tokens (RFC 6265 4.1.1) and differ; the rest of a cookie is as proto::CookieSpec::check() wants
/// it (SameSite=None and Partitioned only with secure, ...); at most one source-ip, grace not negative,
/// prefix 1 to 32, prefix_v6 1 to 128; at most one ticket, owner_gone not negative, come_again at least 1 ms;
/// a key has a name, and two keys differ.
Status check_affinity(const std::vector<AffinityRule>& rules);

/// Texts that edits borrow until they are written; a list, since its items never move.
using Texts = std::forward_list<std::string>;

class Affinity {
 public:
  virtual ~Affinity() = default;

  /// What the client brought. Never fails: whatever is not a pin of ours is as if absent, with its reason. Of
  /// several cookies of the rule's name the first that names a usable server wins, else the first that names
  /// any; if none does, the reason is the first one's. At most limits::kPinCookiesMax are opened.
  virtual Pin find(const Arrival& arrival) = 0;

  /// The server to which this pin leads now. For pins that name their server that one, whatever its state.
  virtual std::optional<ServerIndex> server_for(const Pin& pin, const Wanted& wanted);
  /// A client that is found was here before.
  virtual bool remembers() const { return true; }
  /// Its server takes it not: then nobody does.
  virtual bool strict() const { return false; }

  /// The cookies that the server must not see as the client sent them; none: the rule leaves requests alone.
  virtual std::span<const std::string_view> hidden_cookies() const { return {}; }
  /// What the server sees in its place: a part of `value`, or nothing when it is taken out.
  virtual std::optional<std::string_view> server_sees(std::string_view value) const { return value; }

  /// Before the response of `chosen` goes to the client that brought `pin`. True when a cookie of ours was
  /// planted, anew or for the first time. `edits` borrow from `texts`.
  virtual bool edit_response(const proto::ResponseHead& head, Pin& pin, ServerIndex chosen,
                             UnixSeconds unix_now, proto::HeadEdits& edits, Texts& texts);
  /// The cookie is ours alone; the server knows nothing of it.
  virtual bool plants_its_own() const { return false; }
  /// Does the server end this client's pin by taking back its own cookie?
  virtual bool ends_pin(const proto::ResponseHead& head, UnixSeconds unix_now) const;
  /// Instead of edit_response(), when the server has ended the client's pin: the client shall forget ours.
  virtual void forget(const proto::ResponseHead& head, proto::HeadEdits& edits, Texts& texts);

  /// What becomes of a client whose server is away for less than `owner_gone`: it is told to come again after
  /// `come_again`. Zero: another server takes it at once.
  struct Patience {
    Duration owner_gone{0};
    Duration come_again{0};
  };
  virtual Patience patience() const { return {}; }
  /// At layer 4 the rule looks at what the client says first, so that this must be waited for.
  virtual bool wants_opening() const { return false; }
};

/// What rules share with those of other workers: the pool's tables, where a rule needs them.
struct AffinityTables {
  LeaseTable* leases = nullptr;       // of a SourceIpRule
  LeaseTable* idle_leases = nullptr;  // of the first CookieInsertRule with max_idle
  MaglevShare* maglev = nullptr;      // of a KeyRule
};

/// Pool, Seal and tables outlive the result.
std::unique_ptr<Affinity> make_affinity(const AffinityRule& rule, const Pool& pool, Seal& seal,
                                        const AffinityTables& tables);

/// The key under which a table of leases knows a pin that is no address.
Address lease_key(std::uint64_t key);

/// A Set-Cookie that deletes its cookie (RFC 6265 5.3: an expiry that is over).
bool is_deleted(const proto::SetCookie& cookie, UnixSeconds unix_now);

}  // namespace rejoin::route
