// Files of this program that hold rights to come in (cookies, a saved session): small, read whole, replaced
// whole.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace rejoin::connect {

/// Nothing when there is no such file. Errors: os (cannot be read), too_large. `what` names it in errors:
/// "cookie jar".
Result<std::optional<std::string>> read_small_file(std::string_view what, const std::string& path,
                                                   std::size_t bytes_max);

/// Replaces the file by a new one of mode 0600, or leaves it as it was: a reader never sees half of it.
/// Error: os.
Status replace_small_file(std::string_view what, const std::string& path, Bytes contents);

/// No such file is fine, too.
Status remove_small_file(std::string_view what, const std::string& path);

}  // namespace rejoin::connect
