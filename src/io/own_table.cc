#include "io/own_table.h"

#include <linux/close_range.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

namespace rejoin::io {
namespace {

constexpr int kFirstOfOurs = 3;  // behind stdin, stdout and stderr

Error cannot(int errnum) {
  Error error = Error::from_errno(errnum, "a table of descriptors for a thread");
  if (errnum == ENOSYS || errnum == EINVAL || errnum == EPERM) {
    error.kind = ErrorKind::unsupported;
    error.detail += " (close_range(2) is needed: Linux 5.9, and no sandbox that forbids it)";
  }
  return error;
}

}  // namespace

// Not unshare(2): sandboxes forbid it (Docker's does), for the sake of its other uses.
Status own_descriptor_table(std::vector<int> kept) {
  std::erase_if(kept, [](int one) { return one < kFirstOfOurs; });
  std::sort(kept.begin(), kept.end());
  // From the last gap down: it is never empty, so that the first call is always made, and copies the table
  // without what it closes.
  unsigned last = std::numeric_limits<int>::max();
  unsigned flags = CLOSE_RANGE_UNSHARE;
  for (auto at = kept.rbegin(); last >= kFirstOfOurs; ++at) {
    const unsigned first = at != kept.rend() ? static_cast<unsigned>(*at) + 1 : kFirstOfOurs;
    if (first <= last && close_range(first, last, static_cast<int>(std::exchange(flags, 0))) != 0)
      return cannot(errno);
    if (at == kept.rend()) break;
    last = static_cast<unsigned>(*at) - 1;
  }
  return {};
}

}  // namespace rejoin::io
