#include "control/json_reader.h"

#include <fmt/format.h>

#include <charconv>

namespace penstock::control {
namespace {

// The value as JSON, shortened: it may be anything that a client sent.
std::string Shown(const boost::json::value& value) {
  constexpr std::size_t kShownMax = 80;
  std::string text = boost::json::serialize(value);
  if (text.size() <= kShownMax) return text;
  std::size_t end = kShownMax;
  while (end > 0 && (text[end] & 0xC0) == 0x80) --end;  // Between characters.
  return text.substr(0, end) + "…";
}

std::optional<std::int64_t> ToInteger(const boost::json::value& value) {
  if (value.is_int64()) return value.get_int64();
  if (!value.is_string()) return std::nullopt;
  const std::string_view text = value.get_string();
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

bool IsNothing(const boost::json::value& value) {
  switch (value.kind()) {
    case boost::json::kind::null:
      return true;
    case boost::json::kind::bool_:
      return !value.get_bool();
    case boost::json::kind::string:
      return value.get_string().empty();
    case boost::json::kind::array:
      return value.get_array().empty();
    case boost::json::kind::object:
      return value.get_object().empty();
    default:
      return false;
  }
}

}  // namespace

Result<boost::json::value> ParseJson(std::string_view text) {
  boost::json::stream_parser parser;
  boost::system::error_code error;
  const std::size_t consumed = parser.write_some(text.data(), text.size(), error);
  if (!error && consumed < text.size()) error = boost::json::error::extra_data;
  if (!error) parser.finish(error);
  if (error) {
    return Fail(Code::kInvalidArgument, fmt::format("the body is not JSON: {} at byte {} of {}",
                                                    error.message(), consumed, text.size()));
  }
  return parser.release();
}

Result<boost::json::object> ParseJsonObject(std::string_view text) {
  auto value = ParseJson(text);
  if (!value) return Fail(value.error());
  if (!value->is_object()) {
    return Fail(Code::kInvalidArgument,
                fmt::format("the body must be a JSON object, got {}", Shown(*value)));
  }
  return std::move(value->get_object());
}

std::optional<std::string> JsonReader::String(std::string_view key) {
  const auto* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) return std::string(value->get_string());
  Refuse(key, "a string", *value);
  return std::nullopt;
}

std::string JsonReader::RequiredString(std::string_view key) {
  const auto text = String(key);
  if (text && !text->empty()) return *text;
  Refuse({Code::kInvalidArgument, fmt::format("{} is required and must not be empty", PathOf(key)),
          PathOf(key)});
  return {};
}

std::optional<std::int64_t> JsonReader::Integer(std::string_view key) {
  const auto* value = Find(key);
  if (value == nullptr) return std::nullopt;
  const auto number = ToInteger(*value);
  if (!number) Refuse(key, "an integer", *value);
  return number;
}

std::optional<bool> JsonReader::Boolean(std::string_view key) {
  const auto* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_bool()) return value->get_bool();
  if (value->is_string() && value->get_string() == "true") return true;
  if (value->is_string() && value->get_string() == "false") return false;
  Refuse(key, "true or false", *value);
  return std::nullopt;
}

const boost::json::array* JsonReader::Array(std::string_view key) {
  const auto* value = Find(key);
  if (value == nullptr) return nullptr;
  if (value->is_array()) return &value->get_array();
  Refuse(key, "an array", *value);
  return nullptr;
}

const boost::json::object* JsonReader::Object(std::string_view key) {
  const auto* value = Find(key);
  if (value == nullptr) return nullptr;
  if (value->is_object()) return &value->get_object();
  Refuse(key, "an object", *value);
  return nullptr;
}

const boost::json::object* JsonReader::Element(const boost::json::array& array,
                                               std::string_view key, std::size_t index) {
  const boost::json::value& value = array[index];
  if (value.is_object()) return &value.get_object();
  Refuse(fmt::format("{}[{}]", key, index), "an object", value);
  return nullptr;
}

void JsonReader::Refuse(std::string_view key, std::string_view must,
                        const boost::json::value& got) {
  Refuse({Code::kInvalidArgument,
          fmt::format("{} must be {}, got {}", PathOf(key), must, Shown(got)), PathOf(key)});
}

void JsonReader::Refuse(Error error) {
  if (!failure_) failure_ = std::move(error);
}

void JsonReader::RefuseUnsupported(std::string_view key) {
  const auto* value = Find(key);
  if (value == nullptr || IsNothing(*value)) return;
  Refuse({Code::kUnsupported, fmt::format("{} is not supported by this version", PathOf(key)),
          PathOf(key)});
}

std::string JsonReader::PathOf(std::string_view key, std::size_t index) const {
  return fmt::format("{}{}[{}]", path_, key, index);
}

const boost::json::value* JsonReader::Find(std::string_view key) const {
  const auto* value = object_.if_contains(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

}  // namespace penstock::control
