// Validity: which figures of a load test to doubt, and why. Pure.
#pragma once

#include <vector>

#include "bench/judge/summary.h"
#include "bench/record/record.h"

namespace penstock::bench {

// Adds the warnings of each level and of the run, and sets `valid`: false where a figure must not
// be used. Their names, and what raises each, stand in docs/bench-summary.md.
void Judge(const RunRecords& run, RunSummary& summary);

// All warnings, the gravest first, for people: each names its levels, and what several levels have
// in common is told once.
std::vector<Warning> AllWarnings(const RunSummary& summary);

}  // namespace penstock::bench
