// Which certificate answers the name that a client asks for (SNI, RFC 6066 3): the names of the certificates
// in, the index of one out.
//
// A name that a certificate has exactly comes before one that a wildcard covers; among equals the certificate
// that was added first. `*` stands for one whole label, the leftmost (RFC 6125 6.4.3). Letters' case does not
// matter, nor a dot behind the name.
//
// A calculator. Constant once filled, and then safe from every thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace rejoin::io {

class TlsNames {
 public:
  /// `name` as it stands in a certificate. False: no client's name could ever match it ("p*y.example",
  /// "*.*.example", a dot in the wrong place), and it is left out.
  bool add(std::string_view name, std::size_t certificate);
  /// Nothing: no certificate is for this name.
  std::optional<std::size_t> find(std::string_view asked) const;
  bool empty() const { return exact_.empty() && below_.empty(); }

 private:
  using Table = std::unordered_map<std::string, std::size_t>;
  static std::optional<std::size_t> look_up(const Table& table, const std::string& name);

  Table exact_;
  Table below_;  // "play.example" for "*.play.example"
};

}  // namespace rejoin::io
