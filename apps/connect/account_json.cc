// Accounts as JSON: what --json prints, and what reads it again.
#include <cstdio>

#include "apps/connect/account.h"
#include "watch/json.h"

namespace rejoin::connect {
namespace {

using watch::Json;

Json address_or_null(const Address& address) { return address ? Json(address.text()) : Json(); }

Json list_of(const std::vector<std::string>& texts) {
  Json out = Json::list();
  for (const std::string& text : texts) out.add(text);
  return out;
}

// Each of these says whether the member is there and of its kind.

bool take(const Json& from, std::string_view name, std::string& into) {
  const std::optional<std::string> text = from[name].text();
  if (text) into = *text;
  return text.has_value();
}
bool take(const Json& from, std::string_view name, int& into) {
  const std::optional<std::int64_t> number = from[name].integer();
  if (number) into = static_cast<int>(*number);
  return number.has_value();
}
bool take(const Json& from, std::string_view name, Address& into) {
  std::string text;
  if (!take(from, name, text)) return from.has(name) && from[name].is_null();
  const Result<Address> address = Address::parse(text);
  if (address) into = *address;
  return true;
}
template <typename T>
bool take(const Json& from, std::string_view name, std::optional<T>& into) {
  T value{};
  if (take(from, name, value)) {
    into = std::move(value);
    return true;
  }
  return from.has(name) && from[name].is_null();
}
bool take(const Json& from, std::string_view name, std::vector<std::string>& into) {
  for (const Json& item : from[name].items()) {
    if (!item.text()) return false;
    into.push_back(*item.text());
  }
  return from[name].kind() == Json::Kind::list;
}

bool take_cookies(const Json& from, Account& out) {
  for (const Json& cookie : from["cookies_sent"].items()) {
    SentCookie& sent = out.cookies_sent.emplace_back();
    if (!take(cookie, "name", sent.name) || !take(cookie, "value", sent.value)) return false;
  }
  for (const Json& cookie : from["cookies_received"].items()) {
    ReceivedCookie& received = out.cookies_received.emplace_back();
    if (!take(cookie, "name", received.name) || !take(cookie, "value", received.value) ||
        !take(cookie, "attributes", received.attributes)) {
      return false;
    }
  }
  return from["cookies_sent"].kind() == Json::Kind::list &&
         from["cookies_received"].kind() == Json::Kind::list;
}

class JsonReporter final : public Reporter {
 public:
  void connected(const Account&) override {}
  void answered(const Account&) override {}
  void received(const Account&) override {}
  void ended(const Account& account) override {
    const std::string line = to_json(account) + "\n";
    std::fwrite(line.data(), 1, line.size(), stdout);
    std::fflush(stdout);
  }
};

class JsonSessionReporter final : public SessionReporter {
 public:
  void linked(const SessionAccount&) override {}
  void lost(const SessionAccount&, const std::string&) override {}
  void received(const SessionAccount&) override {}
  void ended(const SessionAccount& account) override {
    const std::string line = to_json(account) + "\n";
    std::fwrite(line.data(), 1, line.size(), stdout);
    std::fflush(stdout);
  }
};

}  // namespace

std::string to_json(const SessionAccount& account) {
  Json links = Json::list();
  for (const LinkAccount& link : account.links) {
    Json one = Json::object();
    one.set("kind", link.resumed ? "resumed" : "open");
    one.set("url", link.url);
    one.set("local", link.local);
    one.set("peer", link.peer);
    one.set("epoch", link.epoch);
    one.set("dials", link.dials);
    one.set("round_trips", link.round_trips);
    one.set("took_ms", link.took_ms);
    one.set("whole", link.whole);
    one.set("to_come", link.to_come);
    one.set("sent_again", link.sent_again);
    links.add(std::move(one));
  }
  Json cookies = Json::list();
  for (const SentCookie& cookie : account.cookies) {
    Json one = Json::object();
    one.set("name", cookie.name);
    one.set("value", cookie.value);
    cookies.add(std::move(one));
  }
  Json out = Json::object();
  out.set("connection", account.number);
  out.set("url", account.url);
  out.set("links", std::move(links));
  out.set("cookies", std::move(cookies));
  out.set("messages", list_of(account.messages));
  out.set("server", account.server);
  out.set("sent", account.sent);
  out.set("sent_again", account.sent_again);
  out.set("duplicates_dropped", account.duplicates_dropped);
  out.set("end_code", account.end_code);
  out.set("error", account.error);
  return write_json(out);
}

std::string to_json(const Account& account) {
  Json sent = Json::list();
  for (const SentCookie& cookie : account.cookies_sent) {
    Json one = Json::object();
    one.set("name", cookie.name);
    one.set("value", cookie.value);
    sent.add(std::move(one));
  }
  Json received = Json::list();
  for (const ReceivedCookie& cookie : account.cookies_received) {
    Json one = Json::object();
    one.set("name", cookie.name);
    one.set("value", cookie.value);
    one.set("attributes", list_of(cookie.attributes));
    received.add(std::move(one));
  }
  Json out = Json::object();
  out.set("connection", account.number);
  out.set("url", account.url);
  out.set("local", address_or_null(account.local));
  out.set("peer", address_or_null(account.peer));
  out.set("status", account.status);
  out.set("cookies_sent", std::move(sent));
  out.set("cookies_received", std::move(received));
  out.set("messages", list_of(account.messages));
  out.set("server", account.server);
  out.set("close_code", account.close_code);
  out.set("error", account.error);
  return write_json(out);
}

std::optional<Account> from_json(std::string_view line) {
  const std::optional<Json> in = watch::parse_json(line);
  if (!in) return std::nullopt;
  Account out;
  const bool whole = take(*in, "connection", out.number) && take(*in, "url", out.url) &&
                     take(*in, "local", out.local) && take(*in, "peer", out.peer) &&
                     take(*in, "status", out.status) && take_cookies(*in, out) &&
                     take(*in, "messages", out.messages) && take(*in, "server", out.server) &&
                     take(*in, "close_code", out.close_code) && take(*in, "error", out.error);
  return whole ? std::optional(std::move(out)) : std::nullopt;
}

std::optional<std::string> greeting_member(Bytes message, const std::string& name) {
  const std::optional<Json> greeting = watch::parse_json(message);
  return greeting ? (*greeting)[name].text() : std::nullopt;
}

std::unique_ptr<Reporter> make_json_reporter() { return std::make_unique<JsonReporter>(); }
std::unique_ptr<SessionReporter> make_json_session_reporter() {
  return std::make_unique<JsonSessionReporter>();
}

}  // namespace rejoin::connect
