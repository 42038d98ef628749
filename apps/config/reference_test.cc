// The reference's examples are what the parser takes: each is put where it belongs, in a file that is good
// around it, and nothing may be said of that key.
#include "apps/config/reference.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "apps/config/config.h"

namespace rejoin::config {
namespace {

/// "`every = \"5s\"`" without what Markdown needs.
std::string plain(std::string_view marked) { return std::string(marked.substr(1, marked.size() - 2)); }

/// The first of the kinds that have the key: "`tcp`, `http`" -> tcp.
std::string first_kind(const std::string& only_for) {
  return only_for.empty() ? only_for : only_for.substr(1, only_for.find('`', 1) - 1);
}

/// What a key needs to mean something: lines in a table on the way to it, or behind everything.
struct Beside {
  std::string_view key, table, lines;
};
constexpr std::string_view kApi =
    "[[pool]]\nname = \"api\"\nserver = [ { name = \"a1\", address = \"127.0.0.1:1\" } ]\n";
constexpr Beside kBeside[] = {
    {"access_log.path", "access_log", "format = \"line\""},
    {"gateway.listener.proxy_protocol", "gateway", "trusted_proxies = [\"10.0.0.0/8\"]"},
    {"gateway.session_cookie.partitioned", "gateway.session_cookie", "same_site = \"none\""},
    {"listener.proxy_protocol", "listener", "trusted = [\"10.0.0.0/8\"]"},
    {"listener.redirect_port", "listener", "redirect = \"https\""},
    {"listener.rule", {}, kApi},
    {"listener.rule.pool", {}, kApi},
    {"listener.rule.strip_prefix", "listener.rule", "path = \"/api/\""},
    {"listener.sni", "listener", "mode = \"tcp\""},
    {"listener.trusted", "listener", "proxy_protocol = \"require\""},
    {"pool.affinity.partitioned", "pool.affinity", "same_site = \"none\"\nsecure = true"},
    {"pool.affinity.same_site", "pool.affinity", "secure = true"},
    {"pool.hash_key", "pool", "scheduler = \"key-hash\""},
    {"pool.queue", "pool", "server = [ { name = \"g1\", address = \"127.0.0.1:1\", max_connections = 1 } ]"},
    {"pool.slow_start", "pool", "health = { kind = \"tcp\" }"},
    {"pool.server.port", "pool.server", "resolve = \"gateways.internal\""},
    {"pool.server.tls_name", "pool", "tls = { verify = false }"},
    {"pool.server.type", "pool.server", "resolve = \"gateways.internal\""},
    {"process.group", "process", "user = \"rejoin\""},
    {"tls.certificate", "tls", "key = \"play.key\""},
    {"tls.client_ca", "tls", "client_certificate = \"required\""},
    {"tls.client_certificate", "tls", "client_ca = \"guild-ca.pem\""},
    {"tls.client_crl", "tls", "client_certificate = \"required\"\nclient_ca = \"guild-ca.pem\""},
    {"tls.key", "tls", "certificate = \"play.pem\""},
};

/// "tls.key" is what gateway.listener.tls.key ends with, and listener.tls.key.
bool names(std::string_view end, std::string_view key) {
  return key == end || (key.ends_with(end) && key[key.size() - end.size() - 1] == '.');
}

class Examples {
 public:
  Examples() {
    for (TableRows& table : describe_keys()) {
      const std::string path = path_of(table.title);
      tables_[path] = std::move(table);
    }
  }

  /// Everything that is said of `row` of the table `path` in a file that has its example.
  std::string said_of(const std::string& path, const KeyRow& row) const {
    const std::string key = path + '.' + std::string(row.name);
    const auto* const beside =
        std::ranges::find_if(kBeside, [&](const Beside& it) { return names(it.key, key); });
    const Beside with = beside == std::end(kBeside) ? Beside{} : *beside;
    std::string file;
    for (const std::string_view outer : {"listener", "pool"}) {  // without them a file is no good
      if (path != outer && !path.starts_with(std::string(outer) + '.')) file += table_of(outer, {}, {}, {});
    }
    for (std::size_t dot = path.find('.'); dot != path.npos; dot = path.find('.', dot + 1))
      file +=
          table_of(path.substr(0, dot), {}, path.substr(dot + 1, path.find('.', dot + 1) - dot - 1), with);
    file += table_of(path, &row, {}, with);
    if (with.table.empty()) file += with.lines;
    std::string said;
    for (const Diagnostic& diagnostic : read_config(file, "f").diagnostics) {
      if (diagnostic.message.ends_with("on this machine")) continue;  // users: others than here
      const std::string of = without_numbers(diagnostic.key);
      if (of == key || of.starts_with(key + '.') || of.empty()) said += diagnostic.text() + '\n';
    }
    return said.empty() ? said : said + file;
  }

  const std::map<std::string, TableRows>& tables() const { return tables_; }

 private:
  static std::string path_of(const std::string& title) {
    const std::size_t begin = title.find_first_not_of('['), end = title.find_first_of(']');
    return title.empty() ? title : title.substr(begin, end - begin);
  }
  static std::string without_numbers(std::string_view key) {
    std::string out;
    for (bool inside = false; const char c : key) {
      inside = c == '[' || (inside && c != ']');
      if (!inside && c != ']') out += c;
    }
    return out;
  }

  /// A header and the lines of one table: the example of `wanted`, of what is required, and what goes with
  /// it. `child` is a table that follows.
  std::string table_of(std::string_view path, const KeyRow* wanted, std::string_view child,
                       const Beside& with) const {
    const TableRows& table = tables_.at(std::string(path));
    std::string out = table.title + '\n';
    const bool has_lines = !with.table.empty() && names(with.table, path);
    if (has_lines) out += std::string(with.lines) + '\n';
    const std::string kind = wanted != nullptr ? first_kind(wanted->only_for) : std::string();
    for (const KeyRow& row : table.rows) {
      if (has_lines && with.lines.starts_with(std::string(row.name) + ' ')) continue;
      if (row.name == child || (wanted != nullptr && row.name == wanted->name)) continue;
      const bool other_kind =
          !row.only_for.empty() && row.only_for.find('`' + kind + '`') == std::string::npos;
      if (row.name == "kind" && !kind.empty()) {
        out += "kind = \"" + kind + "\"\n";
      } else if (row.default_value == "required" && !other_kind) {
        out += plain(row.example) + '\n';
      }
    }
    return wanted == nullptr ? out : out + plain(wanted->example) + '\n';
  }

  std::map<std::string, TableRows> tables_;
};

TEST(Reference, every_key_has_an_example_that_the_parser_takes) {
  const Examples examples;
  int keys = 0;
  for (const auto& [path, table] : examples.tables()) {
    for (const KeyRow& row : table.rows) {
      const bool is_empty = row.example.ends_with("= `");
      EXPECT_FALSE(is_empty) << path << '.' << row.name << " has no example";
      if (path.empty() || is_empty) continue;  // their examples are the tables' own
      EXPECT_EQ(examples.said_of(path, row), "") << path << '.' << row.name;
      ++keys;
    }
  }
  EXPECT_GT(keys, 200);
}

}  // namespace
}  // namespace rejoin::config
