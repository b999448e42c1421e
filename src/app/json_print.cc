#include "app/json_print.h"

#include <cstdio>
#include <string>

#include <fmt/format.h>
#include <boost/json.hpp>

namespace penstock::app {

namespace {

namespace json = boost::json;

void AppendIndented(const json::value& value, std::size_t depth, std::string& out) {
  const std::string inner((depth + 1) * 2, ' ');
  const char* separator = "\n";
  if (const json::object* object = value.if_object(); object != nullptr && !object->empty()) {
    out += '{';
    for (const auto& [key, member] : *object) {
      out += separator + inner + json::serialize(json::string(key)) + ": ";
      AppendIndented(member, depth + 1, out);
      separator = ",\n";
    }
    out += "\n" + std::string(depth * 2, ' ') + '}';
  } else if (const json::array* array = value.if_array(); array != nullptr && !array->empty()) {
    out += '[';
    for (const json::value& element : *array) {
      out += separator + inner;
      AppendIndented(element, depth + 1, out);
      separator = ",\n";
    }
    out += "\n" + std::string(depth * 2, ' ') + ']';
  } else {
    out += json::serialize(value);
  }
}

}  // namespace

void PrintJson(std::string_view text) {
  json::error_code error;
  const json::value value = json::parse(json::string_view(text.data(), text.size()), error);
  if (error) {
    fmt::print("{}\n", text);
    return;
  }
  std::string out;
  AppendIndented(value, 0, out);
  fmt::print("{}\n", out);
}

std::string JoinTexts(const boost::json::array& texts) {
  std::string joined;
  for (const boost::json::value& text : texts) {
    if (!joined.empty()) joined += ',';
    joined += std::string_view(text.as_string());
  }
  return joined.empty() ? "-" : joined;
}

}  // namespace penstock::app
