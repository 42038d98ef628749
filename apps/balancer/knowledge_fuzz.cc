// Whatever a process before leaves: nothing crashes, what is read can be written and is read the same again,
// and a section is never more than what stands there.
//
// Input: a file as Inheritance reads it, and its bytes as Knowledge alone.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "apps/balancer/knowledge.h"
#include "apps/balancer/legacy.h"

namespace {

using namespace rejoin;
using namespace rejoin::balancer;

void check_knowledge(Bytes from) {
  const auto reading = read_knowledge(from);
  if (!reading) return;
  SecretBytes first, second;
  write_knowledge(reading->knowledge, first);
  const auto again = read_knowledge(view(first));
  if (!again || again->left_out != 0) std::abort();
  write_knowledge(again->knowledge, second);
  if (first != second) std::abort();
}

void check_is_within(Bytes part, Bytes whole) {
  if (part.empty()) return;
  if (part.data() < whole.data() || part.data() + part.size() > whole.data() + whole.size()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string input(reinterpret_cast<const char*>(data), size);
  const LegacySections sections = sections_of(input);
  check_is_within(sections.knowledge, input);
  check_is_within(sections.leases, input);
  check_knowledge(sections.knowledge);
  check_knowledge(input);
  return 0;
}
