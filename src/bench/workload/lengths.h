// Lengths: how many tokens a prompt or a reply shall have: one number, or a distribution.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/result.h"

namespace penstock::bench {

// A value. Draws are equal for equal seeds on every machine.
class Lengths {
 public:
  static constexpr int kMost = 1'000'000;

  // Always `tokens`.
  static Lengths Fixed(int tokens);

  // "256" · "uniform:100-300" · "normal:512,128" (mean, deviation) · "lognormal:512,0.6" (median,
  // deviation of the logarithm) · "file:PATH" (a length a line, or "length,weight"; blocks). What
  // is drawn is rounded and brought into 1 … kMost. Errors: kInvalidArgument naming `flag`,
  // kCorrupt naming row and column of the file.
  static Result<Lengths> Parse(std::string_view text, std::string_view flag);

  // The lines of a file of lengths. Errors: kCorrupt naming row and column.
  static Result<Lengths> FromTable(std::string_view text);

  int Draw(Random& random) const;
  // The one length, 0 where there are several.
  int fixed() const { return kind_ == Kind::kFixed ? static_cast<int>(first_) : 0; }
  double mean() const;
  // Half of the draws are shorter.
  int median() const;
  const std::string& text() const { return text_; }  // As Parse() took it.

 private:
  enum class Kind { kFixed, kUniform, kNormal, kLogNormal, kTable };

  Kind kind_ = Kind::kFixed;
  double first_ = 1;                           // Fixed length, least, mean, median.
  double second_ = 0;                          // Most, deviation.
  std::vector<std::pair<double, int>> table_;  // (sum of the weights up to it, length).
  std::string text_ = "1";
};

}  // namespace penstock::bench
