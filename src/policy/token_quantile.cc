#include "policy/token_quantile.h"

#include <algorithm>
#include <cmath>

namespace penstock::policy {

std::size_t TokenQuantile::StepOf(std::int64_t tokens) {
  if (tokens < 1) return 0;
  const double step = std::ceil(4 * std::log2(static_cast<double>(tokens)));
  return std::min(static_cast<std::size_t>(step), kSteps - 1);
}

std::int64_t TokenQuantile::EndOf(std::size_t step) {
  return static_cast<std::int64_t>(std::floor(std::exp2(static_cast<double>(step) / 4) + 1e-6));
}

void TokenQuantile::Add(std::int64_t tokens) {
  ++counts_[StepOf(tokens)];
  if (++total_ >= kRemembered) {
    total_ = 0;
    for (std::uint16_t& count : counts_) total_ += count = static_cast<std::uint16_t>(count / 2);
  }
  const double rank = kQuantile * total_;
  std::uint32_t below = 0;
  for (std::size_t step = 0; step < kSteps; ++step) {
    below += counts_[step];
    if (below >= rank && below > 0) {
      value_ = EndOf(step);
      return;
    }
  }
}

}  // namespace penstock::policy
