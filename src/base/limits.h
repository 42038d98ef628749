// Every bound that is not in the configuration: its name, its unit, its reason. The unit stands last in the name.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace rejoin::limits {

// --- bytes in flight ---
/// One block of a loop's BufferPool, and the most that one read lends. A request head with its edits fits in one.
inline constexpr std::size_t kBufferBytes = 32 * 1024;
/// Reads of one connection in one turn of the loop, so that a flood on one does not starve the others.
inline constexpr int kReadsPerTurnMax = 4;
/// Events taken from the kernel in one turn.
inline constexpr int kEventsPerTurnMax = 256;
/// Connections accepted from one listener in one turn.
inline constexpr int kAcceptsPerTurnMax = 64;

// --- HTTP/1 (RFC 9112 asks for at least 8,000 octets of request line) ---
inline constexpr std::size_t kHeadBytesMax = 16 * 1024;
inline constexpr std::size_t kHeadFieldsMax = 128;
/// Room kept beside a head for what a proxy adds (X-Forwarded-*, a cookie).
inline constexpr std::size_t kHeadEditsBytesMax = 4 * 1024;
inline constexpr std::size_t kChunkLineBytesMax = 256;
inline constexpr std::size_t kTrailerBytesMax = 8 * 1024;

// --- WebSocket (RFC 6455) ---
inline constexpr std::size_t kControlPayloadBytesMax = 125;  // RFC 6455 5.5
inline constexpr std::uint64_t kMessageBytesMax = 1024 * 1024;

// --- the cookie ---
inline constexpr std::size_t kCookieValueBytesMax = 4096;  // RFC 6265 6.1
inline constexpr std::size_t kServerNameBytesMax = 64;

// --- files ---
/// Descriptors run out: accepting pauses, and is tried again after this time or as soon as one of ours closes.
inline constexpr std::chrono::milliseconds kAcceptRetryMs{100};

// --- connections to servers kept for reuse ---
inline constexpr std::size_t kIdlePerServerMax = 128;

}  // namespace rejoin::limits
