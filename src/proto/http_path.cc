#include "proto/http_path.h"

namespace rejoin::proto {
namespace {

int hex_value(char byte) {
  if (byte >= '0' && byte <= '9') return byte - '0';
  const char lower = static_cast<char>(byte | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/// RFC 3986 2.3.
bool is_unreserved(char byte) {
  const char lower = static_cast<char>(byte | 0x20);
  return (byte >= '0' && byte <= '9') || (lower >= 'a' && lower <= 'z') || byte == '-' || byte == '.' ||
         byte == '_' || byte == '~';
}

bool is_normal(Bytes path) {
  char before = 0;
  for (const char byte : path) {
    if (byte == '%' || (before == '/' && (byte == '/' || byte == '.'))) return false;
    before = byte;
  }
  return true;
}

/// Escapes of unreserved characters become the characters. False: a '%' that begins no escape.
bool unescape(Bytes path, std::string& out) {
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] != '%') {
      out.push_back(path[i]);
      continue;
    }
    if (i + 2 >= path.size()) return false;
    const int high = hex_value(path[i + 1]), low = hex_value(path[i + 2]);
    if (high < 0 || low < 0) return false;
    const char byte = static_cast<char>(high << 4 | low);
    if (is_unreserved(byte)) {
      out.push_back(byte);
    } else {
      out.append(path.substr(i, 3));
    }
    i += 2;
  }
  return true;
}

/// In place: segments are copied to the front, and ".." takes one away. False: above the root.
bool resolve(std::string& path) {
  std::size_t written = 0, at = 0;  // path[0, written) is done, and ends before a '/'
  while (at < path.size()) {
    const std::size_t begin = at + 1;  // path[at] is '/'
    std::size_t end = path.find('/', begin);
    const bool is_last = end == std::string::npos;
    if (is_last) end = path.size();
    const Bytes segment(path.data() + begin, end - begin);
    if (segment == "..") {
      if (written == 0) return false;
      written = path.rfind('/', written - 1);
    }
    const bool is_kept = segment != ".." && segment != "." && !segment.empty();
    if (is_kept) {
      path[written++] = '/';
      for (std::size_t i = begin; i < end; ++i) path[written++] = path[i];
    } else if (is_last) {
      path[written++] = '/';  // a directory stays one
    }
    at = end;
  }
  path.resize(written);
  return true;
}

}  // namespace

std::optional<Bytes> normal_path(Bytes target, std::string& scratch) {
  const Bytes path = target.substr(0, target.find('?'));
  if (path.empty() || path[0] != '/') return std::nullopt;
  if (is_normal(path)) return path;
  scratch.clear();
  if (!unescape(path, scratch) || !resolve(scratch)) return std::nullopt;
  return Bytes(scratch);
}

Bytes query_of(Bytes target) {
  const std::size_t question = target.find('?');
  return question == Bytes::npos ? Bytes{} : target.substr(question);
}

}  // namespace rejoin::proto
