// CSV: rows of comma-separated cells, quoted ones included (RFC 4180), one row at a time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::trace {

// A cursor over a text that must outlive it. Line ends may be LF or CRLF; empty lines are skipped.
class CsvRows {
 public:
  explicit CsvRows(std::string_view text) : rest_(text) {
    if (rest_.starts_with("\xEF\xBB\xBF")) rest_.remove_prefix(3);  // A byte-order mark.
  }

  // Reads the next row into `cells`; false at the end. A quote that is never closed ends with the
  // text.
  bool Next(std::vector<std::string>& cells);

  // Of the row that Next() gave last, counted from 1 by the lines of the file.
  std::size_t row() const { return row_; }

 private:
  void TakeQuoted(std::string& cell);

  std::string_view rest_;
  std::size_t row_ = 0;
  std::size_t lines_ = 0;  // Taken so far.
};

// `text` as a quoted cell.
std::string CsvCell(std::string_view text);

}  // namespace penstock::trace
