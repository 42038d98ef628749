// parse_dns_answer on anything: it ends, within its bounds, and what it took is fit for a log.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "proto/dns_answer.h"

namespace {

using namespace rejoin;

bool fit(const std::string& name) {
  if (name.size() > proto::kDnsNameBytesMax) return false;
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    if (!plain) return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto answer = proto::parse_dns_answer(as_bytes({data, size}));
  if (!answer) return 0;
  if (answer->answers.size() + answer->additional.size() > proto::kDnsRecordsMax) std::abort();
  for (const auto* list : {&answer->answers, &answer->additional}) {
    for (const proto::DnsRecord& record : *list) {
      if (!fit(record.name) || !fit(record.target) || record.ttl_s > 0x7fffffff) std::abort();
    }
  }
  return 0;
}
