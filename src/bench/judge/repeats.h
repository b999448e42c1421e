// Repeats: how the figures of a load scatter over its repeats. Pure.
//
// Requests of one run are not independent of each other, repeats of a run are: the figure of each
// repeat is one sample, and an interval is that of their mean at 95 %, by Student's t.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/judge/significance.h"
#include "bench/record/record.h"

namespace penstock::bench {

struct Repeats {
  int count = 0;  // 0: the load ran once, and nothing is known of its scatter.
  Interval output_tokens_per_s{};
  Interval total_tokens_per_s{};
  Interval requests_per_s{};
  Interval ttft_p50_ms{};
  Interval ttft_p95_ms{};
  Interval tpot_p50_ms{};
  Interval tpot_p95_ms{};
  Interval latency_p50_ms{};
  Interval latency_p95_ms{};
};

// Each interval under the name that it has everywhere.
inline constexpr std::array<std::pair<std::string_view, Interval Repeats::*>, 9> kRepeatFigures = {
    {{"output_tokens_per_s", &Repeats::output_tokens_per_s},
     {"total_tokens_per_s", &Repeats::total_tokens_per_s},
     {"requests_per_s", &Repeats::requests_per_s},
     {"ttft_p50_ms", &Repeats::ttft_p50_ms},
     {"ttft_p95_ms", &Repeats::ttft_p95_ms},
     {"tpot_p50_ms", &Repeats::tpot_p50_ms},
     {"tpot_p95_ms", &Repeats::tpot_p95_ms},
     {"latency_p50_ms", &Repeats::latency_p50_ms},
     {"latency_p95_ms", &Repeats::latency_p95_ms}}};

using Requests = std::vector<const RequestRecord*>;

// One load's requests, apart by the run of it that they belong to.
struct LoadRuns {
  int concurrency = 0;
  int number = 0;                // Of an open loop's first run; 0 in a closed loop.
  bool scout = false;            // All that is known of this load comes from scouts.
  std::vector<int> numbers{};    // Of the levels that it ran as; 0 in records without.
  std::vector<Requests> runs{};  // One for each of those.
};

// The loads of a run. What scouts saw of a load that was also judged is left out, and requests that
// only fitted prompts.
std::vector<LoadRuns> LoadsOf(const RunRecords& run);

// What each repeat gave.
struct RepeatFigures {
  double output_tokens_per_s = 0;
  double total_tokens_per_s = 0;
  double requests_per_s = 0;
};

// `rates` as `runs`; fewer than two runs have no scatter.
Repeats RepeatsOf(const std::vector<Requests>& runs, const std::vector<RepeatFigures>& rates);

// "± 31" of an interval around its middle; "" where the load ran once.
std::string PlusMinus(const Repeats& repeats, const Interval& interval, double scale = 1);

}  // namespace penstock::bench
