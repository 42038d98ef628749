// TOML to Config. The only unit that includes toml++ (a second of compiling).
#include <toml++/toml.h>

#include <algorithm>
#include <charconv>
#include <exception>
#include <limits>
#include <sstream>

#include "apps/config/address_hint.h"
#include "apps/config/cross_check.h"
#include "apps/config/key_table.h"
#include "apps/config/nearest.h"
#include "apps/config/places.h"
#include "apps/config/reference.h"
#include "apps/config/units.h"

namespace rejoin::config {
namespace {

constexpr std::string_view kTrueOrFalse = "true or false";  // says all: needs no example

Place place_of(const toml::source_region& region) { return {region.begin.line, region.begin.column}; }

std::string_view form_of(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table: return "a table";
    case toml::node_type::array: return "a list";
    case toml::node_type::string: return "a text";
    case toml::node_type::integer: return "an integer";
    case toml::node_type::floating_point: return "a float";
    case toml::node_type::boolean: return "a boolean";
    case toml::node_type::date: return "a date";
    case toml::node_type::time: return "a time of day";
    case toml::node_type::date_time: return "a date and time";
    case toml::node_type::none: break;
  }
  return "nothing";
}

/// toml++ speaks in whole sentences, and once quotes the input: nothing of it may break our one line.
std::string one_line(std::string_view text) {
  std::string out(text.substr(0, 300));
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return out;
}

std::string either(std::span<const std::string_view> words) {
  std::string out = words.size() > 1 ? "write one of " : "write ";
  for (std::size_t i = 0; i < words.size(); ++i) out += (i > 0 ? ", " : "") + in_quotes(words[i]);
  return out;
}

/// 204 or "200-299"; nothing when it is neither.
std::optional<StatusRange> read_statuses(const toml::node& node) {
  if (const auto* status = node.as_integer()) {
    if (status->get() < 0 || status->get() > 999) return StatusRange{0, 0};
    return StatusRange{static_cast<int>(status->get()), static_cast<int>(status->get())};
  }
  const auto* text = node.as_string();
  if (!text) return std::nullopt;
  StatusRange range;
  const char* const begin = text->get().data();
  const char* const end = begin + text->get().size();
  const auto first = std::from_chars(begin, end, range.first);
  if (first.ec != std::errc()) return std::nullopt;
  range.last = range.first;
  if (first.ptr == end) return range;
  if (*first.ptr != '-') return std::nullopt;
  const auto last = std::from_chars(first.ptr + 1, end, range.last);
  if (last.ec != std::errc() || last.ptr != end) return std::nullopt;
  return range;
}

/// Walks the key table beside the parsed file. One frame for each table that is being read.
class TomlReader final : public KeyVisitor {
 public:
  TomlReader(const std::string& file, std::vector<Diagnostic>& out, Places& places)
      : file_(file), out_(out), places_(places), tables_(describe_keys()) {}

  void read(const toml::table& root, Config& config) {
    Frame frame{root, {}, {}, {1, 1}};
    in(frame, [&](KeyVisitor& visitor) { visit(visitor, config); });
  }

  void text(const Key& key, std::string& into, TextForm form) override {
    const toml::node* node = find(key);
    if (!node) return;
    const auto* value = node->as_string();
    if (!value) return wrong_form(key, *node, "a text", in_quotes(into));
    if (!fits(form, value->get())) {
      return wrong(key, *node,
                   in_quotes(value->get()) + " cannot stand here; " + std::string(text_form_hint(form)));
    }
    into = value->get();
  }

  void integer(const Key& key, int& into, Range<int> range) override {
    const toml::node* node = find(key);
    if (!node) return;
    const auto* value = node->as_integer();
    if (!value) return wrong_form(key, *node, "an integer", std::to_string(into));
    if (value->get() < range.min || value->get() > range.max) {
      return out_of_range(key, *node, std::to_string(value->get()), std::to_string(range.min),
                          std::to_string(range.max));
    }
    into = static_cast<int>(value->get());
  }

  void flag(const Key& key, bool& into) override {
    const toml::node* node = find(key);
    if (!node) return;
    const auto* value = node->as_boolean();
    if (!value) return wrong_form(key, *node, kTrueOrFalse, {});
    into = value->get();
  }

  void duration(const Key& key, Duration& into, Range<Duration> range) override {
    const std::optional<std::string> text = unit_text(key, "a duration", "\"10s\"", R"("10s" or "10ms")");
    if (!text) return;
    const auto value = parse_duration(*text);
    if (!value) return wrong(key, *found_, in_quotes(*text) + " is not a duration; " + duration_hint(*text));
    if (*value < range.min || *value > range.max) {
      return out_of_range(key, *found_, in_quotes(*text), in_quotes(duration_text(range.min)),
                          in_quotes(duration_text(range.max)));
    }
    into = *value;
  }

  void duration(const Key& key, std::optional<Duration>& into, Range<Duration> range) override {
    Duration value = range.min - Duration(1);
    duration(key, value, range);
    if (value >= range.min) into = value;
  }

  void size(const Key& key, std::uint64_t& into, Range<std::uint64_t> range) override {
    const std::optional<std::string> text = unit_text(key, "a size", "\"64KiB\"", R"("64KiB" or "65536B")");
    if (!text) return;
    const auto value = parse_size(*text);
    if (!value) return wrong(key, *found_, in_quotes(*text) + " is not a size; " + size_hint(*text));
    if (*value < range.min || *value > range.max) {
      return out_of_range(key, *found_, in_quotes(*text), in_quotes(size_text(range.min)),
                          in_quotes(size_text(range.max)));
    }
    into = *value;
  }

  void address(const Key& key, Address& into, AddressUse use) override {
    const toml::node* node = find(key);
    if (!node) return;
    const auto* value = node->as_string();
    if (!value) return wrong_form(key, *node, "an address", {});
    const auto address = Address::parse(value->get());
    if (!address)
      return wrong(key, *node,
                   in_quotes(value->get()) + " is not an address; " + address_hint(value->get(), use));
    if (use == AddressUse::connect && address->port == 0) {
      return wrong(key, *node,
                   in_quotes(value->get()) + " has no port to connect to; write 1 to 65535 behind the ':'");
    }
    into = *address;
  }

  void texts(const Key& key, std::vector<std::string>& into, TextForm form, std::size_t most) override {
    const toml::node* node = find(key);
    if (!node) return;
    const auto* list = node->as_array();
    if (!list) return wrong_form(key, *node, "a list of texts", {});
    if (list->size() > most) return wrong(key, *node, "has more than " + std::to_string(most) + " entries");
    into.clear();
    for (std::size_t i = 0; i < list->size(); ++i) {
      const toml::node& item = (*list)[i];
      const Spot spot{place_of(item.source()), display(key.name) + '[' + std::to_string(i) + ']'};
      const auto* value = item.as_string();
      if (!value) {
        say(spot, "wants a text such as those in " + std::string(key.example) + ", not " +
                      std::string(form_of(item)));
      } else if (!fits(form, value->get())) {
        say(spot, in_quotes(value->get()) + " cannot stand here; " + std::string(text_form_hint(form)));
      } else {
        into.push_back(value->get());
      }
    }
  }

  void statuses(const Key& key, std::vector<StatusRange>& into, Range<int> range) override {
    const toml::node* node = find(key);
    if (!node) return;
    std::vector<StatusRange> found;
    const auto* list = node->as_array();
    const std::size_t count = list ? list->size() : 1;
    if (count == 0 || count > kStatusRangesMax) {
      return wrong(
          key, *node,
          "has " + std::to_string(count) + " entries; write 1 to " + std::to_string(kStatusRangesMax));
    }
    for (std::size_t i = 0; i < count; ++i) {
      const toml::node& item = list ? (*list)[i] : *node;
      const auto status = read_statuses(item);
      if (!status)
        return wrong(key, item, "wants a status such as 200, a range such as \"200-299\", or a list of them");
      if (status->first < range.min || status->last > range.max || status->first > status->last) {
        return wrong(key, item,
                     std::to_string(status->first) + " to " + std::to_string(status->last) +
                         " is no range of statuses; they are " + std::to_string(range.min) + " to " +
                         std::to_string(range.max));
      }
      found.push_back(*status);
    }
    into = std::move(found);
  }

  void pairs(const Key& key, std::vector<std::pair<std::string, std::string>>& into, TextForm name,
             TextForm value, std::size_t most) override {
    const toml::node* node = find(key);
    if (!node) return;
    const auto* table = node->as_table();
    if (!table) return wrong_form(key, *node, "a table", {});
    if (table->size() > most) return wrong(key, *node, "has more than " + std::to_string(most) + " entries");
    for (auto&& [entry, item] : *table) {
      const Spot spot{place_of(entry.source()), display(key.name) + '.' + key_text(entry.str())};
      const auto* text = item.as_string();
      if (!fits(name, entry.str())) {
        say(spot, "cannot stand here; " + std::string(text_form_hint(name)));
      } else if (!text) {
        say(spot, "wants a text such as those in " + std::string(key.example) + ", not " +
                      std::string(form_of(item)));
      } else if (!fits(value, text->get())) {
        say(spot, in_quotes(text->get()) + " cannot stand here; " + std::string(text_form_hint(value)));
      } else {
        into.emplace_back(entry.str(), text->get());
      }
    }
  }

  void key_sources(const Key& key, std::vector<KeySource>& into) override {
    const toml::node* node = find(key);
    if (!node) return;
    const auto* list = node->as_array();
    if (!list) return wrong_form(key, *node, "a list of texts", {});
    if (list->empty())
      return wrong(key, *node, "is empty; write " + std::string(key.example) + ", or leave it out");
    if (list->size() > limits::kKeysMax) {
      return wrong(key, *node, "has more than " + std::to_string(limits::kKeysMax) + " keys");
    }
    for (std::size_t i = 0; i < list->size(); ++i) {
      const toml::node& item = (*list)[i];
      const std::string number = '[' + std::to_string(i) + ']';
      const Spot spot{place_of(item.source()), display(key.name) + number};
      if (std::optional<KeySource> source = source_of(item, spot)) into.push_back(std::move(*source));
    }
  }

  void secret_source(const Key& key, std::optional<KeySource>& into) override {
    const toml::node* node = find(key);
    if (node) into = source_of(*node, {place_of(node->source()), display(key.name)});
    if (node && !into) places_.refuse(internal(key.name));
  }

  void only_for(std::initializer_list<std::string_view> kinds, std::string_view chosen) override {
    frame_->only_for = kinds.size() == 0 ? std::string_view() : *kinds.begin();
    frame_->chosen = chosen;
    frame_->active = kinds.size() == 0 || std::find(kinds.begin(), kinds.end(), chosen) != kinds.end();
  }

 protected:
  void choose(const Key& key, std::size_t& index, std::span<const std::string_view> words) override {
    const std::size_t before = out_.size();
    pick(key, index, words);
    // Which keys belong here is anybody's guess now: complaints about them would only hide the cause.
    if (key.name == "kind" && out_.size() != before) frame_->kind_unknown = true;
  }

  void one(const Key& key, const Visit& fill) override {
    const toml::node* node = find(key);
    if (!node) return;
    const auto* table = node->as_table();
    if (!table) {
      const auto* list = node->as_array();
      const auto* first = list && !list->empty() ? list->get(0)->as_table() : nullptr;
      if (first && !first->is_inline()) {
        return wrong(key, *node, "is one table, not a list; write [" + display(key.name) + "]");
      }
      return wrong_form(key, *node, "a table", {});
    }
    Frame inner{*table, internal(key.name), display(key.name), place_of(node->source())};
    in(inner, fill);
  }

  void many(const Key& key, std::size_t most, const Visit& add) override {
    const toml::node* node = find(key);
    if (!node) return;
    const auto* list = node->as_array();
    if (!list) {
      if (const auto* table = node->as_table(); table && !table->is_inline()) {
        return wrong(key, *node, "is a list of tables; write [[" + display(key.name) + "]]");
      }
      return wrong_form(key, *node, "a list", {});
    }
    if (list->empty() && key.need == Need::required) return wrong(key, *node, "is empty; " + write(key));
    if (list->size() > most) return wrong(key, *node, "has more than " + std::to_string(most) + " entries");
    for (std::size_t i = 0; i < list->size(); ++i) {
      const toml::node& item = (*list)[i];
      const auto* table = item.as_table();
      const std::string number = '[' + std::to_string(i) + ']';
      const bool alone = table && !table->is_inline() && list->size() == 1;
      const std::string shown = display(key.name) + (alone ? "" : number);
      if (!table) {
        say({place_of(item.source()), shown},
            "wants a table such as " + std::string(key.example) + ", not " + std::string(form_of(item)));
        continue;
      }
      Frame inner{*table, internal(key.name) + number, shown, place_of(item.source())};
      places_.put(inner.internal, {inner.place, shown});
      in(inner, add);
    }
  }

 private:
  struct Stranger {  // a known key that belongs to another kind
    std::string_view key, kind;
  };
  struct Frame {
    const toml::table& table;
    std::string internal, display;  // the table's path as Places has it, and for people
    Place place;
    std::vector<std::string_view> known{};
    std::vector<Stranger> strangers{};
    std::string_view only_for{}, chosen{};
    bool active = true;
    bool kind_unknown = false;
  };

  void in(Frame& frame, const Visit& visit_keys) {
    Frame* const outer = std::exchange(frame_, &frame);
    visit_keys(*this);
    for (auto&& [key, node] : frame.table) {
      if (std::find(frame.known.begin(), frame.known.end(), key.str()) == frame.known.end()) unknown(key);
    }
    frame_ = outer;
  }

  /// The key's value, or nothing when there is none (said, if there must be) or the kind has no such key.
  const toml::node* find(const Key& key) {
    found_ = nullptr;
    if (!frame_->active) {
      if (frame_->kind_unknown) {
        know(key.name);
      } else {
        frame_->strangers.push_back({key.name, frame_->only_for});
      }
      return nullptr;
    }
    know(key.name);
    if (frame_->kind_unknown && !frame_->only_for.empty()) return nullptr;
    const toml::node* node = frame_->table.get(key.name);
    if (node) {
      places_.put(internal(key.name), {place_of(node->source()), display(key.name)});
      found_ = node;
    } else if (key.need == Need::required) {
      say({frame_->place, display(key.name)}, "is missing; " + write(key));
    }
    return node;
  }

  std::optional<KeySource> source_of(const toml::node& node, const Spot& spot) {
    const auto* value = node.as_string();
    const std::string_view source = value ? std::string_view(value->get()) : std::string_view();
    if (source.starts_with("file:") && source.size() > 5 && source.find('\0') == source.npos)
      return KeySource{KeySource::Kind::file, std::string(source.substr(5)), spot.place};
    if (source.starts_with("env:") && source.size() > 4 &&
        source.find_first_of(std::string_view("=\0", 2)) == source.npos)
      return KeySource{KeySource::Kind::env, std::string(source.substr(4)), spot.place};
    // Not repeated: whoever wrote the secret itself here would find it in a log.
    say(spot, R"(says where a key is: write "file:PATH" or "env:NAME"; the key itself never stands here)");
    return std::nullopt;
  }

  void know(std::string_view name) {
    auto& known = frame_->known;  // of an unknown kind the keys of all kinds, among which names repeat
    if (std::find(known.begin(), known.end(), name) == known.end()) known.push_back(name);
  }

  void pick(const Key& key, std::size_t& index, std::span<const std::string_view> words) {
    const toml::node* node = find(key);
    if (!node) return;
    const auto* value = node->as_string();
    if (!value) return wrong_form(key, *node, "a text", in_quotes(words[index]));
    const auto word = std::find(words.begin(), words.end(), value->get());
    if (word != words.end()) {
      index = static_cast<std::size_t>(word - words.begin());
      return;
    }
    const std::string_view near = nearest(value->get(), words);
    wrong(key, *node,
          in_quotes(value->get()) + (key.name.starts_with('e') ? " is not an " : " is not a ") +
              std::string(key.name) + "; " +
              (near.empty() ? either(words) : "did you mean " + in_quotes(near) + "?"));
  }

  void unknown(const toml::key& key) {
    const Spot spot{place_of(key.source()), display(key_text(key.str()))};
    for (const Stranger& stranger : frame_->strangers) {
      if (stranger.key != key.str()) continue;
      return say(spot, "belongs to kind " + in_quotes(stranger.kind) + ", and the kind here is " +
                           in_quotes(frame_->chosen));
    }
    std::string_view near = our_word_for(key.str());
    if (std::find(frame_->known.begin(), frame_->known.end(), near) == frame_->known.end()) {
      near = nearest(key.str(), frame_->known);
    }
    if (!near.empty()) return say(spot, "unknown key; did you mean \"" + std::string(near) + "\"?");
    // The usual reason in TOML: a key of the outer table written behind the header of an inner one.
    std::string owners;
    for (const TableRows& table : tables_) {
      const bool has = std::any_of(table.rows.begin(), table.rows.end(),
                                   [&](const KeyRow& row) { return row.name == key.str(); });
      if (has && !table.title.empty()) owners += (owners.empty() ? "" : " and ") + table.title;
    }
    std::string here;
    for (const std::string_view known : frame_->known)
      here += (here.empty() ? "" : ", ") + std::string(known);
    const std::string_view there = frame_->known.size() == 1 ? "there is only " : "there are ";
    if (owners.empty()) return say(spot, "unknown key; " + std::string(there) + here);
    say(spot, "unknown key here; it belongs to " + owners + ", and here " + std::string(there) + here);
  }

  /// The text of a key that is written with a unit. Nothing: absent, or wrong and said.
  std::optional<std::string> unit_text(const Key& key, std::string_view form, std::string_view example,
                                       std::string_view both) {
    const toml::node* node = find(key);
    if (!node) return std::nullopt;
    if (const auto* value = node->as_string()) return value->get();
    if (const auto* bare = node->as_integer()) {
      // No guess at the unit: seconds to one reader are milliseconds to another.
      wrong(key, *node,
            std::to_string(bare->get()) + " has no unit; write " + std::string(form) + " such as " +
                std::string(both));
    } else {
      wrong(key, *node,
            "wants " + std::string(form) + " such as " + std::string(example) + ", not " +
                std::string(form_of(*node)));
    }
    return std::nullopt;
  }

  void wrong_form(const Key& key, const toml::node& node, std::string_view wanted,
                  const std::string& default_value) {
    std::string message = "wants " + std::string(wanted);
    const std::string_view example = key.example.empty() ? std::string_view(default_value) : key.example;
    const bool many_wanted = wanted == "a list";
    if (!example.empty() && wanted != kTrueOrFalse) {
      message += " such as " + (many_wanted ? "[ " + std::string(example) + " ]" : std::string(example));
    }
    message += ", not " + std::string(form_of(node));
    if (const auto* text = node.as_string()) message += unquoted_would_do(text->get(), wanted);
    wrong(key, node, std::move(message));
  }

  /// "5" for 5 and "true" for true are slips that can be named.
  static std::string unquoted_would_do(const std::string& text, std::string_view wanted) {
    int number = 0;
    const char* end = text.data() + text.size();
    const bool is_number = !text.empty() && std::from_chars(text.data(), end, number).ptr == end;
    const bool is_flag = text == "true" || text == "false";
    if ((wanted == "an integer" && is_number) || (wanted == kTrueOrFalse && is_flag)) {
      return "; did you mean " + text + ", without quotes?";
    }
    return {};
  }

  void out_of_range(const Key& key, const toml::node& node, const std::string& value, const std::string& min,
                    const std::string& max) {
    wrong(key, node,
          value + " is out of range; " + (min == max ? "write " + min : "write " + min + " to " + max));
  }

  static std::string write(const Key& key) {
    const std::string example(key.example);
    const bool is_table = example.starts_with('{');
    return "write " + std::string(key.name) + " = " + (is_table ? "[ " + example + " ]" : example);
  }

  void wrong(const Key& key, const toml::node& node, std::string message) {
    places_.refuse(internal(key.name));
    say({place_of(node.source()), display(key.name)}, std::move(message));
  }
  void say(Spot spot, std::string message) {
    out_.push_back({file_, spot.place, std::move(spot.key), std::move(message)});
  }

  std::string internal(std::string_view name) const { return joined(frame_->internal, name); }
  std::string display(std::string_view name) const { return joined(frame_->display, name); }
  static std::string joined(const std::string& path, std::string_view name) {
    return path.empty() ? std::string(name) : path + '.' + std::string(name);
  }

  const std::string& file_;
  std::vector<Diagnostic>& out_;
  Places& places_;
  const std::vector<TableRows> tables_;
  Frame* frame_ = nullptr;
  const toml::node* found_ = nullptr;  // what find() found last
};

void read_toml(std::string_view text, Reading& out) {
  const std::string& file = out.config.file;
  try {
    // A std::string_view, or the overload that takes a path wins.
    const toml::table root = toml::parse(text, std::string_view(file));
    Places places;
    TomlReader(file, out.diagnostics, places).read(root, out.config);
    cross_check(out.config, places, out.diagnostics);
  } catch (const toml::parse_error& error) {
    std::string message = one_line(error.description());
    if (message.find("inline table") != message.npos) {
      message += " (a { table } must stand on one line, without a comma at its end)";
    }
    out.diagnostics.push_back({file, place_of(error.source()), {}, std::move(message)});
  } catch (const std::exception& error) {
    out.diagnostics.push_back({file, {}, {}, one_line(error.what())});
  }
}

}  // namespace

Reading read_config(std::string_view text, const std::string& file_name) {
  Reading out;
  out.config.file = file_name;
  if (text.size() > limits::kConfigBytesMax) {
    out.diagnostics.push_back(
        {file_name,
         {},
         {},
         "is larger than " + size_text(limits::kConfigBytesMax) + ": not a configuration"});
    return out;
  }
  read_toml(text, out);
  sort_by_place(out.diagnostics);
  if (out.ok()) out.config.warnings = out.diagnostics;
  return out;
}

}  // namespace rejoin::config
