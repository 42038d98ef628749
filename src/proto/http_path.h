// The path of a request target as the server that serves it will read it, for whoever decides by it.
//
// "/a/../ws", "/%77s" and "//ws" are "/ws" to most servers: a rule that compares the bytes as they came could
// be walked around. Pure; any thread.
#pragma once

#include <optional>
#include <string>

#include "base/bytes.h"

namespace rejoin::proto {

/// `target` (origin form: a path, perhaps with a query) without its query, in normal form (RFC 3986 6.2.2.2
/// and 6.2.2.3): escapes of unreserved characters are the characters, "." and ".." are resolved, and several
/// slashes are one. Other escapes stay as they are, "%2F" too. The result is a view into `target` when that
/// is in normal form already (the usual case, which costs one look at each byte), else into `scratch`.
/// Nothing: it is none ("*"), leads out of the root, or has a '%' without two hexadecimal digits.
std::optional<Bytes> normal_path(Bytes target, std::string& scratch);

/// What stands behind the path: the '?' and the query, or nothing.
Bytes query_of(Bytes target);

}  // namespace rejoin::proto
