// The cookie jar as a file, in the format of curl and wget.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "proto/cookie_jar.h"

namespace rejoin::connect {

/// Adds what stands in the file; a file that is not there is an empty jar. Errors: os (cannot be read),
/// bad_input (a line that is no cookie), too_large (more than limits::kCookieJarBytesMax).
Status load_jar(const std::string& path, proto::CookieJar& jar, UnixSeconds now);

/// Replaces the file by a new one of mode 0600 (a cookie is a right to come in), or leaves it as it was: a
/// reader never sees half of it. Error: os.
Status save_jar(const std::string& path, const proto::CookieJar& jar, UnixSeconds now);

}  // namespace rejoin::connect
