// Distributions: random values whose sequence is the same on every machine and library.
//
// The standard library's distributions are free to differ, and do. Each draws from a Random that
// the caller owns; the number of draws for a value may vary.
#pragma once

#include "base/random.h"

namespace penstock {

// With mean 1.
double DrawExponential(Random& random);

// With mean 0 and deviation 1.
double DrawNormal(Random& random);

// With `shape` > 0 and scale 1, so that its mean is `shape`.
double DrawGamma(Random& random, double shape);

// With `shape` > 0 and scale 1.
double DrawWeibull(Random& random, double shape);

}  // namespace penstock
