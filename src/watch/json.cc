// The only unit of the program that includes nlohmann-json.
#include "watch/json.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

namespace rejoin::watch {
namespace {

using Library = nlohmann::ordered_json;

Library to_library(const Json& value) {
  switch (value.kind()) {
    case Json::Kind::null: break;
    case Json::Kind::boolean: return *value.boolean();
    case Json::Kind::integer: return *value.integer();
    case Json::Kind::real: return *value.real();
    case Json::Kind::text: return *value.text();
    case Json::Kind::list: {
      Library out = Library::array();
      for (const Json& item : value.items()) out.push_back(to_library(item));
      return out;
    }
    case Json::Kind::object: {
      // Names stand once, so nothing needs to be looked for: operator[] would, in linear time.
      Library::object_t out;
      for (std::size_t i = 0; i < value.items().size(); ++i)
        out.emplace_back(value.names()[i], to_library(value.items()[i]));
      return out;
    }
  }
  return nullptr;
}

std::optional<Json> from_library(const Library& value, int depth) {
  if (depth > kJsonDepthMax) return std::nullopt;
  switch (value.type()) {
    case Library::value_t::boolean: return Json(value.get<bool>());
    case Library::value_t::number_integer: return Json(value.get<std::int64_t>());
    case Library::value_t::number_unsigned: {
      const auto number = value.get<std::uint64_t>();
      if (number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        return Json(static_cast<double>(number));
      return Json(number);
    }
    case Library::value_t::number_float: return Json(value.get<double>());
    case Library::value_t::string: return Json(value.get<std::string>());
    case Library::value_t::array: {
      Json out = Json::list();
      for (const Library& item : value) {
        std::optional<Json> inner = from_library(item, depth + 1);
        if (!inner) return std::nullopt;
        out.add(std::move(*inner));
      }
      return out;
    }
    case Library::value_t::object: {
      Json out = Json::object();
      for (const auto& [name, item] : value.items()) {
        std::optional<Json> inner = from_library(item, depth + 1);
        if (!inner) return std::nullopt;
        out.set(name, std::move(*inner));
      }
      return out;
    }
    default: return Json();
  }
}

const Json kNull;

}  // namespace

const Json& Json::operator[](std::string_view name) const {
  const auto at = std::find(names_.begin(), names_.end(), name);
  return at == names_.end() ? kNull : items_[static_cast<std::size_t>(at - names_.begin())];
}

bool Json::has(std::string_view name) const {
  return std::find(names_.begin(), names_.end(), name) != names_.end();
}

std::optional<std::string> Json::text() const {
  return kind_ == Kind::text ? std::optional(text_) : std::nullopt;
}
std::optional<std::int64_t> Json::integer() const {
  return kind_ == Kind::integer ? std::optional(integer_) : std::nullopt;
}
std::optional<bool> Json::boolean() const {
  return kind_ == Kind::boolean ? std::optional(integer_ != 0) : std::nullopt;
}
std::optional<double> Json::real() const {
  if (kind_ == Kind::integer) return static_cast<double>(integer_);
  return kind_ == Kind::real ? std::optional(real_) : std::nullopt;
}

std::string write_json(const Json& value, JsonForm form) {
  return to_library(value).dump(form == JsonForm::people ? 2 : -1, ' ', false,
                                Library::error_handler_t::replace);
}

std::optional<Json> parse_json(Bytes text) {
  const Library parsed = Library::parse(text, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) return std::nullopt;
  return from_library(parsed, 0);
}

}  // namespace rejoin::watch
