#include "apps/balancer/what_changed.h"

#include <algorithm>

#include "apps/config/units.h"

namespace rejoin::balancer {
namespace {

using config::Config;
using config::Listener;
using config::Pool;
using config::Server;

template <typename Named>
const Named* called(const std::vector<Named>& in, const std::string& name) {
  const auto at = std::find_if(in.begin(), in.end(), [&](const Named& it) { return it.name == name; });
  return at == in.end() ? nullptr : &*at;
}

/// "added: x", "removed: y" or "changed: z" of one list, in its order; the removed ones last.
template <typename Named, typename Added, typename Changed>
void compare(const std::string& what, const std::vector<Named>& before, const std::vector<Named>& now,
             std::vector<std::string>& out, Added added, Changed changed) {
  for (const Named& it : now) {
    const Named* const old = called(before, it.name);
    if (old == nullptr) out.push_back(what + it.name + ": added" + added(it));
    if (old != nullptr && !(*old == it)) changed(*old, it);
  }
  for (const Named& it : before) {
    if (called(now, it.name) == nullptr) out.push_back(what + it.name + ": removed");
  }
}

std::string server_change(const Server& before, const Server& now) {
  std::string out;
  const auto say = [&out](const std::string& text) { out += (out.empty() ? "" : ", ") + text; };
  if (before.address != now.address) say("address " + now.address.text() + ", was " + before.address.text());
  if (before.weight != now.weight)
    say("weight " + std::to_string(now.weight) + ", was " + std::to_string(before.weight));
  return out.empty() ? "changed" : out;
}

void pools(const Config& before, const Config& now, std::vector<std::string>& out) {
  const auto count = [](const Pool& it) {
    return ", with " + std::to_string(it.servers.size()) + (it.servers.size() == 1 ? " server" : " servers");
  };
  compare("pool ", before.pools, now.pools, out, count, [&out](const Pool& old, const Pool& it) {
    Pool rules_before = old, rules_now = it;
    rules_before.servers.clear();
    rules_now.servers.clear();
    if (!(rules_before == rules_now)) out.push_back("pool " + it.name + ": changed");
    compare(
        "server " + it.name + '/', old.servers, it.servers, out,
        [](const Server& server) { return ", at " + server.address.text(); },
        [&](const Server& one, const Server& other) {
          out.push_back("server " + it.name + '/' + other.name + ": " + server_change(one, other));
        });
  });
}

void restart_only(const Config& before, const Config& now, std::vector<std::string>& out) {
  const auto say = [&out](const std::string& key, const std::string& was, const std::string& is) {
    if (was != is) out.push_back(key + ": " + is + ", was " + was);
  };
  say("balancer.workers", std::to_string(before.balancer.workers), std::to_string(now.balancer.workers));
  say("balancer.drain_timeout", config::duration_text(before.balancer.drain_timeout),
      config::duration_text(now.balancer.drain_timeout));
  const auto admin = [](const Config& of) { return of.admin ? of.admin->listen.text() : "none"; };
  say("admin.listen", admin(before), admin(now));
}

}  // namespace

WhatChanged what_changed(const Config& before, const Config& now) {
  WhatChanged out;
  compare(
      "listener ", before.listeners, now.listeners, out.done,
      [](const Listener& it) { return ", on " + it.listen.text(); },
      [&out](const Listener& old, const Listener& it) {
        out.done.push_back("listener " + it.name + ": " +
                           (old.listen == it.listen
                                ? "changed"
                                : "on " + it.listen.text() + ", was on " + old.listen.text()));
      });
  pools(before, now, out.done);
  restart_only(before, now, out.needs_restart);
  return out;
}

void keys_changed(const route::KeyRing& before, const route::KeyRing& now, WhatChanged& out) {
  const auto same = [](const route::Key& a, const route::Key& b) { return a.id() == b.id(); };
  if (std::equal(before.keys().begin(), before.keys().end(), now.keys().begin(), now.keys().end(), same))
    return;
  const bool first = !same(before.keys().front(), now.keys().front());
  out.done.push_back("keys: " + std::to_string(now.keys().size()) +
                     (now.keys().size() == 1 ? " key" : " keys") +
                     (first ? ", another one seals" : ", the same one seals"));
}

}  // namespace rejoin::balancer
