// The server of a key that the request bears (a room, a player's name), by consistent hash; of the client's
// address where it bears none. See source_hash.h, and the affinity `key` (key_affinity.h), which may stand in
// a list with others.
#pragma once

#include "route/request_key.h"
#include "route/source_hash.h"

namespace rejoin::route {

class KeyHash final : public SourceHash {
 public:
  using SourceHash::SourceHash;
};

}  // namespace rejoin::route
