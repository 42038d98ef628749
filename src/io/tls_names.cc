#include "io/tls_names.h"

#include <algorithm>

namespace rejoin::io {
namespace {

constexpr std::size_t kNameBytesMax = 253;

/// In the form in which names are compared; nothing for what is no host name.
std::optional<std::string> host_name(std::string_view text) {
  if (text.size() > 1 && text.back() == '.') text.remove_suffix(1);
  if (text.empty() || text.size() > kNameBytesMax || text.front() == '.' || text.back() == '.' ||
      text.find("..") != text.npos) {
    return std::nullopt;
  }
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    if (!good) return std::nullopt;
  }
  return out;
}

}  // namespace

bool TlsNames::add(std::string_view name, std::size_t certificate) {
  const bool wildcard = name.starts_with("*.");
  if (wildcard) name.remove_prefix(2);
  std::optional<std::string> key = host_name(name);
  if (!key) return false;
  (wildcard ? below_ : exact_).emplace(std::move(*key), certificate);  // the first one stays
  return true;
}

std::optional<std::size_t> TlsNames::look_up(const Table& table, const std::string& name) {
  const auto found = table.find(name);
  return found == table.end() ? std::nullopt : std::optional(found->second);
}

std::optional<std::size_t> TlsNames::find(std::string_view asked) const {
  const std::optional<std::string> name = host_name(asked);
  if (!name) return std::nullopt;
  if (const auto exact = look_up(exact_, *name)) return exact;
  const std::size_t dot = name->find('.');
  return dot == name->npos ? std::nullopt : look_up(below_, name->substr(dot + 1));
}

}  // namespace rejoin::io
