// The files and folders that a configuration names and that are not keys (keys.h), certificates (tls_files.h)
// or tokens (secret.h): can they be used?
//
// Asked by `rejoin check`, and by the programs before they open anything and when they read their file again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "apps/config/config.h"

namespace rejoin::config {

/// A file that is sent with an error of ours is held in memory.
inline constexpr std::size_t kErrorPageBytesMax = 256 * 1024;

/// Whose files are looked at. One file may configure both programs, and neither needs the other's.
enum class FilesOf : std::uint8_t { balancer, gateway, both };

/// Errors: an error page that cannot be read or is too large, the access log's folder or the gateway's
/// `pages` that is no folder. Nothing is made or written.
std::vector<Diagnostic> check_named_files(const Config& config, FilesOf of);

}  // namespace rejoin::config
