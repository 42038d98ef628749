// The page's files stand in the binary (web_files.S), so that the demo needs nothing beside it.
#include "apps/demo/web_page.h"

extern "C" {
extern const char rejoin_web_index_html[], rejoin_web_index_html_end[];
extern const char rejoin_web_page_css[], rejoin_web_page_css_end[];
extern const char rejoin_web_page_js[], rejoin_web_page_js_end[];
extern const char rejoin_web_rejoin_js[], rejoin_web_rejoin_js_end[];
}

namespace rejoin::demo {
namespace {

std::string_view between(const char* begin, const char* end) {
  return {begin, static_cast<std::size_t>(end - begin)};
}

}  // namespace

const std::array<WebFile, 4>& web_files() {
  static const std::array<WebFile, 4> files{{
      {"index.html", between(rejoin_web_index_html, rejoin_web_index_html_end)},
      {"page.css", between(rejoin_web_page_css, rejoin_web_page_css_end)},
      {"page.js", between(rejoin_web_page_js, rejoin_web_page_js_end)},
      {"rejoin.js", between(rejoin_web_rejoin_js, rejoin_web_rejoin_js_end)},
  }};
  return files;
}

}  // namespace rejoin::demo
