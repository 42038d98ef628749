// What the old and the new process of an upgraded gateway say to each other, one channel per worker.
//
//   new: ready                        it has the listeners
//   new: want(id, RESUME)             somebody is there who says that it is theirs
//   old: offer(serial, id, parcel)    and the game server's socket: it stands still here
//   new: take(serial) | refuse(serial, why)
//   old: yours(serial)                it is yours now: go on. Not before, as what was offered and not taken
//                                     goes on at the old process
//   old: revoke(serial)               no answer in time: not yours
//   old: not_here(id, ...)            in answer to want: what it knows
//   old: ended(id, ...)               how a session ended lately
//   old: connection(listener, client, bytes)   and its socket: for the new process, from the beginning
//   old: done                         nothing is left that anybody could come for
//
// The old process's end without `revoke` leaves the new one what was offered: nobody else has it any more.
// Place: departure.h and arrivals.h. A value; its views lie in the bytes that it was read from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/address.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "proto/resume_frame.h"
#include "route/ticket.h"

namespace rejoin::gateway {

struct MoveFrame {
  enum class Kind : std::uint8_t {
    ready = 1,
    want,
    offer,
    take,
    refuse,
    yours,
    revoke,
    not_here,
    ended,
    connection,
    done,
  };
  /// not_here, refuse: why.
  enum class Why : std::uint8_t {
    unknown,
    ended,       // `code`, `secret`
    not_proved,  // the RESUME's proof does not hold
    epoch_used,  // `number` is the session's epoch
    busy,        // it is here, and cannot go now: come again
    lives,       // a plain client's, and its link lives
  };

  Kind kind = Kind::ready;
  Why why = Why::unknown;
  std::uint16_t code = 0;
  std::uint32_t serial = 0;
  std::uint32_t number = 0;  // want, not_here: an epoch; offer: 1, a socket comes along; connection: the
                             // listener's place
  route::SessionId id{};
  proto::SessionSecret secret{};
  Duration keep{};  // ended: for how long it is still told
  Address client;   // connection
  Bytes body;

  std::string bytes() const;
  static std::optional<MoveFrame> read(Bytes bytes);
};

}  // namespace rejoin::gateway
