#include "proto/http_response.h"

#include <array>
#include <cassert>
#include <charconv>

namespace rejoin::proto {
namespace {

/// Decimal digits of a number, in place.
class Decimal {
 public:
  explicit Decimal(std::size_t number)
      : end_(std::to_chars(text_.data(), text_.data() + text_.size(), number).ptr) {}
  Decimal(const Decimal&) = delete;
  Decimal& operator=(const Decimal&) = delete;
  Bytes view() const { return {text_.data(), static_cast<std::size_t>(end_ - text_.data())}; }

 private:
  std::array<char, 20> text_;
  char* end_;
};

Bytes connection_line(NextHop next) {
  switch (next) {
    case NextHop::close: return "Connection: close\r\n";
    case NextHop::persist_aloud: return "Connection: keep-alive\r\n";
    default: return {};
  }
}

}  // namespace

Bytes reason_phrase(int status) {
  switch (status) {
    case 100: return "Continue";
    case 101: return "Switching Protocols";
    case 200: return "OK";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 410: return "Gone";
    case 408: return "Request Timeout";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 417: return "Expectation Failed";
    case 421: return "Misdirected Request";
    case 426: return "Upgrade Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    case 508: return "Loop Detected";
    default: return "Unknown";
  }
}

Status write_simple_response(Buffer& out, const SimpleResponse& response) {
  assert(response.status >= 200 && response.status <= 599 && response.next != NextHop::upgrade);
  const Decimal status(static_cast<std::size_t>(response.status));
  const Bytes reason = reason_phrase(response.status);
  const std::array<Bytes, 4> own_text = {status.view(), " ", reason, "\n"};
  const std::array<Bytes, 4> given_text = {response.text};
  const auto& text = response.text.empty() ? own_text : given_text;
  std::size_t length = 0;
  for (Bytes part : text) length += part.size();
  const Decimal length_digits(length);

  const bool with_body = response.request_method != Method::head && !response.text_apart;
  const std::array<Bytes, 16> parts = {
      "HTTP/1.1 ",
      status.view(),
      " ",
      reason,
      "\r\nContent-Type: ",
      response.type,
      "\r\nCache-Control: no-store\r\nContent-Length: ",
      length_digits.view(),
      "\r\n",
      response.field_lines,
      connection_line(response.next),
      "\r\n",
      with_body ? text[0] : Bytes{},
      with_body ? text[1] : Bytes{},
      with_body ? text[2] : Bytes{},
      with_body ? text[3] : Bytes{},
  };
  std::size_t total = 0;
  for (Bytes part : parts) total += part.size();
  if (out.room() < total) return Error{ErrorKind::exhausted, Side::ours, Retry::no, "no room for a response"};
  for (Bytes part : parts) out.append(part);
  return {};
}

}  // namespace rejoin::proto
