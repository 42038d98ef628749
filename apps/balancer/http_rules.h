// Which rule is for a request: hosts and paths, the most specific first. Pure.
//
// Place on the path: behind the head of a request, before a pool is asked. Made once with the plan; any
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "apps/config/config.h"
#include "base/bytes.h"
#include "proto/http_editor.h"
#include "proto/http_head.h"

namespace rejoin::balancer {

/// What an operator wants changed in heads of one direction.
struct HeaderRules {
  std::vector<std::pair<std::string, std::string>> set, add;
  std::vector<std::string> remove;
  bool operator==(const HeaderRules&) const = default;
  bool empty() const { return set.empty() && add.empty() && remove.empty(); }
  /// Borrows from this until the head is written. Removed first, then set, then added.
  void apply(proto::HeadEdits& edits) const;
};

/// One `[[listener.rule]]`, ready.
struct RulePlan {
  enum class Host : std::uint8_t { any, below, name };  // from least to most specific
  Host host_kind = Host::any;
  std::string host;  // in small letters; of `below` with its dot: ".example.com"
  std::string path;  // without a '/' at its end, but for "/": "/ws" is for "/ws" and all below it
  bool exact = false;
  bool below_only = false;  // it was written "/ws/"
  std::size_t pool = 0;     // index into Plan::pools
  config::Rule rule;
  HeaderRules request, response;

  bool operator==(const RulePlan&) const = default;
  bool matches_host(Bytes host_without_port) const;
  bool matches_path(Bytes path) const;
};

/// `pool`: index of its pool. Everything else as in the configuration.
RulePlan make_rule(const config::Rule& rule, std::size_t pool);

/// Puts the most specific first: by host (a name, then the longest pattern, then any), then by the longest
/// path, `exact` before the same path and all below.
void sort_rules(std::vector<RulePlan>& rules);

/// The first of `rules` (sorted) that matches, or nullptr. `host` as the client said it, perhaps with a port;
/// `path` in normal form (proto::normal_path).
const RulePlan* find_rule(const std::vector<RulePlan>& rules, Bytes host, Bytes path);

/// "play.example" of "play.example:8080", "[::1]" of "[::1]:80".
Bytes without_port(Bytes host);

/// The target that the server sees: `target` without `prefix` in front of its path. `path` is the normal form
/// of its path, and begins with the prefix; it is what is cut when the target itself does not.
std::string strip_prefix(Bytes target, Bytes path, Bytes prefix);

/// `to` with {host} (without port) and {path} (with its query) filled in.
std::string redirect_location(Bytes to, Bytes host, Bytes path_and_query);

}  // namespace rejoin::balancer
