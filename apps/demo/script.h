// The experiment as a script: acts with connections in them, and claims that hold or do not.
#pragma once

#include <array>
#include <string>

#include "apps/connect/account.h"
#include "apps/demo/stage.h"
#include "base/result.h"

namespace rejoin::demo {

/// Prints the account on stdout and counts the claims.
class Narrator {
 public:
  void title(const std::string& text);
  void act(const std::string& text);
  /// One connection, as a line under the columns' heads.
  void visit(const std::string& from, const connect::Account& account);
  /// "   held     TEXT" or "   FAILED   TEXT".
  void claim(bool held, const std::string& text);
  /// A claim whose point is that something does not work.
  void expected_fault(bool seen, const std::string& text);
  void note(const std::string& text);

  int claims() const { return claims_; }
  int failed() const { return failed_; }

 private:
  void verdict(bool held, const char* word, const std::string& text);
  int claims_ = 0, failed_ = 0;
  bool heads_said_ = false;
};

/// The three ways to remember by a cookie.
enum class CookieKind : std::uint8_t { insert, rewrite, prefix };

/// A client comes three times, moves from Wi-Fi to 4G, loses its gateway, and sees it return; all with one
/// kind of cookie. Error: the stage could not be held up (a process did not start, the user interrupted);
/// claims that fail are no errors.
Status play_cookie_part(Children& children, const PrivateFolder& folder,
                        const std::array<Address, kGateways>& gateways, CookieKind kind, Narrator& narrator);

/// The same client with layer-4 persistence: it comes back to its gateway until its address changes.
Status play_source_ip_part(Children& children, const PrivateFolder& folder,
                           const std::array<Address, kGateways>& gateways, Narrator& narrator);

}  // namespace rejoin::demo
