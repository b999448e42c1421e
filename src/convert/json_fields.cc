#include "convert/json_fields.h"

#include <fmt/format.h>

#include "base/file.h"

namespace penstock::convert {
namespace {

constexpr std::size_t kJsonFileMax = std::size_t{128} << 20;  // A large tokenizer.json has 20 MB.
constexpr std::size_t kDepthMax = 64;

}  // namespace

Result<boost::json::object> ParseObject(std::string_view text, std::string_view what) {
  boost::json::parse_options options;
  options.max_depth = kDepthMax;
  boost::json::error_code error;
  auto value = boost::json::parse({text.data(), text.size()}, error, {}, options);
  if (error) return Fail(Code::kCorrupt, fmt::format("{}: not JSON: {}", what, error.message()));
  if (!value.is_object()) return Fail(Code::kCorrupt, fmt::format("{}: not a JSON object", what));
  return std::move(value.get_object());
}

Result<boost::json::object> ReadObject(const std::string& path) {
  const auto text = ReadSmallFile(path, kJsonFileMax);
  if (!text) return Fail(text.error());
  return ParseObject(*text, path);
}

const boost::json::value* Find(const boost::json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

const boost::json::object* FindObject(const boost::json::object& object, std::string_view key) {
  const auto* value = Find(object, key);
  return value == nullptr ? nullptr : value->if_object();
}

const boost::json::array* FindArray(const boost::json::object& object, std::string_view key) {
  const auto* value = Find(object, key);
  return value == nullptr ? nullptr : value->if_array();
}

std::optional<std::string> FindString(const boost::json::object& object, std::string_view key) {
  const auto* value = Find(object, key);
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return std::string(value->get_string());
}

std::optional<std::int64_t> FindInteger(const boost::json::object& object, std::string_view key) {
  const auto* value = Find(object, key);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  boost::json::error_code error;
  const auto number = value->to_number<std::int64_t>(error);
  return error ? std::nullopt : std::optional(number);
}

std::optional<double> FindNumber(const boost::json::object& object, std::string_view key) {
  const auto* value = Find(object, key);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  boost::json::error_code error;
  const auto number = value->to_number<double>(error);
  return error ? std::nullopt : std::optional(number);
}

std::optional<bool> FindBool(const boost::json::object& object, std::string_view key) {
  const auto* value = Find(object, key);
  if (value == nullptr || !value->is_bool()) return std::nullopt;
  return value->get_bool();
}

}  // namespace penstock::convert
