// However a client's first bytes are cut, the balancer says the same of them; and it never waits for more
// than it may.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "proto/resume_frame.h"
#include "proto/resume_opening.h"

using namespace rejoin;
using namespace rejoin::proto;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes input(reinterpret_cast<const char*>(data), size);
  Opening first;  // the first verdict, as the bytes come one by one
  std::size_t at = 0;
  while (first.state == Opening::State::need_more && at < size) first = opening_of(input.substr(0, ++at));
  if (first.state == Opening::State::need_more) {
    if (size >= kOpeningBytesMax) std::abort();
    return 0;
  }
  if (at < 5 || at > kOpeningBytesMax) std::abort();
  const Opening all = opening_of(input);
  if (all.state != first.state || all.frame != first.frame) std::abort();
  const bool is_resume = first.state == Opening::State::resume;
  if (is_resume != !first.frame.empty()) std::abort();
  if (is_resume && (first.frame.front() != 3 || at != 4 + first.frame.size())) std::abort();
  // The ticket lies in the frame, or there is none.
  if (const auto resume = is_resume ? parse_resume(first.frame) : std::nullopt) {
    if (resume->ticket.data() < first.frame.data()) std::abort();
    if (resume->ticket.data() + resume->ticket.size() > first.frame.data() + first.frame.size()) std::abort();
  }
  return 0;
}
