// The only unit of this folder that includes nlohmann-json (seconds of compiling).
#include <cstdio>
#include <nlohmann/json.hpp>

#include "apps/connect/account.h"

namespace rejoin::connect {
namespace {

using Json = nlohmann::ordered_json;

template <typename T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json address_or_null(const Address& address) { return address ? Json(address.text()) : Json(nullptr); }

template <typename T>
std::optional<T> optional_of(const Json& value) {
  return value.is_null() ? std::optional<T>() : value.get<T>();
}

Address address_of(const Json& value) {
  if (value.is_null()) return {};
  const Result<Address> address = Address::parse(value.get<std::string>());
  return address ? *address : Address();
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
  Json links = Json::array();
  for (const LinkAccount& link : account.links) {
    links.push_back({{"kind", link.resumed ? "resumed" : "open"},
                     {"url", link.url},
                     {"local", link.local},
                     {"peer", link.peer},
                     {"epoch", link.epoch},
                     {"dials", link.dials},
                     {"round_trips", link.round_trips},
                     {"took_ms", link.took_ms},
                     {"whole", link.whole},
                     {"to_come", link.to_come},
                     {"sent_again", link.sent_again}});
  }
  Json cookies = Json::array();
  for (const SentCookie& cookie : account.cookies)
    cookies.push_back({{"name", cookie.name}, {"value", cookie.value}});
  Json out;
  out["connection"] = account.number;
  out["url"] = account.url;
  out["links"] = std::move(links);
  out["cookies"] = std::move(cookies);
  out["messages"] = account.messages;
  out["server"] = or_null(account.server);
  out["sent"] = account.sent;
  out["sent_again"] = account.sent_again;
  out["duplicates_dropped"] = account.duplicates_dropped;
  out["end_code"] = or_null(account.end_code);
  out["error"] = or_null(account.error);
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string to_json(const Account& account) {
  Json sent = Json::array();
  for (const SentCookie& cookie : account.cookies_sent)
    sent.push_back({{"name", cookie.name}, {"value", cookie.value}});
  Json received = Json::array();
  for (const ReceivedCookie& cookie : account.cookies_received) {
    received.push_back({{"name", cookie.name}, {"value", cookie.value}, {"attributes", cookie.attributes}});
  }
  Json out;
  out["connection"] = account.number;
  out["url"] = account.url;
  out["local"] = address_or_null(account.local);
  out["peer"] = address_or_null(account.peer);
  out["status"] = or_null(account.status);
  out["cookies_sent"] = std::move(sent);
  out["cookies_received"] = std::move(received);
  out["messages"] = account.messages;
  out["server"] = or_null(account.server);
  out["close_code"] = or_null(account.close_code);
  out["error"] = or_null(account.error);
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<Account> from_json(std::string_view line) {
  // The library throws where a member is missing or of another kind; nothing leaves this function.
  try {
    const Json in = Json::parse(line);
    Account out;
    out.number = in.at("connection").get<int>();
    out.url = in.at("url").get<std::string>();
    out.local = address_of(in.at("local"));
    out.peer = address_of(in.at("peer"));
    out.status = optional_of<int>(in.at("status"));
    for (const Json& cookie : in.at("cookies_sent")) {
      out.cookies_sent.push_back(
          {cookie.at("name").get<std::string>(), cookie.at("value").get<std::string>()});
    }
    for (const Json& cookie : in.at("cookies_received")) {
      out.cookies_received.push_back({cookie.at("name").get<std::string>(),
                                      cookie.at("value").get<std::string>(),
                                      cookie.at("attributes").get<std::vector<std::string>>()});
    }
    out.messages = in.at("messages").get<std::vector<std::string>>();
    out.server = optional_of<std::string>(in.at("server"));
    out.close_code = optional_of<int>(in.at("close_code"));
    out.error = optional_of<std::string>(in.at("error"));
    return out;
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

std::optional<std::string> greeting_member(Bytes message, const std::string& name) {
  const Json greeting = Json::parse(message, nullptr, /*allow_exceptions=*/false);
  if (!greeting.is_object()) return std::nullopt;
  const auto member = greeting.find(name);
  if (member == greeting.end() || !member->is_string()) return std::nullopt;
  return member->get<std::string>();
}

std::unique_ptr<Reporter> make_json_reporter() { return std::make_unique<JsonReporter>(); }
std::unique_ptr<SessionReporter> make_json_session_reporter() {
  return std::make_unique<JsonSessionReporter>();
}

}  // namespace rejoin::connect
