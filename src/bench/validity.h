// Validity: which figures of a load test to doubt, and why. Pure.
#pragma once

#include <vector>

#include "bench/record.h"
#include "bench/summary.h"

namespace penstock::bench {

// Adds the warnings of each level and of the run, and sets `valid`. The names and what raises them:
//
//   few_samples      fewer measured successes than a level's p99 (note) or p90 (doubt) needs
//   no_success       nothing to report (invalid)
//   errors           any failure (doubt); 5 % of the requests or more (invalid)
//   interrupted      the run was stopped while requests were under way (doubt)
//   client_lag       p99 from due to sent over 1 ms and 1 % of the median TTFT (doubt), 10 %
//   (invalid) client_load      the driver's threads over 60 % busy (doubt), over 90 % (invalid)
//   shared_reads     over 10 % of reads held several chunks: their gaps are merged (doubt)
//   no_steady_state  never all workers busy: throughput is the whole level's, ramp included (doubt)
//   no_usage         the server told no token counts; chunks were counted (doubt)
//   impossible_usage more chunks with text than tokens in the usage (doubt)
//   input_tokens     prompts off by over 2 % of the length asked for (doubt)
//   output_tokens    replies of another length than asked for (doubt)
//   cached_tokens    over 1 % of the input came from a prefix cache (doubt)
//   debug_build      the client is an unoptimised build (invalid)
//   truncated        the records end inside a line: the run was killed (doubt)
void Judge(const RunRecords& run, RunSummary& summary);

// All warnings, the gravest first, for people: each names its levels, and what several levels have
// in common is told once.
std::vector<Warning> AllWarnings(const RunSummary& summary);

}  // namespace penstock::bench
