// TokenQuantile: the 80th percentile of recent token counts, in 200 bytes.
//
// A histogram over steps of a quarter of an octave, so an answer is at most 19 % too high; counts
// are halved whenever they reach kRemembered, so that it follows what changes. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace penstock::policy {

class TokenQuantile {
 public:
  static constexpr double kQuantile = 0.8;
  static constexpr std::uint32_t kRemembered = 512;

  // Negative counts are taken for 0.
  void Add(std::int64_t tokens);

  // How many counts the answer rests on; grows to kRemembered at most.
  std::uint32_t count() const { return total_; }
  // The upper end of the step that holds the quantile; 0 without any count.
  std::int64_t value() const { return value_; }

 private:
  static constexpr std::size_t kSteps = 88;  // Up to 2^22 tokens.
  static std::size_t StepOf(std::int64_t tokens);
  static std::int64_t EndOf(std::size_t step);

  std::array<std::uint16_t, kSteps> counts_{};
  std::uint32_t total_ = 0;
  std::int64_t value_ = 0;
};

}  // namespace penstock::policy
