#include "base/portable_math.h"

#include <cmath>
#include <limits>

namespace penstock {
namespace {

// ln 2 in two parts: the first has 21 zero bits at its end, so that k · kLn2High is exact.
constexpr double kLn2High = 6.93147180369123816490e-01;
constexpr double kLn2Low = 1.90821492927058770002e-10;

}  // namespace

double PortableLog(double x) {
  int exponent = 0;
  double mantissa = std::frexp(x, &exponent);  // Exact, in [0.5, 1).
  if (mantissa < 0.70710678118654752440) {
    mantissa *= 2;
    --exponent;
  }
  // log m = 2 atanh(s), s = (m - 1) / (m + 1), whose series converges fast for |s| < 0.172.
  const double s = (mantissa - 1) / (mantissa + 1);
  const double square = s * s;
  double sum = 0;
  for (int odd = 23; odd >= 3; odd -= 2) {
    sum = (sum + 1.0 / odd) * square;
  }
  const double log_mantissa = 2 * s + 2 * s * sum;
  const double k = exponent;
  return k * kLn2High + (log_mantissa + k * kLn2Low);
}

double PortableExp(double x) {
  if (x > 709.0) return std::numeric_limits<double>::infinity();
  if (x < -745.0) return 0;
  const double k = std::floor(x / kLn2High + 0.5);
  const double r = (x - k * kLn2High) - k * kLn2Low;  // |r| < 0.35.
  double sum = 1;
  for (int term = 16; term >= 1; --term) {
    sum = 1 + sum * r / term;
  }
  return std::ldexp(sum, static_cast<int>(k));  // Exact but for the smallest numbers.
}

double PortablePow(double base, double exponent) {
  return PortableExp(PortableLog(base) * exponent);
}

}  // namespace penstock
