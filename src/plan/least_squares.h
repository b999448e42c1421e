// Least squares of a function that is known by its values alone. Pure.
#pragma once

#include <functional>
#include <vector>

namespace penstock::plan {

// What is to become small, at a point. As many values each time.
using Residuals = std::function<std::vector<double>(const std::vector<double>&)>;

struct Minimum {
  std::vector<double> at{};
  double squares = 0;  // The residuals' sum of squares there.
};

// From `begin` downhill: Levenberg's steps, by differences, then one unknown after another, for a
// function of whole tokens and steps has small jumps where derivatives lead astray. A valley of
// several; which, the beginning decides. Unknowns should be of one scale: logarithms, say.
Minimum Descend(const Residuals& residuals, std::vector<double> begin);

}  // namespace penstock::plan
