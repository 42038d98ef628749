// What tests of threads with tables of their own (own_table.h) need under ThreadSanitizer.
#pragma once

#ifdef __SANITIZE_THREAD__
#include <sanitizer/common_interface_defs.h>

#include <cstdlib>
#include <string_view>
#endif

namespace rejoin::io {

/// True if ThreadSanitizer runs and would take one number in two tables for one file: it has to be told, by
/// TSAN_OPTIONS=suppressions=tests/own_tables.tsan. A test skips then.
inline bool own_tables_would_be_misread() {
#ifdef __SANITIZE_THREAD__
  const char* const options = std::getenv("TSAN_OPTIONS");
  if (options == nullptr || std::string_view(options).find("own_tables") == std::string_view::npos)
    return true;
  // What it is told are names. It opens this program to read them when it first needs one, which fails where
  // a test has filled the table, and for ever after: so it does now.
  char name[16];
  __sanitizer_symbolize_pc(__builtin_return_address(0), "%f", name, sizeof name);
  return false;
#else
  return false;
#endif
}

}  // namespace rejoin::io
