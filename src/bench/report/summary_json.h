// Summary JSON: a summary as one JSON document for programs. Pure.
#pragma once

#include <string>

#include "bench/judge/summary.h"

namespace penstock::bench {

// One object on one line, ended by a line feed. Times are in milliseconds, rates per second, both
// rounded to a thousandth. Names are the fields of summary.h; "levels" is by rising concurrency;
// "fastest", "balanced", "highest" name a level's concurrency, null where no request succeeded.
std::string RenderJson(const RunSummary& summary);

}  // namespace penstock::bench
