// Page: a self-contained HTML page as it grows: no script, nothing fetched, styles and charts
// inline.
//
// Every report of the program opens and closes alike, so that a reader knows their way around. The
// page follows the reader's light or dark setting on a screen, and is light on paper, where it fits
// A4 and Letter.
#pragma once

#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace penstock::page {

class Page {
 public:
  // Adds a line of markup. Values must be numbers, or escaped already (EscapeHtml of svg_chart.h).
  template <typename... Values>
  void Add(fmt::format_string<Values...> format, Values&&... values) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Values>(values)...);
    out_ += '\n';
  }

  // The head, and the heading with the lines under it. Plain text; escaped here.
  void Open(std::string_view title, std::string_view subtitle);
  // An entry of a definition list. Plain text; escaped here.
  void AddTerm(std::string_view term, std::string_view value);
  // The foot, in plain text, and the end. Nothing may follow but Take().
  void Close(std::string_view foot);

  std::string Take() { return std::move(out_); }

 private:
  std::string out_;
};

}  // namespace penstock::page
