// Words and ranges that several files of the key table share. Private to them.
#pragma once

#include <cstdint>
#include <string_view>

#include "apps/config/key_table.h"
#include "base/clock.h"
#include "base/limits.h"

namespace rejoin::config {

// In the order of the enumerators.
inline constexpr std::string_view kLevels[] = {"debug", "info", "warn", "error", "off"};
inline constexpr std::string_view kModes[] = {"http", "tcp"};
inline constexpr std::string_view kRedirects[] = {"off", "https"};
inline constexpr std::string_view kSchedulers[] = {"round-robin", "least-connections", "random-two",
                                                   "source-hash", "key-hash"};
inline constexpr std::string_view kAffinityKinds[] = {"cookie-insert", "cookie-rewrite", "cookie-prefix",
                                                      "source-ip",     "ticket",         "key"};
inline constexpr std::string_view kSameSites[] = {"unset", "lax", "strict", "none"};
inline constexpr std::string_view kOnDown[] = {"keep", "close"};
inline constexpr std::string_view kHealthKinds[] = {"off", "tcp", "http", "tls"};
inline constexpr std::string_view kNameTypes[] = {"a", "aaaa", "srv"};
inline constexpr std::string_view kGatewayListenerKinds[] = {"websocket", "tcp"};
inline constexpr std::string_view kLinkProtocols[] = {"any", "rejoin", "plain"};
inline constexpr std::string_view kOverflows[] = {"pause", "expire"};
inline constexpr std::string_view kUpstreamKinds[] = {"echo", "tcp", "ws"};
inline constexpr std::string_view kEndians[] = {"big", "little"};
inline constexpr std::string_view kProxyProtocols[] = {"off", "v1", "v2"};
inline constexpr std::string_view kCompressionKinds[] = {"off", "shared", "dedicated"};

inline constexpr Range<Duration> kTimeout{1ms, 24h * 365};
inline constexpr Range<Duration> kFromZero{0s, 24h * 365};
inline constexpr Range<int> kWorkers{1, limits::kWorkersMax};
inline constexpr int kRetriesMax = static_cast<int>(limits::kTriedServersMax) - 1;
inline constexpr Range<std::uint64_t> kMessage{1, 64 * 1024 * 1024};
inline constexpr std::size_t kRulesMax = 1024;  // of one listener
inline constexpr std::size_t kErrorPagesMax = 64;

}  // namespace rejoin::config
