// The second act: a scene that goes on while links break under it.
#pragma once

#include <array>

#include "apps/demo/script.h"
#include "apps/demo/stage.h"

namespace rejoin::demo {

/// How the client finds the gateway that has its session.
enum class Road : std::uint8_t {
  ticket,  // the balancer reads the ticket
  cookie,  // the balancer knows its own cookie
  direct,  // the client dials the address that the gateway told it
};

/// A player walks through a scene of an unmodified game server; its link is cut in the middle, its address
/// changes, and changes again. Error: as play_cookie_part().
Status play_scene_part(Children& children, const PrivateFolder& folder,
                       const std::array<Address, kGateways>& gateways, Road road, Narrator& narrator);

}  // namespace rejoin::demo
