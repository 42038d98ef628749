// The parts list of the demo: children, folder, addresses, and the parts of the experiment one after the
// other.
#include "apps/demo/demo.h"

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <vector>

#include "apps/demo/access_network.h"
#include "apps/demo/children.h"
#include "apps/demo/scene.h"
#include "apps/demo/script.h"
#include "apps/demo/stage.h"
#include "apps/demo/web_page.h"
#include "examples/arena_server/arena_server.h"
#include "examples/game_server/game_server.h"

namespace rejoin::demo {
namespace {

constexpr int kFailed = 1;

std::vector<CookieKind> cookie_kinds(ShownAffinity shown) {
  switch (shown) {
    case ShownAffinity::insert: return {CookieKind::insert};
    case ShownAffinity::rewrite: return {CookieKind::rewrite};
    case ShownAffinity::prefix: return {CookieKind::prefix};
    case ShownAffinity::source_ip: return {};
    case ShownAffinity::all: break;
  }
  return {CookieKind::insert, CookieKind::rewrite, CookieKind::prefix};
}

int give_up(const Error& error) {
  std::printf("\nThe demo could not go on: %s\n", error.detail.c_str());
  return kFailed;
}

/// The program that knows nothing of Rejoin. In the same binary, so that the demo needs no other.
int be_game_server(const std::string& at) {
  const Result<Address> address = Address::parse(at);
  return address ? game_server::serve(address->ip_text(), address->port) : kFailed;
}

/// "a,b,c"
std::vector<Address> addresses_in(std::string_view list) {
  std::vector<Address> out;
  while (!list.empty()) {
    const std::string_view word = list.substr(0, list.find(','));
    list.remove_prefix(std::min(list.size(), word.size() + 1));
    const Result<Address> address = Address::parse(word);
    if (!address) return {};
    out.push_back(*address);
  }
  return out;
}

int be_arena_server(const std::string& at) {
  std::vector<arena_server::Door> doors;
  for (const Address& address : addresses_in(at)) doors.push_back({address.ip_text(), address.port});
  return doors.empty() ? kFailed : arena_server::serve(doors);
}

int be_access_network(const std::string& at) {
  const std::vector<Address> addresses = addresses_in(at);
  return addresses.size() == 2 ? run_access_network(addresses[0], addresses[1]) : kFailed;
}

Status play_way_back(Children& children, const PrivateFolder& folder,
                     const std::array<Address, kGateways>& gateways, ShownAffinity shown,
                     Narrator& narrator) {
  for (const CookieKind kind : cookie_kinds(shown)) {
    Status played = play_cookie_part(children, folder, gateways, kind, narrator);
    if (!played) return played;
  }
  return play_source_ip_part(children, folder, gateways, narrator);
}

Status play_scene(Children& children, const PrivateFolder& folder,
                  const std::array<Address, kGateways>& gateways, Narrator& narrator) {
  for (const Road road : {Road::ticket, Road::cookie, Road::direct}) {
    Status played = play_scene_part(children, folder, gateways, road, narrator);
    if (!played) return played;
  }
  return {};
}

}  // namespace

int run_demo(const DemoOptions& options) {
  if (!options.game_server_at.empty()) return be_game_server(options.game_server_at);
  if (!options.arena_server_at.empty()) return be_arena_server(options.arena_server_at);
  if (!options.access_network_at.empty()) return be_access_network(options.access_network_at);
  Children::OnLine on_line;
  if (options.detail == Detail::verbose) {
    on_line = [](const std::string& child, std::string_view line) {
      std::printf("      [%s] %.*s\n", child.c_str(), static_cast<int>(line.size()), line.data());
    };
  }
  Result<std::unique_ptr<PrivateFolder>> folder = PrivateFolder::make();
  if (!folder) return give_up(folder.error());
  const Result<std::array<Address, kGateways>> gateways = free_gateway_addresses();
  if (!gateways) return give_up(gateways.error());
  Children children(std::move(on_line));  // after the folder: they end before it is removed
  if (options.web) {
    const std::string at = options.web_at.empty() ? kPageAddress : options.web_at;
    const Status served = serve_web_page(children, **folder, *gateways, at);
    return served ? 0 : give_up(served.error());
  }

  Narrator narrator;
  narrator.note("Two gateways, g1 on " + (*gateways)[0].text() + " and g2 on " + (*gateways)[1].text() +
                ", and one balancer before them.");
  if ((*gateways)[0].ip_text() != "127.0.1.1")
    narrator.note("(Port 8000 of 127.0.1.1 or 127.0.1.2 is taken here.)");
  narrator.note("Every connection below is a real one, from the address that it names.");
  if (options.acts != ShownActs::scene) {
    const Status played = play_way_back(children, **folder, *gateways, options.affinity, narrator);
    if (!played) return give_up(played.error());
  }
  if (options.acts != ShownActs::way_back) {
    const Status played = play_scene(children, **folder, *gateways, narrator);
    if (!played) return give_up(played.error());
  }

  const int held = narrator.claims() - narrator.failed();
  narrator.note("\nThe same in a browser, to play with: rejoin demo --web, then http://" +
                std::string(kPageAddress) + "/");
  narrator.note("\n" + std::to_string(held) + " of " + std::to_string(narrator.claims()) + " claims held.");
  return narrator.failed() == 0 ? 0 : kFailed;
}

}  // namespace rejoin::demo
