// read_proxy_header on any bytes: it says the same however its input is cut, never reads on behind a header,
// and what it accepts can be written again and means the same.
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>

#include "proto/proxy_reader.h"

namespace {

using namespace rejoin;
using namespace rejoin::proto;

void check(bool held, const char* what) {
  if (held) return;
  std::cerr << "broken: " << what << "\n";
  std::abort();
}

bool lies_in(Bytes part, Bytes whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes whole(reinterpret_cast<const char*>(data), size);
  ProxyHeard heard;
  const ProxyVerdict verdict = read_proxy_header(whole, heard);
  check(verdict.consumed <= size, "consumed what was not there");
  check((verdict.state == ProxyState::complete) == (verdict.consumed > 0), "consumed means complete");
  check((verdict.state == ProxyState::refused) == !verdict.reason.empty(), "a reason");
  for (const Bytes part : {heard.alpn, heard.authority, heard.unique_id, heard.session_id,
                           heard.tls_facts.version, heard.tls_facts.cipher, heard.tls_facts.common_name}) {
    check(lies_in(part, verdict.state == ProxyState::complete ? whole.substr(0, verdict.consumed) : whole),
          "a view outside of the header");
  }
  // Cut at every byte, on memory that ends there: first need_more, then one verdict for ever.
  bool decided = false;
  const std::size_t cuts_max = std::min<std::size_t>(size, 600);
  for (std::size_t cut = 0; cut <= cuts_max; ++cut) {
    const auto exact = std::make_unique<char[]>(cut);
    std::copy(data, data + cut, exact.get());
    ProxyHeard part;
    const ProxyVerdict early = read_proxy_header({exact.get(), cut}, part);
    if (early.state == ProxyState::need_more) {
      check(!decided, "decided, and undecided again");
      continue;
    }
    decided = true;
    check(early.state == verdict.state && early.consumed == verdict.consumed, "the cut changes the verdict");
  }
  if (verdict.state != ProxyState::complete || !heard.client || !heard.dialled) return 0;
  ProxyHeard again;
  check(read_proxy_header(write_proxy_v1(heard.client, heard.dialled).view(), again).state ==
            ProxyState::complete,
        "v1 of it");
  check(again.client == heard.client && again.dialled == heard.dialled, "v1 says the same");
  const auto binary = write_proxy_v2(heard.client, heard.dialled);
  check(binary && read_proxy_header(binary->view(), again).state == ProxyState::complete, "v2 of it");
  check(again.client == heard.client && again.dialled == heard.dialled, "v2 says the same");
  return 0;
}
