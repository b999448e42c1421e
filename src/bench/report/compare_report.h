// Compare report: a comparison as one self-contained HTML page. Pure.
#pragma once

#include <string>

#include "bench/report/compare.h"

namespace penstock::bench {

std::string RenderComparisonReport(const Comparison& comparison);

}  // namespace penstock::bench
