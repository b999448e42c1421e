// Portable mathematics: log and exp whose results are the same bits on every machine.
//
// The C library's differ in their last bit between libraries and processors, and a schedule that is
// drawn from them would differ, too. These use additions, multiplications and divisions alone, in
// one order (their source is compiled without fused operations). Within 2 units in the last place.
#pragma once

namespace penstock {

// Natural logarithm. `x` > 0 and finite.
double PortableLog(double x);

// e to the power of `x`; 0 below -745, infinity above 709.
double PortableExp(double x);

// `base` > 0 to the power of `exponent`.
double PortablePow(double base, double exponent);

}  // namespace penstock
