#include "apps/config/reference.h"

#include <limits>

#include "apps/config/key_table.h"
#include "apps/config/units.h"

namespace rejoin::config {
namespace {

constexpr std::string_view kListOfTables = "list of tables";

std::string code(std::string_view text) { return '`' + std::string(text) + '`'; }

class Describer final : public KeyVisitor {
 public:
  explicit Describer(std::vector<TableRows>& out) : out_(out) { out_.emplace_back(); }

  void text(const Key& key, std::string& into, TextForm) override {
    row(key, "text", code('"' + into + '"'), {});
  }
  void integer(const Key& key, int& into, Range<int> range) override {
    row(key, "integer", code(std::to_string(into)),
        between(std::to_string(range.min), std::to_string(range.max)));
  }
  void flag(const Key& key, bool& into) override { row(key, "boolean", code(into ? "true" : "false"), {}); }
  void duration(const Key& key, Duration& into, Range<Duration> range) override {
    row(key, "duration", code('"' + duration_text(into) + '"'),
        between(duration_text(range.min), duration_text(range.max)));
  }
  void size(const Key& key, std::uint64_t& into, Range<std::uint64_t> range) override {
    row(key, "size", code('"' + size_text(into) + '"'), between(size_text(range.min), size_text(range.max)));
  }
  void address(const Key& key, Address&, AddressUse) override { row(key, "address", {}, {}); }
  void texts(const Key& key, std::vector<std::string>&, TextForm, std::size_t most) override {
    row(key, "list of texts", {}, between("0", std::to_string(most)));
  }
  void statuses(const Key& key, std::vector<StatusRange>&, Range<int> range) override {
    row(key, "statuses", {}, between(std::to_string(range.min), std::to_string(range.max)));
  }
  void key_sources(const Key& key, std::vector<KeySource>&) override { row(key, "list of texts", {}, {}); }
  void secret_source(const Key& key, std::optional<KeySource>&) override { row(key, "text", {}, {}); }
  void duration(const Key& key, std::optional<Duration>&, Range<Duration> range) override {
    row(key, "duration", {}, between(duration_text(range.min), duration_text(range.max)));
  }
  void pairs(const Key& key, std::vector<std::pair<std::string, std::string>>&, TextForm, TextForm,
             std::size_t most) override {
    row(key, "table of texts", {}, between("0", std::to_string(most)));
  }

  void only_for(std::initializer_list<std::string_view> kinds, std::string_view) override {
    only_for_.clear();
    for (const std::string_view kind : kinds) only_for_ += (only_for_.empty() ? "" : ", ") + code(kind);
  }

 protected:
  void choose(const Key& key, std::size_t& index, std::span<const std::string_view> words) override {
    std::string form;
    for (const std::string_view word : words)
      form += (form.empty() ? "" : ", ") + code('"' + std::string(word) + '"');
    row(key, form, code('"' + std::string(words[index]) + '"'), {});
  }
  void one(const Key& key, const Visit& fill) override { inner(key, "table", "[", "]", {}, fill); }
  void many(const Key& key, std::size_t most, const Visit& add) override {
    const std::string least = key.need == Need::required ? "1" : "0";
    inner(key, std::string(kListOfTables), "[[", "]]", between(least, std::to_string(most)), add);
  }

 private:
  static std::string between(const std::string& min, const std::string& max) {
    return min == max ? code(min) : code(min) + " to " + code(max);
  }

  void row(const Key& key, std::string form, std::string default_value, std::string range) {
    if (!key.stands_for.empty()) default_value = key.stands_for;
    if (key.need == Need::required) default_value = "required";
    std::string value(key.example);
    if (form == kListOfTables) value = "[ " + value + " ]";
    std::string example = code(std::string(key.name) + " = " + value);
    out_[table_].rows.push_back({key.name, only_for_, std::move(form), std::move(default_value),
                                 std::move(range), std::move(example), key.says});
  }

  void inner(const Key& key, std::string form, std::string_view open, std::string_view close,
             std::string range, const Visit& fill) {
    row(key, std::move(form), {}, std::move(range));
    const std::size_t outer_table = table_;
    const std::string outer_path = path_;
    const std::string outer_only_for = only_for_;
    only_for_.clear();
    if (!path_.empty()) path_ += '.';
    path_ += key.name;
    table_ = out_.size();
    out_.push_back({std::string(open) + path_ + std::string(close), key.says, {}});
    fill(*this);
    table_ = outer_table;
    path_ = outer_path;
    only_for_ = outer_only_for;
  }

  std::vector<TableRows>& out_;
  std::size_t table_ = 0;
  std::string path_;
  std::string only_for_;
};

}  // namespace

std::vector<TableRows> describe_keys() {
  std::vector<TableRows> out;
  Config defaults;
  Describer describer(out);
  visit(describer, defaults);
  return out;
}

std::string reference_markdown() {
  std::string out;
  for (const TableRows& table : describe_keys()) {
    if (table.title.empty()) continue;  // its rows are the sections that follow
    out += "### `" + table.title + "`\n\n" + std::string(table.says) + "\n\n";
    out +=
        "| key | form | default | range | what it is | example |\n"
        "| --- | --- | --- | --- | --- | --- |\n";
    for (const KeyRow& row : table.rows) {
      out += "| `" + std::string(row.name) + '`';
      if (!row.only_for.empty()) out += "<br>" + row.only_for;
      out += " | " + row.form + " | " + row.default_value + " | " + row.range + " | " +
             std::string(row.says) + " | " + row.example + " |\n";
    }
    out += '\n';
  }
  if (!out.empty()) out.pop_back();
  return out;
}

}  // namespace rejoin::config
