// For tests: whole files around the line that is wrong, and the comparison of what is said with what should
// be said.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "apps/config/config.h"

namespace rejoin::config {

inline constexpr std::string_view kListenerHead = "[[listener]]\nlisten = \"127.0.0.1:0\"\n";
inline constexpr std::string_view kPoolHead =
    "[[pool]]\nname = \"p\"\nserver = [ { name = \"a\", address = \"127.0.0.1:8000\" } ]\n";
inline constexpr std::string_view kGatewayHead =
    "[gateway]\nname = \"g\"\nlistener = [ { listen = \"127.0.0.1:0\" } ]\n";

inline std::string joined(std::initializer_list<std::string_view> parts) {
  std::string out;
  for (const std::string_view part : parts) out += part;
  return out;
}

inline std::string whole(std::string_view text) { return std::string(text); }
/// On line 3, in [[listener]].
inline std::string in_listener(std::string_view line) {
  return joined({kListenerHead, line, "\n", kPoolHead});
}
/// On line 2, as the listener's address.
inline std::string listen_at(std::string_view value) {
  return joined({"[[listener]]\nlisten = ", value, "\n", kPoolHead});
}
/// On line 6, in [[pool]].
inline std::string in_pool(std::string_view line) { return joined({kListenerHead, kPoolHead, line, "\n"}); }
/// On line 4, columns from 20: the gateway's session cookie.
inline std::string in_session_cookie(std::string_view keys) {
  return joined({kGatewayHead, "session_cookie = { ", keys, " }\n"});
}
/// On line 6, columns from 14: the entries of the pool's list.
inline std::string in_affinity(std::string_view entries) {
  return in_pool(joined({"affinity = [ ", entries, " ]"}));
}
/// The same file with keys behind it, which take no line before what is looked at.
inline std::string with_keys(std::string_view file) { return joined({file, "[keys]\nseal = [\"env:K\"]\n"}); }
/// On line 6, columns from 10.
inline std::string in_health(std::string_view table) { return in_pool(joined({"health = ", table})); }
/// On line 5, columns from 12: the only entries of the pool's servers.
inline std::string in_servers(std::string_view entries) {
  return joined({kListenerHead, "[[pool]]\nname = \"p\"\nserver = [ ", entries, " ]\n"});
}
/// On line 4, in [gateway].
inline std::string in_gateway(std::string_view line) { return joined({kGatewayHead, line, "\n"}); }

struct BadFile {
  std::string text;
  std::string_view said;  // all that is said of it, in order, a line each; the file is called "f"
};

inline void say_exactly(const std::vector<BadFile>& cases) {
  for (const BadFile& it : cases) {
    const Reading reading = read_config(it.text, "f");
    EXPECT_EQ(to_text(reading.diagnostics), std::string(it.said) + '\n') << it.text;
  }
}

}  // namespace rejoin::config
