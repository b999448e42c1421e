// Table: a summary as aligned text for a terminal. Pure.
#pragma once

#include <string>

#include "bench/judge/summary.h"

namespace penstock::bench {

// One row per level, then the warnings, then the answer in a sentence; about 110 columns wide and
// aligned by characters, not bytes. Ends with a line feed.
std::string RenderTable(const RunSummary& summary);

}  // namespace penstock::bench
