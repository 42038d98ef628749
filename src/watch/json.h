// JSON as plain values, for what operators and scripts read: the admin port, `rejoin ctl`, `rejoin connect
// --json`.
//
// Not for the path of a message. nlohmann-json stands behind it, included by json.cc alone (its header costs
// seconds a unit). Any thread; a value has one owner.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace rejoin::watch {

/// Deeper texts are refused by parse_json().
inline constexpr int kJsonDepthMax = 64;

class Json {
 public:
  enum class Kind : std::uint8_t { null, boolean, integer, real, text, list, object };

  Json() = default;  // null
  Json(bool value) : kind_(Kind::boolean), integer_(value) {}
  template <std::integral Number>
  requires(!std::same_as<Number, bool>) Json(Number value)
      : kind_(Kind::integer), integer_(static_cast<std::int64_t>(value)) {}
  Json(double value) : kind_(Kind::real), real_(value) {}
  Json(std::string value) : kind_(Kind::text), text_(std::move(value)) {}
  Json(std::string_view value) : Json(std::string(value)) {}
  Json(const char* value) : Json(std::string(value)) {}
  template <typename T>
  Json(const std::optional<T>& value) : Json(value ? Json(*value) : Json()) {}
  static Json list() { return Json(Kind::list); }
  static Json object() { return Json(Kind::object); }

  // --- building ---
  /// Behind the others of a list.
  void add(Json item) { items_.push_back(std::move(item)); }
  /// Behind the members of an object, in the order in which they are written. A name stands once.
  void set(std::string name, Json value) {
    names_.push_back(std::move(name));
    items_.push_back(std::move(value));
  }

  // --- looking ---
  Kind kind() const { return kind_; }
  bool is_null() const { return kind_ == Kind::null; }
  /// Of a list or an object; nothing in all others.
  const std::vector<Json>& items() const { return items_; }
  /// Of an object: the name of items()[i].
  const std::vector<std::string>& names() const { return names_; }
  /// The member of an object; null when there is none, or this is no object.
  const Json& operator[](std::string_view name) const;
  bool has(std::string_view name) const;
  // What the value is, and nothing when it is of another kind.
  std::optional<std::string> text() const;
  std::optional<std::int64_t> integer() const;
  std::optional<bool> boolean() const;
  std::optional<double> real() const;  // of an integer, too

 private:
  explicit Json(Kind kind) : kind_(kind) {}

  Kind kind_ = Kind::null;
  std::int64_t integer_ = 0;
  double real_ = 0;
  std::string text_;
  std::vector<Json> items_;
  std::vector<std::string> names_;
};

enum class JsonForm : std::uint8_t {
  line,    // without a line end
  people,  // indented by two
};
/// Bytes that are not UTF-8 become U+FFFD.
std::string write_json(const Json& value, JsonForm form = JsonForm::line);
/// Nothing for what is no JSON (RFC 8259), or deeper than kJsonDepthMax. Numbers without fraction and
/// exponent that fit are integers.
std::optional<Json> parse_json(Bytes text);

}  // namespace rejoin::watch
