// Files that the gateway's WebSocket listeners also serve over HTTP: the page of a small game, beside the
// session that it opens. Not a web server: read whole at start, bounded, GET and HEAD only.
//
// Place on the path: serve_player.cc asks for what is no upgrade. Made with the Plan, shared by all workers,
// constant.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "proto/http_editor.h"
#include "proto/http_head.h"

namespace rejoin::gateway {

inline constexpr std::size_t kPageFilesMax = 256;
inline constexpr std::size_t kPageBytesMax = 16 * 1024 * 1024;  // of all files together

class Pages {
 public:
  struct Page {
    std::string body;
    std::string_view type;  // static
    std::string etag;       // with its quotes (RFC 9110 8.8.3): the beginning of the body's SHA-256
  };

  /// Every file below `folder`, hidden ones left out. Error: config; `detail` says which file, and what is
  /// wrong: it cannot be read, its name has other characters than A-Z a-z 0-9 . _ -, there are too many, they
  /// are too large.
  static Result<Pages> load(const std::string& folder);

  bool empty() const { return pages_.empty(); }
  /// The page at a request's path ("/", "/app.js"); a path that ends with '/' means its index.html. nullptr:
  /// none.
  const Page* find(Bytes path) const;

  /// The head of the answer for `page`: 200, or 304 where the client has it (If-None-Match).
  struct Answer {
    std::string head;
    Bytes body;  // of the page; empty for HEAD and 304
  };
  static Answer answer(const Page& page, const proto::RequestHead& request, proto::NextHop next);

 private:
  std::map<std::string, Page, std::less<>> pages_;  // by path
};

}  // namespace rejoin::gateway
