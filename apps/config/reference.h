// The reference of all keys, made from the key table.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace rejoin::config {

/// One key as the reference shows it. Texts are Markdown, without '|'.
struct KeyRow {
  std::string_view name;
  std::string only_for;       // "`tcp`, `http`", or empty
  std::string form;           // "duration", or the words to choose from
  std::string default_value;  // "`\"10s\"`", "required", or what absence means
  std::string range;          // "`1ms` to `365d`", or empty
  std::string example;        // "`every = \"5s\"`": a line of a file
  std::string_view says;
};

struct TableRows {
  std::string title;  // "[[pool.server]]"; empty for the file's own keys
  std::string_view says;
  std::vector<KeyRow> rows;
};

/// All tables, parents before their children, in the order of the key table.
std::vector<TableRows> describe_keys();

/// A Markdown section per table. docs/configuration.md has it between two marks, and a test compares.
std::string reference_markdown();

}  // namespace rejoin::config
