// What to write instead of an address that Address::parse refused.
#pragma once

#include <string>
#include <string_view>

#include "apps/config/key_table.h"

namespace rejoin::config {

/// `did you mean "0.0.0.0:8080"?` for ":8080", "*:8080" and "8080" of a listener, "localhost:80", "::1:80",
/// and the like; else how an address is written. Names are never looked up.
std::string address_hint(std::string_view text, AddressUse use);

}  // namespace rejoin::config
