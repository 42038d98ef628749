// WsFrameWalk on any bytes: the same borders and headers however they are cut, and never a byte more taken
// than was there. The first byte says who sends, the second how it is cut.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "proto/ws_frame_walk.h"

namespace {

using namespace rejoin;
using namespace rejoin::proto;

void check(bool held, const char* what) {
  if (held) return;
  std::cerr << "broken: " << what << "\n";
  std::abort();
}

std::vector<std::string> walk(WsRole sender, Bytes bytes, std::size_t piece) {
  WsFrameWalk walk(sender);
  std::vector<std::string> seen;
  std::size_t at = 0;
  while (at < bytes.size()) {
    Bytes part = bytes.substr(at, piece);
    while (!part.empty()) {
      const WsFrameWalk::Step step = walk.step(part);
      check(step.bytes <= part.size(), "taken what was not there");
      if (step.is == WsFrameWalk::Is::refused) {
        check(walk.refused() && !walk.reason().empty(), "a reason");
        seen.push_back("refused");
        return seen;
      }
      check(step.bytes > 0, "a step that goes nowhere");
      if (step.is == WsFrameWalk::Is::header) {
        check(walk.header().size() >= 2 && walk.header().size() <= 14, "a header's size");
        check(walk.message_bytes() >= walk.length() || walk.control(), "a message is as long as its frames");
        seen.push_back(std::string(walk.header()) + std::to_string(walk.length()));
      }
      at += step.bytes;
      part.remove_prefix(step.bytes);
      if (walk.at_boundary()) seen.push_back(std::to_string(at));
    }
  }
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const WsRole sender = (data[0] & 1) != 0 ? WsRole::client : WsRole::server;
  const Bytes bytes(reinterpret_cast<const char*>(data + 2), size - 2);
  const auto whole = walk(sender, bytes, bytes.size() + 1);
  check(whole == walk(sender, bytes, std::size_t{1} + data[1] % 32), "the cut changes what is seen");
  return 0;
}
