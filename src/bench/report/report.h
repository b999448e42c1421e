// Report: a run as one self-contained HTML page. Pure: records in, text out, no clock.
//
// The page has no script and fetches nothing: styles and charts are inline. It follows the reader's
// light or dark setting on a screen, and is always light on paper, where it fits A4 and Letter.
#pragma once

#include <string>

#include "bench/judge/summary.h"

namespace penstock::bench {

std::string RenderReport(const RunSummary& summary);

}  // namespace penstock::bench
