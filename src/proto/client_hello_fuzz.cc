// read_client_hello on any bytes: one verdict however they are cut, and a name that is one.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>

#include "proto/client_hello.h"

namespace {

void check(bool held, const char* what) {
  if (held) return;
  std::cerr << "broken: " << what << "\n";
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rejoin::proto;
  ClientHello hello;
  const HelloVerdict whole = read_client_hello({reinterpret_cast<const char*>(data), size}, hello);
  check((whole.state == HelloState::refused) == !whole.reason.empty(), "a reason");
  if (whole.state == HelloState::complete) {
    check(hello.name.size() <= 253, "a short name");
    check(std::none_of(
              hello.name.begin(), hello.name.end(),
              [](char c) { return c <= ' ' || c == '*' || c == '/' || (c >= 'A' && c <= 'Z') || c < 0; }),
          "a name in small letters");
  }
  bool decided = false;
  for (std::size_t cut = 0; cut <= std::min<std::size_t>(size, 400); ++cut) {
    const auto exact = std::make_unique<char[]>(cut);
    std::copy(data, data + cut, exact.get());
    ClientHello part;
    const HelloVerdict early = read_client_hello({exact.get(), cut}, part);
    if (early.state == HelloState::need_more) {
      check(!decided, "decided, and undecided again");
      continue;
    }
    check(!decided || early.state == HelloState::refused || cut == size, "complete before its end");
    decided = true;
    // Behind a complete one may stand whatever follows it; a refused one stays so.
    if (early.state == HelloState::refused)
      check(whole.state == HelloState::refused, "refused, and good again");
    if (early.state == HelloState::complete) return 0;
  }
  return 0;
}
