#include "base/result.h"

#include <cerrno>
#include <cstring>

namespace rejoin {

std::string_view to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::bad_input: return "bad input";
    case ErrorKind::too_large: return "too large";
    case ErrorKind::unsupported: return "unsupported";
    case ErrorKind::timed_out: return "timed out";
    case ErrorKind::closed: return "closed";
    case ErrorKind::reset: return "reset";
    case ErrorKind::refused: return "refused";
    case ErrorKind::unreachable: return "unreachable";
    case ErrorKind::exhausted: return "exhausted";
    case ErrorKind::cancelled: return "cancelled";
    case ErrorKind::os: return "os";
    case ErrorKind::config: return "config";
  }
  return "?";
}

std::string_view to_string(Side side) {
  switch (side) {
    case Side::client: return "client";
    case Side::server: return "server";
    case Side::ours: return "ours";
  }
  return "?";
}

Error Error::from_errno(int errnum, std::string_view what, Side side) {
  ErrorKind kind = ErrorKind::os;
  Retry retry = Retry::no;
  switch (errnum) {
    case ECONNREFUSED: kind = ErrorKind::refused, retry = Retry::yes; break;
    case ECONNRESET:
    case EPIPE:
    case ECONNABORTED: kind = ErrorKind::reset; break;
    case ETIMEDOUT: kind = ErrorKind::timed_out, retry = Retry::yes; break;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN: kind = ErrorKind::unreachable, retry = Retry::yes; break;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
    case EADDRNOTAVAIL: kind = ErrorKind::exhausted; break;
    default: break;
  }
  Error error{kind, side, retry, std::string(what)};
  error.detail += ": ";
  error.detail += std::strerror(errnum);
  return error;
}

std::string to_string(const Error& error) {
  std::string out(to_string(error.kind));
  out += " (";
  out += to_string(error.side);
  out += ")";
  if (!error.detail.empty()) {
    out += ": ";
    out += error.detail;
  }
  return out;
}

}  // namespace rejoin
