// TextTable: rows for people, in columns as wide as their widest cell.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json.hpp>

namespace penstock::app {

class TextTable {
 public:
  explicit TextTable(std::vector<std::string> header) { rows_.push_back(std::move(header)); }

  // As many cells as the header has.
  void Add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  // Two blanks between columns, none at the ends of lines. "" without a row beside the header.
  std::string ToString() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// The text at `path` ("state.ready", "config.served_entities.0.name") of an answer: strings as they
// are, others as JSON; "" where there is none.
std::string JsonText(const boost::json::value& json, std::string_view path);
// The value there; nullptr where there is none.
const boost::json::value* JsonAt(const boost::json::value& json, std::string_view path);

// Milliseconds since 1970 as "2026-11-25 15:04:05" (UTC).
std::string TimeText(std::int64_t ms);

}  // namespace penstock::app
