// A secret that the configuration points to: the admin port's token.
//
// Place: called once at start, before anything listens. The secret never appears in a diagnostic.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "apps/config/config.h"

namespace rejoin::config {

/// Bytes of a token.
inline constexpr std::size_t kTokenBytesMin = 16, kTokenBytesMax = 256;

struct SecretReading {
  std::string secret;  // good only if ok()
  std::vector<Diagnostic> diagnostics;
  bool ok() const { return !has_errors(diagnostics); }
};

/// Reads the token from its file or variable: kTokenBytesMin to kTokenBytesMax visible characters, with
/// spaces and line ends around them. `key` is for messages. Warned of: a file that others may read.
SecretReading load_token(const Config& config, const KeySource& source, const std::string& key);

/// The same without a configuration, for who is told by the command line: "file:PATH" or "env:NAME". Error:
/// config, what is wrong.
Result<std::string> load_token(std::string_view source);

/// Of the admin port; empty when it has none.
SecretReading load_admin_token(const Config& config, const Admin& admin, const std::string& table);

}  // namespace rejoin::config
