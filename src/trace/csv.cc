#include "trace/csv.h"

#include <algorithm>

namespace penstock::trace {

void CsvRows::TakeQuoted(std::string& cell) {
  rest_.remove_prefix(1);
  while (!rest_.empty()) {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    if (c == '\n') ++lines_;
    if (c != '"') {
      cell += c;
    } else if (rest_.starts_with('"')) {
      cell += '"';
      rest_.remove_prefix(1);
    } else {
      return;
    }
  }
}

bool CsvRows::Next(std::vector<std::string>& cells) {
  cells.clear();
  for (;;) {  // Empty lines.
    if (rest_.empty()) return false;
    const std::size_t skip = rest_.starts_with("\r\n") ? 2 : rest_.starts_with('\n') ? 1 : 0;
    if (skip == 0) break;
    rest_.remove_prefix(skip);
    ++lines_;
  }
  row_ = lines_ + 1;
  for (;;) {
    std::string& cell = cells.emplace_back();
    if (rest_.starts_with('"')) TakeQuoted(cell);
    const std::size_t end = std::min(rest_.find_first_of(",\n"), rest_.size());
    cell += rest_.substr(0, end);
    rest_.remove_prefix(end);
    if (!rest_.starts_with(',')) {
      if (cell.ends_with('\r')) cell.pop_back();
      break;
    }
    rest_.remove_prefix(1);
  }
  if (!rest_.empty()) rest_.remove_prefix(1);
  ++lines_;
  return true;
}

std::string CsvCell(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

}  // namespace penstock::trace
