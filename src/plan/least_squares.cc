#include "plan/least_squares.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace penstock::plan {
namespace {

using Vector = std::vector<double>;

constexpr double kDifference = 0.02;  // Of a derivative.
constexpr double kStepMax = 1;        // Of an unknown, in one round.
constexpr int kRounds = 25;

double Squares(const Vector& residuals) {
  double sum = 0;
  for (const double each : residuals) sum += each * each;
  return sum;
}

// Solves `matrix` x = `right`, symmetric and positive.
Vector Solve(std::vector<Vector> matrix, Vector right) {
  const std::size_t n = right.size();
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t row = i + 1; row < n; ++row) {
      const double factor = matrix[row][i] / matrix[i][i];
      for (std::size_t k = i; k < n; ++k) matrix[row][k] -= factor * matrix[i][k];
      right[row] -= factor * right[i];
    }
  }
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t k = i + 1; k < n; ++k) right[i] -= matrix[i][k] * right[k];
    right[i] /= matrix[i][i];
  }
  return right;
}

// Where the residuals would be least if they were linear, not far from here.
Vector StepFrom(const Residuals& residuals_of, const Vector& unknowns, const Vector& residuals,
                double damping) {
  const std::size_t n = unknowns.size();
  std::vector<Vector> derivatives(n);
  for (std::size_t i = 0; i < n; ++i) {
    Vector moved = unknowns;
    moved[i] += kDifference;
    derivatives[i] = residuals_of(moved);
    for (std::size_t k = 0; k < residuals.size(); ++k) {
      derivatives[i][k] = (derivatives[i][k] - residuals[k]) / kDifference;
    }
  }
  std::vector<Vector> matrix(n, Vector(n));
  Vector right(n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      for (std::size_t k = 0; k < residuals.size(); ++k) {
        matrix[i][j] += derivatives[i][k] * derivatives[j][k];
      }
    }
    for (std::size_t k = 0; k < residuals.size(); ++k) {
      right[i] -= derivatives[i][k] * residuals[k];
    }
  }
  for (std::size_t i = 0; i < n; ++i) matrix[i][i] = matrix[i][i] * (1 + damping) + 1e-9;
  return Solve(std::move(matrix), std::move(right));
}

void Polish(const Residuals& residuals_of, Vector& unknowns, Vector& residuals) {
  for (const double size : {0.1, 0.03, 0.01}) {
    for (std::size_t i = 0; i < unknowns.size(); ++i) {
      for (const double change : {size, -size}) {
        Vector moved = unknowns;
        moved[i] += change;
        Vector there = residuals_of(moved);
        if (Squares(there) >= Squares(residuals)) continue;
        unknowns = std::move(moved);
        residuals = std::move(there);
        break;
      }
    }
  }
}

}  // namespace

Minimum Descend(const Residuals& residuals_of, Vector begin) {
  Vector unknowns = std::move(begin);
  Vector residuals = residuals_of(unknowns);
  double damping = 0.1;
  for (int round = 0; round < kRounds; ++round) {
    const Vector step = StepFrom(residuals_of, unknowns, residuals, damping);
    Vector next = unknowns;
    for (std::size_t i = 0; i < next.size(); ++i) {
      next[i] += std::clamp(step[i], -kStepMax, kStepMax);
    }
    Vector there = residuals_of(next);
    if (Squares(there) < Squares(residuals)) {
      unknowns = std::move(next);
      residuals = std::move(there);
      damping = std::max(1e-3, damping / 3);
    } else {
      damping *= 5;
    }
  }
  Polish(residuals_of, unknowns, residuals);
  const double squares = Squares(residuals);
  return {.at = std::move(unknowns), .squares = squares};
}

}  // namespace penstock::plan
