#include "app/text_table.h"

#include <algorithm>
#include <charconv>
#include <chrono>

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace penstock::app {

std::string TextTable::ToString() const {
  if (rows_.size() < 2) return {};
  std::vector<std::size_t> widths(rows_.front().size(), 0);
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += fmt::format("{:<{}}", row[i], widths[i] + 2);
    }
    while (!line.empty() && line.back() == ' ') line.pop_back();
    text += line + '\n';
  }
  return text;
}

const boost::json::value* JsonAt(const boost::json::value& json, std::string_view path) {
  const boost::json::value* at = &json;
  while (!path.empty()) {
    const std::string_view part = path.substr(0, path.find('.'));
    path.remove_prefix(std::min(path.size(), part.size() + 1));
    if (const auto* object = at->if_object(); object != nullptr) {
      at = object->if_contains(part);
    } else if (const auto* array = at->if_array(); array != nullptr) {
      std::size_t index = 0;
      const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), index);
      at = error == std::errc() && index < array->size() ? &(*array)[index] : nullptr;
    } else {
      return nullptr;
    }
    if (at == nullptr) return nullptr;
  }
  return at;
}

std::string JsonText(const boost::json::value& json, std::string_view path) {
  const boost::json::value* at = JsonAt(json, path);
  if (at == nullptr || at->is_null()) return {};
  if (at->is_string()) return std::string(at->get_string());
  return boost::json::serialize(*at);
}

std::string TimeText(std::int64_t ms) {
  const auto seconds = std::chrono::sys_seconds(std::chrono::seconds(ms / 1000));
  return fmt::format("{:%Y-%m-%d %H:%M:%S}", seconds);
}

}  // namespace penstock::app
