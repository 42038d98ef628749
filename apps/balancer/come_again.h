// What a client is told whose server is away: come again, the session may still be there (spec/resume.md,
// 4404). Pure: heads in, bytes out.
//
// A client of the resume protocol gets a DETACH (again, with the time to wait) as its gateway would send it:
// behind a 101 where it opens a WebSocket that offers rejoin.v1, behind a length on TCP. Everybody else who
// speaks HTTP gets 503 with Retry-After.
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"
#include "proto/http_head.h"
#include "proto/ws_handshake.h"

namespace rejoin::balancer {

/// The answer to `request`; the connection ends after it. Error: exhausted, when `out` has no room.
Status write_come_again(Buffer& out, const proto::RequestHead& request, Duration wait,
                        proto::AcceptHasher& hasher);
/// The same for a client on TCP: the frame behind its length.
std::string come_again_on_tcp(Duration wait);

}  // namespace rejoin::balancer
