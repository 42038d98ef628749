#include "apps/demo/script.h"

#include <algorithm>
#include <cstdio>
#include <vector>

namespace rejoin::demo {
namespace {

using connect::Account;

const char* const kWifi = "127.0.0.5";
const char* const kMobile = "127.0.0.6";
const char* const kOtherMobile = "127.0.0.7";
const char* const kNewcomer = "127.0.0.8";
const char* const kJar = "client.jar";
/// Newcomers that may come until one of them reaches a gateway that has just been started: a probe comes
/// every 500 ms, a newcomer takes some 20.
constexpr int kNewcomersMax = 200;

// --- what an account says ---

std::string served_by(const Account& account) { return account.server.value_or("nobody"); }

std::string received_value(const Account& account, const std::string& name) {
  for (const auto& cookie : account.cookies_received) {
    if (cookie.name == name) return cookie.value;
  }
  return {};
}

std::string sent_value(const Account& account, const std::string& name) {
  for (const auto& cookie : account.cookies_sent) {
    if (cookie.name == name) return cookie.value;
  }
  return {};
}

/// What reached the gateway; empty: none.
std::string seen_value(const Account& account) {
  return account.messages.empty() ? std::string()
                                  : connect::greeting_member(account.messages[0], "cookie").value_or("");
}

std::string cut(const std::string& value) {
  constexpr std::size_t kEnd = 6;
  return value.size() <= 2 * kEnd + 3 ? value
                                      : value.substr(0, kEnd) + "..." + value.substr(value.size() - kEnd);
}

std::string cookie_text(const std::string& name, const std::string& value) { return name + "=" + cut(value); }

// --- one part of the experiment ---

struct CookieWords {
  std::string title, cookie;
  Setting setting;
};

CookieWords words_of(CookieKind kind) {
  switch (kind) {
    case CookieKind::insert:
      return {"COOKIE INSERT: the balancer plants a cookie of its own in the 101 response",
              "REJOIN",
              {"{ kind = \"cookie-insert\", name = \"REJOIN\" }", "http", ""}};
    case CookieKind::rewrite:
      return {"COOKIE REWRITE: the gateway sets a cookie, the balancer puts its own value in it",
              "SESSION",
              {"{ kind = \"cookie-rewrite\", name = \"SESSION\" }", "http", "SESSION"}};
    case CookieKind::prefix: break;
  }
  return {"COOKIE PREFIX: the gateway's cookie keeps its value, behind a prefix of the balancer's",
          "SESSION",
          {"{ kind = \"cookie-prefix\", name = \"SESSION\" }", "http", "SESSION"}};
}

/// A client with its jar, and what it saw.
class Client {
 public:
  Client(Stage& stage, Narrator& narrator, std::string cookie)
      : stage_(stage), narrator_(narrator), cookie_(std::move(cookie)) {}

  /// Connects and tells of it.
  Status come(const char* from) {
    Result<Account> account = stage_.visit(from, kJar);
    if (!account) return std::move(account.error());
    narrator_.visit(from, *account);
    held_value_ = value_;
    const std::string received = received_value(*account, cookie_);
    if (!received.empty()) value_ = received;
    visits_.push_back(std::move(*account));
    return {};
  }

  const Account& last() const { return visits_.back(); }
  const std::vector<Account>& visits() const { return visits_; }
  std::string server() const { return served_by(last()); }
  bool well() const { return !last().error && last().server; }
  /// The last connection sent the cookie that the jar had from before.
  bool sent_what_it_held() const {
    return !held_value_.empty() && sent_value(last(), cookie_) == held_value_;
  }

 private:
  Stage& stage_;
  Narrator& narrator_;
  std::string cookie_;
  std::string value_, held_value_;
  std::vector<Account> visits_;
};

Status three_connections(Client& client, CookieKind kind, Narrator& narrator, const std::string& cookie) {
  narrator.act("A client connects three times");
  bool sent = true, same = true;
  std::string server;
  for (int i = 0; i < 3; ++i) {
    Status came = client.come(kWifi);
    if (!came) return came;
    if (i == 0) {
      server = client.server();
      continue;
    }
    sent = sent && client.sent_what_it_held();
    same = same && client.well() && client.server() == server;
  }
  const std::vector<Account>& visits = client.visits();
  narrator.claim(!received_value(visits[0], cookie).empty(), "the first connection was given a cookie");
  narrator.claim(sent, "the second and the third sent back the cookie that they were given");
  narrator.claim(same && visits[0].server,
                 "all three cookies name one server, and all three were answered by " + server);
  if (kind == CookieKind::prefix) {
    const bool stripped = std::all_of(visits.begin() + 1, visits.end(), [&](const Account& visit) {
      const std::string seen = seen_value(visit), told = sent_value(visit, cookie);
      return !seen.empty() && seen.size() < told.size() && told.ends_with(seen);
    });
    narrator.claim(stripped, "the gateway saw its own value " + cut(seen_value(visits[1])) +
                                 ", without the balancer's prefix");
  }
  if (kind == CookieKind::rewrite) {
    const bool rewritten = !received_value(visits[0], cookie).starts_with(server + "-");
    narrator.claim(rewritten,
                   "the gateway's value never reached the client: the balancer's stands in its place");
  }
  return {};
}

Status change_of_address(Client& client, Narrator& narrator) {
  narrator.act("Wi-Fi to 4G: its address changes, and changes again");
  const std::string server = client.server();
  bool same = true;
  for (const char* from : {kMobile, kOtherMobile}) {
    Status came = client.come(from);
    if (!came) return came;
    same = same && client.well() && client.server() == server && client.last().local.ip_text() == from;
  }
  narrator.claim(same, "from two other addresses it was answered by " + server + " again");
  return {};
}

/// The gateway that served the client is killed; `lost` is its number.
Status loss_of_gateway(Stage& stage, Client& client, std::size_t lost, Narrator& narrator,
                       const std::string& cookie) {
  const std::string before = gateway_name(lost), after = gateway_name(1 - lost);
  narrator.act(before + " is killed");
  stage.kill_gateway(lost);
  Status came = client.come(kMobile);
  if (!came) return came;
  narrator.claim(client.well() && client.server() == after,
                 "without an error in between it was answered by " + after);
  narrator.claim(!received_value(client.last(), cookie).empty(), "and was given a new cookie");
  came = client.come(kMobile);
  if (!came) return came;
  narrator.claim(client.well() && client.sent_what_it_held() && client.server() == after,
                 "with which it came back to " + after);
  return {};
}

/// Newcomers come until one is answered by `awaited`. The last two are told of.
Status newcomers(Stage& stage, const std::string& awaited, Narrator& narrator) {
  Account before_last, last;
  for (int i = 0; i < kNewcomersMax; ++i) {
    Result<Account> account = stage.visit(kNewcomer, "");
    if (!account) return std::move(account.error());
    before_last = std::move(last);
    last = std::move(*account);
    if (i > 0 && served_by(last) == awaited) break;
  }
  narrator.visit(kNewcomer, before_last);
  narrator.visit(kNewcomer, last);
  narrator.claim(served_by(last) == awaited && before_last.server && served_by(before_last) != awaited,
                 "clients without a cookie go to both gateways in turn");
  return {};
}

Status return_of_gateway(Stage& stage, Client& client, std::size_t lost, Narrator& narrator) {
  const std::string after = client.server();
  narrator.act(gateway_name(lost) + " is started again");
  Status started = stage.start_gateway(lost);
  if (!started) return started;
  Status came = newcomers(stage, gateway_name(lost), narrator);
  if (!came) return came;
  came = client.come(kMobile);
  if (!came) return came;
  narrator.claim(client.well() && client.server() == after, "the client stays where it is now: " + after);
  return {};
}

}  // namespace

Status play_cookie_part(Children& children, const PrivateFolder& folder,
                        const std::array<Address, kGateways>& gateways, CookieKind kind, Narrator& narrator) {
  const CookieWords words = words_of(kind);
  narrator.title(words.title);
  Status status = folder.write(kJar, "");
  Stage stage(children, folder, gateways);
  if (status) status = stage.open(words.setting);
  Client client(stage, narrator, words.cookie);
  if (status) status = three_connections(client, kind, narrator, words.cookie);
  if (status) status = change_of_address(client, narrator);
  if (!status) return status;
  const std::size_t home = client.server() == gateway_name(0) ? 0 : 1;
  status = loss_of_gateway(stage, client, home, narrator, words.cookie);
  if (status) status = return_of_gateway(stage, client, home, narrator);
  return status;
}

Status play_source_ip_part(Children& children, const PrivateFolder& folder,
                           const std::array<Address, kGateways>& gateways, Narrator& narrator) {
  narrator.title("LAYER 4, for comparison: the balancer remembers the client's address (source-ip)");
  Status status = folder.write(kJar, "");
  Stage stage(children, folder, gateways);
  if (status) status = stage.open({"{ kind = \"source-ip\", grace = \"1m\" }", "tcp", ""});
  Client client(stage, narrator, "");
  narrator.act("A client connects, and connects again within the grace time");
  if (status) status = client.come(kWifi);
  if (status) status = client.come(kWifi);
  if (!status) return status;
  const std::string home = client.server();
  narrator.claim(client.well() && home == served_by(client.visits()[0]),
                 "from the same address it came back to " + home);

  narrator.act("Wi-Fi to 4G: its address changes");
  status = client.come(kMobile);
  if (!status) return status;
  narrator.expected_fault(
      client.well() && client.server() != home,
      "it came to " + client.server() + ", which does not know it: the fault that the cookies remove");
  status = client.come(kWifi);
  if (!status) return status;
  narrator.claim(client.well() && client.server() == home, "back on Wi-Fi it is at " + home + " again");
  return {};
}

// --- the narrator ---

void Narrator::title(const std::string& text) { std::printf("\n%s\n", text.c_str()); }

void Narrator::act(const std::string& text) {
  std::printf("\n %s\n", text.c_str());
  heads_said_ = false;
}

void Narrator::visit(const std::string& from, const Account& account) {
  const char* const format = "   %-10s  %-23s  %-23s  %-16s %s\n";
  if (!std::exchange(heads_said_, true)) {
    std::printf(format, "from", "cookie sent", "cookie received", "gateway saw", "server");
  }
  const std::string sent = account.cookies_sent.empty()
                               ? "-"
                               : cookie_text(account.cookies_sent[0].name, account.cookies_sent[0].value);
  const std::string received =
      account.cookies_received.empty()
          ? "-"
          : cookie_text(account.cookies_received[0].name, account.cookies_received[0].value);
  const std::string seen = seen_value(account);
  const std::string server = account.error ? "error: " + *account.error : served_by(account);
  std::printf(format, from.c_str(), sent.c_str(), received.c_str(), seen.empty() ? "-" : cut(seen).c_str(),
              server.c_str());
  std::fflush(stdout);
}

void Narrator::claim(bool held, const std::string& text) { verdict(held, "held", text); }

void Narrator::expected_fault(bool seen, const std::string& text) {
  verdict(seen, "not held, as expected", text);
}

void Narrator::verdict(bool held, const char* word, const std::string& text) {
  ++claims_;
  if (!held) ++failed_;
  std::printf("   %s: %s\n", held ? word : "FAILED", text.c_str());
  std::fflush(stdout);
}

void Narrator::note(const std::string& text) { std::printf("%s\n", text.c_str()); }

}  // namespace rejoin::demo
