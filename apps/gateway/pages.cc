#include "apps/gateway/pages.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace rejoin::gateway {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kEtagBytes = 12;

struct Type {
  std::string_view extension, type;
};
constexpr Type kTypes[] = {
    {".html", "text/html; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".mjs", "text/javascript; charset=utf-8"},
    {".json", "application/json"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".webp", "image/webp"},
    {".ico", "image/x-icon"},
    {".woff2", "font/woff2"},
    {".wasm", "application/wasm"},
    {".txt", "text/plain; charset=utf-8"},
};

std::string_view type_of(const std::string& extension) {
  for (const Type& it : kTypes) {
    if (it.extension == extension) return it.type;
  }
  return "application/octet-stream";
}

bool good_name(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

std::string etag_of(const std::string& body) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  EVP_Digest(body.data(), body.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out = "\"";
  for (std::size_t i = 0; i < kEtagBytes; ++i) {
    out += kDigits[digest[i] >> 4];
    out += kDigits[digest[i] & 15];
  }
  return out + '"';
}

Error wrong(const fs::path& file, const std::string& what) {
  return Error{ErrorKind::config, Side::ours, Retry::no, "gateway.pages: " + file.string() + ": " + what};
}

/// Does the list of a client's If-None-Match name it? Weakly compared (RFC 9110 13.1.2).
bool names_etag(Bytes list, Bytes etag) {
  return list == "*" || list.find(etag) != Bytes::npos;  // quoted, and no tag of ours is part of another
}

}  // namespace

Result<Pages> Pages::load(const std::string& folder) {
  Pages out;
  std::error_code failed;
  std::size_t bytes = 0;
  fs::recursive_directory_iterator at(folder, failed);
  if (failed) return wrong(folder, "is no folder that can be read: " + failed.message());
  for (; at != fs::recursive_directory_iterator(); at.increment(failed)) {
    if (failed) return wrong(folder, failed.message());
    const fs::path& file = at->path();
    const std::string name = file.filename().string();
    if (name.starts_with('.')) {
      if (at->is_directory(failed)) at.disable_recursion_pending();
      continue;
    }
    if (!good_name(name)) return wrong(file, "a name of A-Z a-z 0-9 . _ - is needed: it becomes a URL");
    if (at->is_directory(failed)) continue;
    if (!at->is_regular_file(failed)) return wrong(file, "is no regular file");
    if (out.pages_.size() == kPageFilesMax)
      return wrong(folder, "has more than " + std::to_string(kPageFilesMax) + " files");
    std::ifstream in(file, std::ios::binary);
    Page page;
    page.body.assign(std::istreambuf_iterator<char>(in), {});
    if (!in.good() && !in.eof()) return wrong(file, "cannot be read");
    bytes += page.body.size();
    if (bytes > kPageBytesMax)
      return wrong(folder, "has more than " + std::to_string(kPageBytesMax / 1024 / 1024) + " MiB");
    page.type = type_of(file.extension().string());
    page.etag = etag_of(page.body);
    out.pages_.emplace('/' + fs::relative(file, folder, failed).generic_string(), std::move(page));
  }
  return out;
}

const Pages::Page* Pages::find(Bytes path) const {
  std::string index;
  if (path.ends_with('/')) {
    index = std::string(path) + "index.html";
    path = index;
  }
  const auto found = pages_.find(path);
  return found == pages_.end() ? nullptr : &found->second;
}

Pages::Answer Pages::answer(const Page& page, const proto::RequestHead& request, proto::NextHop next) {
  const proto::Field* const known = request.find("If-None-Match");
  const bool has_it = known != nullptr && names_etag(request.value(*known), page.etag);
  Answer out;
  out.head = has_it ? "HTTP/1.1 304 Not Modified\r\n" : "HTTP/1.1 200 OK\r\n";
  if (!has_it) {
    out.head += "Content-Type: ";
    out.head += page.type;
    out.head += "\r\nContent-Length: " + std::to_string(page.body.size()) + "\r\n";
  }
  // Asked for anew each time, and answered in a few bytes: a page and its gateway are upgraded together.
  out.head += "ETag: " + page.etag + "\r\nCache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\n";
  if (next == proto::NextHop::close) out.head += "Connection: close\r\n";
  if (next == proto::NextHop::persist_aloud) out.head += "Connection: keep-alive\r\n";
  out.head += "\r\n";
  if (!has_it && request.method() != proto::Method::head) out.body = page.body;
  return out;
}

}  // namespace rejoin::gateway
