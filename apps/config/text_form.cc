#include <algorithm>
#include <charconv>
#include <initializer_list>

#include "apps/config/key_table.h"
#include "base/limits.h"

namespace rejoin::config {
namespace {

bool is_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

/// Letters, digits, and the bytes of `others`.
bool only(std::string_view text, std::string_view others) {
  return std::all_of(text.begin(), text.end(),
                     [&](char c) { return is_alnum(c) || others.find(c) != others.npos; });
}
bool visible_but(std::string_view text, char unwanted) {
  return std::all_of(text.begin(), text.end(), [&](char c) { return c > 0x20 && c < 0x7f && c != unwanted; });
}
/// scheme://host with an optional port, and nothing behind it.
bool is_place(std::string_view text, std::initializer_list<std::string_view> schemes) {
  const std::size_t end = text.find("://");
  if (end == text.npos || std::find(schemes.begin(), schemes.end(), text.substr(0, end)) == schemes.end()) {
    return false;
  }
  const std::string_view host = text.substr(end + 3);
  return !host.empty() && only(host, ".-_:[]");
}
bool is_network(std::string_view text) {
  const std::size_t slash = text.find('/');
  const Result<Address> address = Address::parse_ip(text.substr(0, slash));
  if (!address) return false;
  if (slash == text.npos) return true;
  const std::string_view bits = text.substr(slash + 1);
  unsigned number = 0;
  const auto [end, error] = std::from_chars(bits.data(), bits.data() + bits.size(), number);
  return error == std::errc() && end == bits.data() + bits.size() &&
         number <= (address->family == Address::Family::ipv4 ? 32u : 128u);
}
bool is_short(std::string_view text) { return !text.empty() && text.size() <= limits::kServerNameBytesMax; }

}  // namespace

bool fits(TextForm form, std::string_view text) {
  switch (form) {
    case TextForm::name: return is_short(text) && only(text, "._-");
    case TextForm::cookie_name: return is_short(text) && only(text, "!#$%&'*+-.^_`|~");
    case TextForm::cookie_path: return text.starts_with('/') && visible_but(text, ';');
    case TextForm::cookie_domain: return only(text, ".-");
    case TextForm::url_path: return text.starts_with('/') && visible_but(text, '#');
    case TextForm::host: return only(text, ".-_:[]");
    case TextForm::origin: return text == "*" || is_place(text, {"http", "https"});
    case TextForm::network: return is_network(text);
    case TextForm::link_url: return is_place(text, {"ws", "wss", "tcp", "tls"});
    case TextForm::file_path:
      return !text.empty() &&
             std::none_of(text.begin(), text.end(), [](char c) { return c >= 0 && c < 0x20; });
  }
  return false;
}

std::string_view text_form_hint(TextForm form) {
  switch (form) {
    case TextForm::name: return "write 1 to 64 letters, digits, '.', '_' or '-'";
    case TextForm::cookie_name: return "a cookie's name is 1 to 64 characters without spaces and separators";
    case TextForm::cookie_path: return "write a path that begins with '/', without spaces and ';'";
    case TextForm::cookie_domain: return "write a host name such as \"play.example\", or leave it empty";
    case TextForm::url_path: return "write a path that begins with '/', such as \"/healthz\"";
    case TextForm::host: return "write a host name such as \"play.example\", or leave it empty";
    case TextForm::origin: return "write \"https://play.example\", without a path, or \"*\"";
    case TextForm::network:
      return "write an address such as \"10.0.0.1\", or a network such as \"10.0.0.0/8\"";
    case TextForm::file_path: return "write a path, such as \"web\" or \"/etc/rejoin/web\"";
    case TextForm::link_url: return "write \"wss://g1.play.example\", without a path";
  }
  return "";
}

}  // namespace rejoin::config
