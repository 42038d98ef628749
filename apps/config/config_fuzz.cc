// Any bytes are a configuration: it is read, or refused with diagnostics that can be printed, and nothing
// else happens.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "apps/config/config.h"

using namespace rejoin::config;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Reading reading = read_config(text, "fuzz.toml");
  for (const Diagnostic& it : reading.diagnostics) {
    // One line each, whatever the input had in it.
    if (it.text().find('\n') != std::string::npos || it.message.empty()) std::abort();
  }
  if (!reading.ok()) return 0;
  for (const Listener& it : reading.config.listeners) {
    if (it.name.empty() || !it.listen || !reading.config.find_pool(it.pool)) std::abort();
  }
  for (const Pool& pool : reading.config.pools) {
    if (pool.name.empty() || pool.servers.empty()) std::abort();
    for (const Server& it : pool.servers) {
      if (it.name.empty() || (it.address.port == 0) != !it.resolve.empty()) std::abort();
    }
  }
  return 0;
}
