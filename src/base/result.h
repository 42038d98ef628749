// Errors as values. Every path that a byte can take returns Result<T> (or Status, which is Result<void>);
// exceptions are for reading the configuration only.
//
// An Error knows whose fault it is (`side`) and whether the same thing may be tried again (`retry`), because
// those two answers decide what a balancer does next: another server, a status code, or a closed connection.
#pragma once

#include <cassert>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace rejoin {

enum class ErrorKind : std::uint8_t {
  bad_input,    // the peer broke a protocol's rule
  too_large,    // a named limit (base/limits.h or the configuration) was passed
  unsupported,  // well-formed, and we do not do it
  timed_out,    // a deadline passed
  closed,       // the peer ended in an orderly way, earlier than it should have
  reset,        // the connection broke
  refused,      // nobody listens there
  unreachable,  // no route, or no usable server
  exhausted,    // descriptors, memory, ports
  cancelled,    // we are stopping
  os,           // any other errno
  config,       // the configuration cannot be used
};

/// Whose fault: the program that dialled us, the server we dialled, or ours.
enum class Side : std::uint8_t { client, server, ours };

/// May the same request be sent again, elsewhere or later?
enum class Retry : std::uint8_t { no, yes };

std::string_view to_string(ErrorKind kind);
std::string_view to_string(Side side);

struct [[nodiscard]] Error {
  ErrorKind kind = ErrorKind::os;
  Side side = Side::ours;
  Retry retry = Retry::no;
  std::string detail;  // one line for a log: what, where. Never a secret.

  /// From an errno of a socket call. ECONNREFUSED is `refused`, ECONNRESET and EPIPE are `reset`, and so on.
  static Error from_errno(int errnum, std::string_view what, Side side = Side::ours);
};

/// "refused (server): connect 127.0.0.1:8000"
std::string to_string(const Error& error);

/// Either a T or an Error. Test it before use; taking the value of an error is a bug and asserts.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return state_.index() == 0; }
  bool ok() const { return state_.index() == 0; }

  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(value()); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  T& value() {
    assert(ok());
    return *std::get_if<0>(&state_);
  }
  const T& value() const {
    assert(ok());
    return *std::get_if<0>(&state_);
  }
  Error& error() {
    assert(!ok());
    return *std::get_if<1>(&state_);
  }
  const Error& error() const {
    assert(!ok());
    return *std::get_if<1>(&state_);
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  explicit operator bool() const { return !error_; }
  bool ok() const { return !error_; }
  Error& error() {
    assert(error_);
    return *error_;
  }
  const Error& error() const {
    assert(error_);
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace rejoin
