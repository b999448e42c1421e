#include "plan/least_squares.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <random>

namespace penstock::plan {
namespace {

// Residuals that are linear: the solution is known.
TEST(LeastSquares, FindsTheSolutionOfLinearEquations) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    std::mt19937_64 random(seed);
    const auto number = [&random] { return static_cast<double>(random() % 2001) / 1000 - 1; };
    const std::vector<double> truth = {3 * number(), 3 * number(), 3 * number()};
    std::vector<std::vector<double>> rows;
    for (int i = 0; i < 8; ++i) rows.push_back({number(), number(), number()});
    for (std::size_t i = 0; i < 3; ++i) rows[i][i] += 2;  // Not singular.
    const Minimum found = Descend(
        [&](const std::vector<double>& at) {
          std::vector<double> residuals;
          for (const auto& row : rows) {
            double sum = 0;
            for (std::size_t i = 0; i < 3; ++i) sum += row[i] * (at[i] - truth[i]);
            residuals.push_back(sum);
          }
          return residuals;
        },
        {0, 0, 0});
    EXPECT_LT(found.squares, 1e-6);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(found.at[i], truth[i], 2e-3);
  }
}

// A function of whole numbers has no derivatives to follow; the last steps find its least value.
TEST(LeastSquares, SmallJumpsDoNotHoldItUp) {
  const Minimum found = Descend(
      [](const std::vector<double>& at) {
        return std::vector<double>{std::round(at[0] * 20) / 20 - 1.5, 0.1 * (at[0] - 1.5)};
      },
      {0.2});
  EXPECT_NEAR(found.at[0], 1.5, 0.06);
}

TEST(LeastSquares, ItNeverEndsHigherThanItBegan) {
  const Residuals wild = [](const std::vector<double>& at) {
    return std::vector<double>{std::sin(9 * at[0]), at[0] / 4, std::exp(at[0] / 9)};
  };
  for (const double begin : {-7.0, -1.0, 0.0, 0.5, 3.0, 11.0}) {
    double squares = 0;
    for (const double each : wild({begin})) squares += each * each;
    EXPECT_LE(Descend(wild, {begin}).squares, squares);
  }
}

}  // namespace
}  // namespace penstock::plan
