// Every bound that is not in the configuration: its name, its unit, its reason. The unit stands last in the
// name.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace rejoin::limits {

// --- bytes in flight ---
/// One block of a loop's BufferPool, and the most that one read lends. A request head with its edits fits in
/// one.
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
/// Options in a message's Connection fields. Each is compared with each field name, and real heads have one
/// to three.
inline constexpr std::size_t kConnectionOptionsMax = 32;
/// A request line longer than this is 414 (RFC 9112 3 asks for at least 8,000 octets).
inline constexpr std::size_t kRequestLineBytesMax = 8 * 1024;
/// Room kept beside a head for what a proxy adds (X-Forwarded-*, a cookie).
inline constexpr std::size_t kHeadEditsBytesMax = 4 * 1024;
/// Fields that a proxy replaces or adds in one head (dropped ones do not count), and bytes kept for their
/// values.
inline constexpr std::size_t kHeadEditsMax = 16;
inline constexpr std::size_t kHeadEditsKeptBytesMax = 512;
inline constexpr std::size_t kChunkLineBytesMax = 256;
inline constexpr std::size_t kTrailerBytesMax = 8 * 1024;

// --- WebSocket (RFC 6455) ---
inline constexpr std::size_t kControlPayloadBytesMax = 125;  // RFC 6455 5.5
inline constexpr std::uint64_t kMessageBytesMax = 1024 * 1024;
/// A compressed message may be longer on the wire than what it inflates to, by so much: bytes that do not
/// shrink take 9 bits each in DEFLATE's worst honest form, and small blocks have heads.
inline constexpr std::uint32_t kDeflateExpansionDivisor = 8;
inline constexpr std::uint32_t kDeflateExpansionBytes = 64;
/// A worker keeps blocks for what it deflates and inflates; larger ones are given back after use.
inline constexpr std::size_t kCompressionKeptBytes = 64 * 1024;

// --- the cookie ---
inline constexpr std::size_t kCookieValueBytesMax = 4096;  // RFC 6265 6.1
inline constexpr std::size_t kServerNameBytesMax = 64;
/// What a client's jar remembers (RFC 6265 6.1 asks for at least 50 a domain and 3000 in all).
inline constexpr std::size_t kJarCookiesMax = 3000;
inline constexpr std::size_t kJarCookiesPerDomainMax = 180;
/// An address that a person types.
inline constexpr std::size_t kUrlBytesMax = 4096;

// --- the resume protocol (spec/resume.md) ---
inline constexpr std::size_t kHelloBytesMax = 16 * 1024;
inline constexpr std::size_t kResumeBytesMax = 1024;
/// An item of the sub-protocol list that bears a RESUME; a longer one goes as the first message.
inline constexpr std::size_t kResumeItemBytesMax = 2048;
/// Of a reason in DETACH and CLOSE.
inline constexpr std::size_t kReasonBytesMax = 100;
/// A client's first frame stands whole within this time.
inline constexpr std::chrono::seconds kOpeningFrameS{5};
/// A session whose WELCOME was not answered.
inline constexpr std::chrono::seconds kUnconfirmedS{10};
/// Resumes of one session: this many in a row, then one each time this has passed. A client that needs more
/// is told to wait (4429); it has proved who it is, so nobody else can use its budget up.
inline constexpr int kResumesInARowMax = 20;
inline constexpr std::chrono::milliseconds kResumeEveryMs{250};
/// Opening frames that one link may send: when the first is refused, and that costs no dial, one more.
inline constexpr int kOpeningsPerLink = 2;
/// Openings with forged, unknown or unproven tickets from one address: so many in a row, then one each time.
inline constexpr int kBadOpeningsInARowMax = 200;
inline constexpr std::chrono::milliseconds kBadOpeningEveryMs{50};
inline constexpr std::size_t kBadOpenersMax = 65'536;
/// What a client is told to wait after it broke a rule, sent too fast, or could not be admitted.
inline constexpr std::uint32_t kTooFastWaitMs = 1000;
/// Ends of sessions that one worker remembers, for clients that come back to hear of them (130 bytes each).
inline constexpr std::size_t kEndedSessionsMax = 100'000;
/// Memory that an empty replay window keeps for its next message; an idle session gives that back, too.
inline constexpr std::uint32_t kWindowKeptBytes = 1024;
/// When an acknowledgement leaves on its own: whichever comes first (or a quarter of the window).
inline constexpr std::uint32_t kAckMessages = 32;
inline constexpr std::uint32_t kAckBytes = 16 * 1024;
inline constexpr std::chrono::milliseconds kAckDelayMs{200};
/// Links of a client that end in bad frames (4400), one after the other: then it begins anew with a HELLO.
inline constexpr int kBadFramesMax = 3;
/// What a client uses of a window at the most, whatever the gateway grants.
inline constexpr std::uint32_t kClientWindowBytesMax = 256 * 1024 * 1024;
/// A ticket is good for this long, is renewed at half of it, and this much skew of clocks is forgiven.
inline constexpr std::int64_t kTicketLifeSeconds = 24 * 3600;
inline constexpr std::int64_t kTicketSkewSeconds = 5 * 60;

// --- a client of the resume protocol: when it dials, and when it doubts its link ---
/// One dial, from the connect to WELCOME or RESUMED.
inline constexpr std::chrono::seconds kDialS{5};
/// The bound of the random time before a dial: this long before a gateway has told its own, doubled after
/// each failure, from at least kRedialMinMs up to kRedialMaxS.
inline constexpr std::chrono::milliseconds kSpreadUntoldMs{1000};
inline constexpr std::chrono::milliseconds kRedialMinMs{250};
inline constexpr std::chrono::seconds kRedialMaxS{20};
/// What a closing client takes at the most to say so, without a link.
inline constexpr std::chrono::seconds kSayCloseS{10};
/// A change of the network ends a dial that is older than this: it left by the path that is gone.
inline constexpr std::chrono::milliseconds kDialHeldMs{500};
inline constexpr int kRedirectsMax = 3;
/// For a PONG; up to the second on a path that has shown to be that slow.
inline constexpr std::chrono::seconds kPongS{2};
inline constexpr std::chrono::seconds kPongMaxS{10};
/// A timer this late shows that the machine slept.
inline constexpr std::chrono::seconds kLateTimerS{1};

// --- routing ---
inline constexpr std::size_t kServersPerPoolMax = 4096;
inline constexpr std::uint32_t kWeightMax = 65535;
/// Affinity rules on one pool. A request keeps what each of them found, in its coroutine's frame.
inline constexpr std::size_t kAffinityRulesMax = 4;
/// Servers that one client is sent to in turn when they refuse, the first included.
inline constexpr std::size_t kTriedServersMax = 8;
/// Cookies of a rule's name (or tickets) that one request may bring and that are opened; a browser sends one
/// per path and domain.
inline constexpr int kPinCookiesMax = 8;
/// Keys in a ring: the one that seals, and those that are being rotated away.
inline constexpr std::size_t kKeysMax = 16;
/// What one cookie or ticket may carry, sealed.
inline constexpr std::size_t kSealedPlainBytesMax = 1024;
/// Random 96-bit nonces are good for 2^32 seals under one key (NIST SP 800-38D 8.3), over all workers and
/// balancers that have it. One worker asks for a new key after this many: room for 16 such workers.
inline constexpr std::uint64_t kSealsPerWorkerWarn = std::uint64_t{1} << 28;
/// A cookie's dates are ignored when they lie further ahead than this: a balancer's clock was wrong once.
inline constexpr std::int64_t kCookieAheadSecondsMax = 24 * 3600;
/// A cookie is planted anew when its date of last use would move by this much, not at every response.
inline constexpr std::int64_t kCookieRefreshSeconds = 60;
/// Client addresses that one source-ip rule remembers (about 100 bytes each).
inline constexpr std::size_t kLeasesMax = 1024 * 1024;

// --- the configuration ---
inline constexpr std::size_t kConfigBytesMax = 1024 * 1024;
inline constexpr int kWorkersMax = 256;
inline constexpr std::size_t kListenersMax = 256;
inline constexpr std::size_t kPoolsMax = 1024;

inline constexpr std::size_t kOriginsMax = 256;
inline constexpr std::size_t kAdvertisedMax = 16;
inline constexpr std::size_t kPeersMax = 256;

// --- files ---
/// Descriptors run out: accepting pauses, and is tried again after this time or as soon as one of ours
/// closes.
inline constexpr std::chrono::milliseconds kAcceptRetryMs{100};

// --- clients that vanish without a word: TCP keep-alive finds them after 60 + 4 x 15 seconds ---
inline constexpr int kKeepAliveIdleS = 60;
inline constexpr int kKeepAliveIntervalS = 15;
inline constexpr int kKeepAliveProbesMax = 4;
/// A relay asks for it on its server's side when it is this old: most of four system calls that a handshake
/// in a storm is spared (docs/decisions/0026).
inline constexpr std::chrono::seconds kRelayKeepAliveAfterS{10};

// --- connections to servers kept for reuse ---
inline constexpr std::size_t kIdlePerServerMax = 128;
inline constexpr std::chrono::seconds kIdleServerConnectionS{30};

// --- TLS ---
/// Plain bytes in one record (RFC 8446 5.1).
inline constexpr std::size_t kTlsRecordBytes = 16 * 1024;
/// What a peer may send without a single byte of the application's among it: its handshake with its
/// certificates, or key updates, tickets and empty records. Then the connection ends.
inline constexpr std::size_t kTlsSilentBytesMax = 128 * 1024;
/// Peers whose TLS sessions a client keeps, and sessions of each.
inline constexpr std::size_t kTlsSessionPeersMax = 64;
inline constexpr std::size_t kTlsSessionsPerPeerMax = 2;
/// Closed by their owners, and not yet done with their last bytes (for kLingerMs); further ones end at once.
inline constexpr std::size_t kTlsLingeringMax = 1024;

// --- ending a connection whose client still sends: it must get to read our answer before a RST throws it
// away ---
inline constexpr std::chrono::milliseconds kLingerMs{1000};
inline constexpr std::size_t kLingerBytesMax = 256 * 1024;

// --- a link of the gateway ---
/// Past this many unsent bytes a link is not read; half of it, and it is read again. At most one message and
/// one read's answers come on top of it.
inline constexpr std::size_t kLinkUnsentHighBytes = 64 * 1024;
/// What a link fetches from its session's window at once: enough for a full write.
inline constexpr std::size_t kLinkFetchBytes = 16 * 1024;
/// A client that takes nothing of what waits for it for this long is gone.
inline constexpr std::chrono::seconds kLinkStallS{60};
/// A link that is in doubt has this long to show that it lives (spec/resume.md), and is looked at so often.
inline constexpr std::chrono::milliseconds kLinkDoubtMs{2000};
inline constexpr std::chrono::milliseconds kLinkLookMs{50};
/// From our close frame to the client's answer (and to our close frame having left); then the connection ends
/// without it.
inline constexpr std::chrono::seconds kCloseReplyS{3};
/// Between two requests on one connection of the gateway: longer than a balancer keeps one
/// (kIdleServerConnectionS).
inline constexpr std::chrono::seconds kGatewayIdleS{60};
/// From finish() to the end of a game server's connection.
inline constexpr std::chrono::seconds kGameCloseS{3};
/// A PROXY header that we write (proxy-protocol.txt 2: it fits in the smallest TCP segment).
inline constexpr std::size_t kProxyHeaderBytesMax = 536;
/// Of a client's cookie, in the echo upstream's greeting.
inline constexpr std::size_t kGreetingCookieBytesMax = 512;

// --- `rejoin connect` ---
/// A message that it takes from a server, and a line that it reads.
inline constexpr std::uint32_t kConnectMessageBytesMax = 16 * 1024 * 1024;
/// Past this many unsent bytes it reads no more lines.
inline constexpr std::size_t kConnectUnsentHighBytes = 64 * 1024;
/// A jar full of cookies of the largest size is larger; one of the usual size is far smaller.
inline constexpr std::size_t kCookieJarBytesMax = 4 * 1024 * 1024;
/// A session kept in a file: mostly the messages that were not acknowledged.
inline constexpr std::size_t kSavedSessionBytesMax = 64 * 1024 * 1024;
/// Addresses of one name that are tried.
inline constexpr std::size_t kAddressesPerNameMax = 8;

// --- the end of a program ---
/// What a gateway's clients have after SIGTERM, all in all: enough for kCloseReplyS and kLingerMs.
inline constexpr std::chrono::seconds kGatewayDrainS{10};
/// A worker that was told to stop has ended within this time, or the process leaves without it (and says that
/// this is a bug).
inline constexpr std::chrono::seconds kStopS{5};

}  // namespace rejoin::limits
