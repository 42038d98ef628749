// Url::parse on any bytes: what it accepts is safe to put into a request head and reads back as the same
// address; what it refuses is explained in printable words.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>

#include "proto/url.h"

namespace {

bool is_visible(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

void check(bool held, const char* what) {
  if (held) return;
  std::cerr << "broken: " << what << "\n";
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using rejoin::proto::Url;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const rejoin::Result<Url> url = Url::parse(text);
  if (!url) {
    const std::string& why = url.error().detail;
    check(!why.empty() && why.size() < 400, "a short explanation");
    check(std::all_of(why.begin(), why.end(), [](char c) { return c >= 0x20 && c < 0x7f; }),
          "printable explanation");
    return 0;
  }
  check(url->port != 0 && !url->host.empty(), "host and port");
  check(is_visible(url->target) && is_visible(url->authority()), "nothing that breaks a request head");
  check(url->target.empty() || url->target.front() == '/', "a target begins with a slash");
  check(url->host.find_first_of("/?#@[]") == std::string::npos,
        "nothing of the address's grammar in the host");
  check(url->path().front() == '/' && url->path().find('?') == std::string_view::npos, "path");
  const rejoin::Result<Url> again = Url::parse(url->text());
  check(again.ok() && *again == *url, "text() is the same address");
  return 0;
}
