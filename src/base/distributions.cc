#include "base/distributions.h"

#include <cmath>

#include "base/portable_math.h"

namespace penstock {
namespace {

// In (0, 1]: a logarithm takes it.
double PositiveUniform(Random& random) { return 1.0 - random.Uniform(); }

}  // namespace

double DrawExponential(Random& random) { return -PortableLog(PositiveUniform(random)); }

// Marsaglia's polar method; the second value of each pair is dropped, so that no state is kept.
double DrawNormal(Random& random) {
  for (;;) {
    const double u = 2 * random.Uniform() - 1;
    const double v = 2 * random.Uniform() - 1;
    const double square = u * u + v * v;
    if (square >= 1 || square == 0) continue;
    return u * std::sqrt(-2 * PortableLog(square) / square);
  }
}

// Marsaglia and Tsang, "A simple method for generating gamma variables" (2000).
double DrawGamma(Random& random, double shape) {
  if (shape < 1) {
    const double lifted = DrawGamma(random, shape + 1);
    return lifted * PortablePow(PositiveUniform(random), 1 / shape);
  }
  const double d = shape - 1.0 / 3.0;
  const double c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = DrawNormal(random);
    const double t = 1 + c * x;
    if (t <= 0) continue;
    const double cube = t * t * t;
    const double u = PositiveUniform(random);
    if (PortableLog(u) < 0.5 * x * x + d - d * cube + d * PortableLog(cube)) return d * cube;
  }
}

double DrawWeibull(Random& random, double shape) {
  return PortablePow(DrawExponential(random), 1 / shape);
}

}  // namespace penstock
