#include "apps/connect/jar_file.h"

#include "apps/connect/small_file.h"
#include "base/limits.h"

namespace rejoin::connect {
namespace {

constexpr std::string_view kWhat = "cookie jar";

}  // namespace

Status load_jar(const std::string& path, proto::CookieJar& jar, UnixSeconds now) {
  const auto text = read_small_file(kWhat, path, limits::kCookieJarBytesMax);
  if (!text) return text.error();
  if (!*text) return {};
  Status loaded = jar.load(**text, now);
  if (!loaded) loaded.error().detail = "cookie jar " + path + ": " + loaded.error().detail;
  return loaded;
}

Status save_jar(const std::string& path, const proto::CookieJar& jar, UnixSeconds now) {
  return replace_small_file(kWhat, path, jar.save(now));
}

}  // namespace rejoin::connect
