// Exposition: Prometheus' text format, version 0.0.4, written fast.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "meter/instruments.h"

namespace penstock::meter {

// A label's value with backslash, quote and line feed escaped.
std::string EscapeLabel(std::string_view value);

class Exposition {
 public:
  explicit Exposition(std::string& out) : out_(out) {}

  // Opens a family: its samples follow at once. `type`: counter, gauge, histogram.
  void Family(std::string_view name, std::string_view type, std::string_view help);
  // One sample of the family; `labels` as they stand between the braces, or "".
  void Sample(std::string_view labels, std::uint64_t value);
  void Sample(std::string_view labels, double value);
  // All lines of one histogram. `labels` is not empty.
  void Sample(std::string_view labels, const Histogram& histogram);

 private:
  void Begin(std::string_view suffix, std::string_view labels);

  std::string& out_;
  std::string name_;
};

}  // namespace penstock::meter
