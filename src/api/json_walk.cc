// The one recursive walk, bounded by kJsonDepthMax.
#include "api/json_walk.h"

#include <fmt/format.h>

#include <optional>

#include "api/characters.h"
#include "api/requests.h"

namespace penstock::internal {
namespace {

namespace od = simdjson::ondemand;
using simdjson::error_code;

constexpr std::size_t kKeptParserBytes = std::size_t{256} << 10;

// Size of a string whose escapes are all of the two-byte kind; nullopt where one is not.
std::optional<std::size_t> UnescapedBytes(std::string_view text) {
  constexpr std::string_view kEscapes = R"("\/bfnrt)";
  std::size_t bytes = text.size();
  for (std::size_t at = text.find('\\'); at < text.size(); at = text.find('\\', at + 2)) {
    if (at + 1 == text.size() || kEscapes.find(text[at + 1]) == std::string_view::npos) {
      return std::nullopt;
    }
    --bytes;
  }
  return bytes;
}

// The parser has checked the characters when it found the string, so that only escapes are left.
error_code CheckString(od::value value, JsonTotals& totals) {
  const std::string_view raw = InsideQuotes(value.raw_json_token());
  if (const auto bytes = UnescapedBytes(raw)) {
    totals.string_bytes += *bytes;
    totals.string_characters += *bytes - ContinuationBytes(raw);
    od::raw_json_string taken;  // A value that is never taken might be skipped as a key.
    return value.get_raw_json_string().get(taken);
  }
  std::string_view text;
  if (auto error = value.get_string().get(text)) return error;
  totals.string_bytes += text.size();
  totals.string_characters += text.size() - ContinuationBytes(text);
  return simdjson::SUCCESS;
}

error_code CheckNull(od::value value) {
  bool is_null = false;
  return !value.is_null().get(is_null) && is_null ? simdjson::SUCCESS : simdjson::N_ATOM_ERROR;
}

error_code CheckObject(od::value value, std::size_t depth, JsonTotals& totals) {
  od::object object;
  if (auto error = value.get_object().get(object)) return error;
  return ForEachField(object, [&](std::string_view, od::value inner) {
    return CheckValue(inner, depth + 1, totals);
  });
}

error_code CheckArray(od::value value, std::size_t depth, JsonTotals& totals) {
  od::array array;
  if (auto error = value.get_array().get(array)) return error;
  return ForEachItem(array, [&](od::value inner) { return CheckValue(inner, depth + 1, totals); });
}

}  // namespace

error_code CheckValue(od::value value, std::size_t depth, JsonTotals& totals) {
  od::json_type type;
  od::number number;
  bool boolean = false;
  if (auto error = value.type().get(type)) return error;
  switch (type) {
    case od::json_type::string:
      return CheckString(value, totals);
    case od::json_type::number:
      ++totals.numbers;
      return ReadNumber(value, number);
    case od::json_type::boolean:
      return ReadBool(value, boolean);
    case od::json_type::null:
      return CheckNull(value);
    case od::json_type::object:
    case od::json_type::array:
      break;
  }
  if (depth >= kJsonDepthMax) return simdjson::DEPTH_ERROR;
  return type == od::json_type::object ? CheckObject(value, depth, totals)
                                       : CheckArray(value, depth, totals);
}

error_code ReadBool(od::value value, bool& out) {
  return value.get_bool().get(out) ? simdjson::T_ATOM_ERROR : simdjson::SUCCESS;
}

error_code ReadNumber(od::value value, od::number& out) {
  return value.get_number().get(out) ? simdjson::NUMBER_ERROR : simdjson::SUCCESS;
}

od::parser& ParserFor(std::size_t bytes, od::parser& spare) {
  static thread_local od::parser kept;
  return bytes <= kKeptParserBytes ? kept : spare;
}

Error JsonError(error_code error) {
  const auto bad = [](std::string message) {
    return Error{Code::kInvalidArgument, std::move(message), {}};
  };
  switch (error) {
    case simdjson::EMPTY:
      return bad("the body is empty; a JSON object is expected");
    case simdjson::UTF8_ERROR:
      return bad("the body is not valid UTF-8");
    case simdjson::DEPTH_ERROR:
      return bad(fmt::format("the body nests deeper than {} levels", kJsonDepthMax));
    case simdjson::CAPACITY:
      return bad("the body is larger than a JSON document may be");
    case simdjson::INCORRECT_TYPE:
      return bad("the body is not a JSON object");
    case simdjson::NUMBER_ERROR:
      return bad("the body is not valid JSON: it holds a number that is malformed or out of range");
    case simdjson::STRING_ERROR:
      return bad("the body is not valid JSON: it holds a string with a bad escape");
    case simdjson::UNESCAPED_CHARS:
      return bad("the body is not valid JSON: a control character in a string is not escaped");
    case simdjson::UNCLOSED_STRING:
      return bad("the body is not valid JSON: a string has no end");
    case simdjson::MEMALLOC:
      return {Code::kExhausted, "out of memory while reading a JSON body", {}};
    default:
      return bad(fmt::format("the body is not valid JSON ({})", simdjson::error_message(error)));
  }
}

}  // namespace penstock::internal
