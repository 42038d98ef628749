// What a listener of mode `http` does with requests, made ready: rules, trusted proxies, error pages.
//
// Made with the plan, constant after that; shared by all workers.
#pragma once

#include <string>
#include <vector>

#include "apps/balancer/http_rules.h"
#include "apps/config/config.h"
#include "base/address.h"
#include "base/result.h"

namespace rejoin::balancer {

/// The largest error page.

/// A file that is sent with an error of ours.
struct ErrorPage {
  int status = 0;
  std::string type;  // Content-Type, by the ending of the file's name
  std::string bytes;
  bool operator==(const ErrorPage&) const = default;
};

/// An address with the first `bits` of it: "10.0.0.0/8".
struct TrustedNetwork {
  Address prefix;
  unsigned bits = 0;
  bool operator==(const TrustedNetwork&) const = default;
};

struct HttpPlan {
  std::vector<RulePlan> rules;  // the most specific first
  std::vector<TrustedNetwork> trust;
  std::vector<ErrorPage> pages;

  bool operator==(const HttpPlan&) const = default;
  bool trusts(const Address& peer) const;
  /// The page for a status, or nullptr.
  const ErrorPage* page(int status) const;
};

/// Reads the error pages. Error: config, a file that cannot be read or is too large; or a rule's pool that
/// does not exist.
Result<HttpPlan> make_http_plan(const config::Config& config, const config::Listener& listener);

}  // namespace rejoin::balancer
