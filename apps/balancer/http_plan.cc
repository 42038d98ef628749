#include "apps/balancer/http_plan.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>

#include "apps/config/named_files.h"

namespace rejoin::balancer {
namespace {

Error wrong(const config::Listener& listener, const std::string& what) {
  return {ErrorKind::config, Side::ours, Retry::no, "listener " + listener.name + ": " + what};
}

/// Written by whoever checked the configuration: an IP address, with an optional /bits.
TrustedNetwork network_of(std::string_view text) {
  const std::size_t slash = text.find('/');
  const Result<Address> address = Address::parse_ip(text.substr(0, slash));
  if (!address) return {};
  TrustedNetwork network{*address, address->family == Address::Family::ipv4 ? 32u : 128u};
  if (slash != text.npos) std::from_chars(text.data() + slash + 1, text.data() + text.size(), network.bits);
  network.prefix = network.prefix.prefix(network.bits);
  return network;
}

std::string type_of(std::string_view file) {
  if (file.ends_with(".html") || file.ends_with(".htm")) return "text/html; charset=utf-8";
  if (file.ends_with(".json")) return "application/json";
  if (file.ends_with(".txt")) return "text/plain; charset=utf-8";
  return "application/octet-stream";
}

Result<ErrorPage> read_page(const config::Config& config, const config::Listener& listener,
                            const std::pair<std::string, std::string>& from) {
  const std::string path = config.resolve(from.second);
  ErrorPage page;
  std::from_chars(from.first.data(), from.first.data() + from.first.size(), page.status);
  page.type = type_of(path);
  std::ifstream file(path, std::ios::binary);
  page.bytes.assign(std::istreambuf_iterator<char>(file), {});
  if (!file.is_open() || file.bad())
    return wrong(listener, "error_pages: " + path + " cannot be read; it is sent with " + from.first);
  if (page.bytes.size() > config::kErrorPageBytesMax) {
    return wrong(listener, "error_pages: " + path + " is larger than " +
                               std::to_string(config::kErrorPageBytesMax / 1024) +
                               " KiB, which is too much for a page");
  }
  return page;
}

}  // namespace

bool HttpPlan::trusts(const Address& peer) const {
  return std::ranges::any_of(trust, [&](const TrustedNetwork& network) {
    return network.prefix.family == peer.family && peer.prefix(network.bits) == network.prefix;
  });
}

const ErrorPage* HttpPlan::page(int status) const {
  const auto found = std::ranges::find(pages, status, &ErrorPage::status);
  return found == pages.end() ? nullptr : &*found;
}

Result<HttpPlan> make_http_plan(const config::Config& config, const config::Listener& listener) {
  HttpPlan plan;
  for (const std::string& text : listener.forwarded.trust) plan.trust.push_back(network_of(text));
  for (const config::Rule& rule : listener.rules) {
    const std::string& name = rule.pool.empty() ? listener.pool : rule.pool;
    const auto pool = std::ranges::find(config.pools, name, &config::Pool::name);
    if (pool == config.pools.end()) return wrong(listener, "a rule: there is no pool \"" + name + "\"");
    plan.rules.push_back(make_rule(rule, static_cast<std::size_t>(pool - config.pools.begin())));
  }
  sort_rules(plan.rules);
  for (const auto& page : listener.error_pages) {
    auto read = read_page(config, listener, page);
    if (!read) return std::move(read.error());
    plan.pages.push_back(std::move(*read));
  }
  return plan;
}

}  // namespace rejoin::balancer
