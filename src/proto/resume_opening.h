// The first bytes of a TCP client, as a balancer sees them: does a RESUME come, whose ticket says where the
// client belongs? (spec/resume.md, "Opening a link".)
//
// A link's first frame stands behind a 4-byte length, and its first byte, the fifth of the stream, is its
// type. Only a RESUME is waited for whole, and it has 1 KiB at the most. Whatever else comes, a client of
// another protocol included, is passed on as it is, as soon as five bytes have shown it.
//
// Place: before the choice of a server at layer 4. Pure, without state.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/limits.h"

namespace rejoin::proto {

/// The most that opening_of() asks for.
inline constexpr std::size_t kOpeningBytesMax = 4 + limits::kResumeBytesMax;

struct Opening {
  enum class State : std::uint8_t {
    need_more,
    resume,  // `frame` is the first frame, whole. Its type is RESUME; the rest is for parse_resume() to judge
    other,   // anything else
  };
  State state = State::need_more;
  Bytes frame;  // in the bytes that were given
};

/// `bytes` are all that has come so far, from the first one on; more may follow than the frame.
Opening opening_of(Bytes bytes);

}  // namespace rejoin::proto
