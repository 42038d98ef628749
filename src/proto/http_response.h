// Responses of our own: what a balancer or gateway says when no server speaks.
//
// Pure; writes into the buffer of whoever answers. Any thread.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"
#include "proto/http_editor.h"
#include "proto/http_head.h"

namespace rejoin::proto {

/// "Bad Gateway" for 502; "Unknown" for a status that we never send.
Bytes reason_phrase(int status);

/// A response with a short text as its body.
struct SimpleResponse {
  /// 200 to 599; one that has a body (not 204, not 304).
  int status = 500;
  /// The body. Empty: the status and its reason phrase in a line.
  Bytes text = {};
  /// Of what type the body is. Not checked, as field_lines.
  Bytes type = "text/plain; charset=utf-8";
  /// More field lines, each whole with its CRLF ("Retry-After: 1\r\n"). They are not checked: no bytes from
  /// outside.
  Bytes field_lines = {};
  /// `close` says so; `persist` says nothing, `persist_aloud` says keep-alive. Never `upgrade`.
  NextHop next = NextHop::close;
  /// Only the head is written: whoever has a long `text` sends it behind by themselves.
  bool text_apart = false;
  /// The method of the request: for HEAD the body is left out and its length still told (RFC 9110 9.3.2).
  Method request_method = Method::get;
};

/// Appends the response to `out`: status line, Content-Type, Content-Length, Cache-Control: no-store,
/// field_lines, Connection, body. ErrorKind::exhausted, and `out` as before, when there is no room (about 200
/// bytes and the texts).
Status write_simple_response(Buffer& out, const SimpleResponse& response);

}  // namespace rejoin::proto
