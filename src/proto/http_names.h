// Names of header fields that Rejoin gives a meaning to, as small numbers.
//
// A head is searched for the same few fields again and again (Host, Cookie, Upgrade, ...). The parser looks
// each name up once, while it validates it, and keeps the number; every later question compares one byte.
// Unknown names stay text. Pure functions on constant tables: any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace rejoin::proto {

/// At most 64 of them, so that a head can keep "is it there?" in one word. `other` is every name that is not
/// listed.
enum class KnownField : std::uint8_t {
  other,
  // what frames a message and names its receiver (RFC 9112)
  host,
  content_length,
  transfer_encoding,
  // of one hop only (RFC 9110 7.6.1)
  connection,
  keep_alive,
  proxy_connection,
  te,
  trailer,
  upgrade,
  expect,
  // who somebody is
  cookie,
  set_cookie,
  authorization,
  proxy_authorization,
  proxy_authenticate,
  www_authenticate,
  // what proxies tell
  via,
  forwarded,
  x_forwarded_for,
  x_forwarded_proto,
  x_forwarded_host,
  x_forwarded_port,
  x_real_ip,
  x_request_id,
  // the WebSocket handshake (RFC 6455 4)
  sec_websocket_key,
  sec_websocket_version,
  sec_websocket_protocol,
  sec_websocket_extensions,
  sec_websocket_accept,
  origin,
  // the rest of what browsers and servers send most; known so that their names need no check byte by byte
  user_agent,
  accept,
  accept_encoding,
  accept_language,
  cache_control,
  pragma,
  referer,
  content_type,
  content_encoding,
  content_range,
  range,
  max_forwards,
  if_match,
  if_none_match,
  if_modified_since,
  if_unmodified_since,
  if_range,
  date,
  age,
  expires,
  location,
  retry_after,
  vary,
  warning,
  server,
  etag,
  last_modified,
  count_,
};
static_assert(static_cast<int>(KnownField::count_) <= 64);

/// The number of a field name, in any case of letters; `other` when it is not listed. `name` may hold any
/// bytes.
KnownField known_field(Bytes name);
/// The same for the head parser, which has the name among other bytes: `readable` of them, at least `length`,
/// may be read from `at` on, and there is no control character in the name.
KnownField known_field(const char* at, std::size_t length, std::size_t readable);

/// The name as it is usually written ("Sec-WebSocket-Key"); empty for `other`.
Bytes name_of(KnownField field);

/// What else is fixed about a known name.
struct FieldTraits {
  /// RFC 9110 6.5.1: it frames, routes, authenticates or says how to read the content, so it must not come in
  /// a trailer.
  bool forbidden_in_trailer = false;
  /// A server behind us trusts it, or a message is framed by it. Two things follow. (1) A name that becomes
  /// this one when '_' is read as '-' is refused: CGI, WSGI and their kin fold both into one variable, so
  /// `X_Forwarded_For` would be a forged `X-Forwarded-For` that no proxy removed. (2) `Connection:` may not
  /// name it, see hop_by_hop().
  bool is_protected = false;
  /// RFC 9110 7.6.1: about this connection only; a proxy does not forward it.
  bool of_one_hop = false;
};
FieldTraits traits_of(KnownField field);

/// True for the bytes of a token (RFC 9110 5.6.2): letters, digits and !#$%&'*+-.^_`|~
bool is_token_byte(char byte);
/// True if `text` is one or more token bytes.
bool is_token(Bytes text);
/// Equal when the ASCII letters' case is ignored (field names, connection options, coding names).
bool equals_ignoring_case(Bytes a, Bytes b);
/// `text` without the spaces and tabs around it (OWS, RFC 9110 5.6.3).
Bytes trim_ows(Bytes text);

/// Takes the next item off a comma-separated list (RFC 9110 5.6.1), trimmed of OWS; `rest` becomes what is
/// behind its comma. Returns items as they are, empty ones too, and false when nothing is left. Quoted
/// strings are not understood: for lists of tokens (Connection, Upgrade, Transfer-Encoding,
/// Sec-WebSocket-Protocol).
///
///     Bytes rest = head.value(field), item;
///     while (next_list_item(rest, item)) ...
///
/// An empty value has one empty item.
bool next_list_item(Bytes& rest, Bytes& item);

/// True if the comma-separated `list` has `item`, ignoring case.
bool list_has(Bytes list, Bytes item);

}  // namespace rejoin::proto
