// Request targets and the Host they name (RFC 9112 3.2, RFC 3986): is the text one, and which form has it?
//
// Used by RequestHead while it reads the request line and the Host field. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace rejoin::proto {

/// Only bytes that RFC 3986 lets stand in a URI without fragment: letters, digits, %-._~:/?[]@!$&'()*+,;= and
/// at least one; behind the first '?' also {}|\^` which browsers send there as they are (WHATWG URL, query
/// state). So no '#', space, control character, byte from 0x80 on, nor any of "<>. `%` is not looked behind:
/// it cannot change how a head is cut, and servers answer a bad escape themselves.
bool is_target_text(Bytes text);

/// `uri-host [":" port]`: a registered name or IPv4 address of letters, digits and -._~%!$&'()*+;= or an IPv6
/// address in brackets; the port, if there is a colon, 1 to 5 digits and at most 65535. Not empty. Stricter
/// than RFC 3986 in three things: no comma (two Host fields, joined by somebody, look so), no IPvFuture, no
/// empty port.
bool is_authority(Bytes text);
/// The same, and there is a port: what CONNECT asks for (RFC 9112 3.2.3).
bool is_authority_with_port(Bytes text);

/// Where the authority of an absolute-form target lies.
struct AbsoluteTarget {
  std::size_t authority_begin;
  std::size_t authority_length;
};
/// `http://` or `https://` in any case of letters, an authority without user information (RFC 9110 4.2.4),
/// then nothing or a path from '/' on. A query right behind the authority is refused: no client writes it,
/// and it has no origin-form without an edit. `text` is is_target_text().
std::optional<AbsoluteTarget> read_absolute_target(Bytes text);

}  // namespace rejoin::proto
