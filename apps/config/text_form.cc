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
bool is_host_pattern(std::string_view text) {
  if (text.starts_with("*.")) text.remove_prefix(2);
  return !text.empty() && text.front() != '.' && only(text, ".-_[]:") &&
         (text.front() == '[' || text.find(':') == text.npos);
}
bool is_field_value(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
  });
}
bool is_field_name(std::string_view text) {
  return !text.empty() && text.size() <= 256 && only(text, "!#$%&'*+-.^_`|~");
}
bool is_field(std::string_view text) {
  const std::size_t colon = text.find(':');
  return colon != text.npos && is_field_name(text.substr(0, colon)) && is_field_value(text.substr(colon + 1));
}
bool is_status(std::string_view text) {
  return text.size() == 3 && (text[0] == '4' || text[0] == '5') && text[1] >= '0' && text[1] <= '9' &&
         text[2] >= '0' && text[2] <= '9';
}
/// With "/{path}" the path "//elsewhere" would name another host.
bool is_redirect_to(std::string_view text) {
  const bool is_url = text.starts_with("http://") || text.starts_with("https://");
  return (is_url || (text.starts_with('/') && !text.starts_with("//") && !text.starts_with("/{"))) &&
         visible_but(text, '"');
}
/// Labels of letters, digits and hyphens with dots between them, 253 bytes at most (RFC 1123 2.1); the first
/// one may be "*", if others follow.
bool is_name_pattern(std::string_view text) {
  if (text.starts_with("*.")) text.remove_prefix(2);
  if (text.empty() || text.size() > 253) return false;
  for (;;) {
    const std::size_t dot = text.find('.');
    const std::string_view label = text.substr(0, dot);
    if (label.empty() || label.size() > 63 || !only(label, "-_") || label.front() == '-' ||
        label.back() == '-')
      return false;
    if (dot == text.npos) return true;
    text.remove_prefix(dot + 1);
  }
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
    case TextForm::name_pattern: return is_name_pattern(text);
    case TextForm::account: return text.size() <= 32 && only(text, "._-");
    case TextForm::link_url: return is_place(text, {"ws", "wss", "tcp", "tls"});
    case TextForm::no_or_cookie_name:
    case TextForm::no_or_field_name: return text.empty() || fits(TextForm::cookie_name, text);
    case TextForm::parameter_name:
      return text.size() <= limits::kServerNameBytesMax && visible_but(text, '&');
    case TextForm::host_pattern: return is_host_pattern(text);
    case TextForm::field: return is_field(text);
    case TextForm::field_name: return is_field_name(text);
    case TextForm::field_value: return is_field_value(text);
    case TextForm::redirect_to: return is_redirect_to(text);
    case TextForm::status: return is_status(text);
    case TextForm::body_text: return text.find('\0') == text.npos;
    case TextForm::file_path:
      return !text.empty() &&
             std::none_of(text.begin(), text.end(), [](char c) { return c >= 0 && c < 0x20; });
    case TextForm::server_name: return only(text, ".-_:");
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
    case TextForm::no_or_cookie_name:
    case TextForm::no_or_field_name: return "a name is 1 to 64 characters without spaces and separators";
    case TextForm::parameter_name: return "a parameter's name is 1 to 64 visible characters without '&'";
    case TextForm::name_pattern:
      return "write a host name such as \"play.example\", or \"*.example\" for all names below one";
    case TextForm::account: return "write the name of a user or group, such as \"rejoin\"";
    case TextForm::file_path: return "write a path, such as \"web\" or \"/etc/rejoin/web\"";
    case TextForm::link_url: return "write \"wss://g1.play.example\", without a path";
    case TextForm::server_name: return "write a host name such as \"g1.internal\", or an IP address";
    case TextForm::host_pattern:
      return "write a host without a port, such as \"play.example\", or \"*.example\" for every name below";
    case TextForm::field: return "write a field as it goes on the wire, such as \"X-Game: chess\"";
    case TextForm::field_name: return "write the name of a field, such as \"X-Game\"";
    case TextForm::field_value: return "write a text without control characters";
    case TextForm::redirect_to:
      return "write a URL such as \"https://{host}{path}\", or a path such as \"/new{path}\"";
    case TextForm::status: return "write a status of 400 to 599";
    case TextForm::body_text: return "write a text without NUL";
  }
  return "";
}

}  // namespace rejoin::config
