// Who a client is when it reaches us through a proxy: the balancer tells in X-Forwarded-For, and only who is
// trusted is believed.
//
// Pure. Used once per request for a WebSocket.
#pragma once

#include "base/address.h"
#include "base/prefix_set.h"
#include "proto/http_head.h"

namespace rejoin::gateway {

/// The last address in X-Forwarded-For that is not of a trusted proxy (each proxy appends the one that it
/// heard from, and what stands before the first stranger may be invented); `peer` when nobody is trusted, or
/// nothing is told. Its port is 0 unless it is the peer's own.
Address client_behind(const proto::RequestHead& request, const Address& peer, const PrefixSet& trusted);

}  // namespace rejoin::gateway
