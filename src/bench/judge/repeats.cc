#include "bench/judge/repeats.h"

#include <algorithm>
#include <map>

#include "bench/record/metrics.h"
#include "bench/record/statistics.h"
#include "page/numbers.h"

namespace penstock::bench {

std::vector<LoadRuns> LoadsOf(const RunRecords& run) {
  std::map<int, const LevelRecord*> levels;
  for (const LevelRecord& level : run.levels) levels[level.number] = &level;
  // A closed loop's load is its concurrency; those of an open loop are told apart by number.
  std::map<std::pair<int, int>, std::map<int, Requests>> loads;
  for (const RequestRecord& record : run.requests) {
    if (record.phase == Phase::kFit) continue;
    int number = 0;
    if (record.concurrency == 0) {
      const auto level = levels.find(record.level);
      const bool repeats = level != levels.end() && level->second->repeats > 0;
      number = repeats ? level->second->repeats : record.level;
    }
    loads[{record.concurrency, number}][record.level].push_back(&record);
  }
  const auto is_scout = [&levels](int number) {
    const auto level = levels.find(number);
    return level != levels.end() && level->second->scout;
  };
  std::vector<LoadRuns> result;
  for (auto& [key, runs] : loads) {
    LoadRuns& load = result.emplace_back();
    load.concurrency = key.first;
    load.number = key.second;
    load.scout = std::ranges::all_of(runs, is_scout, [](const auto& each) { return each.first; });
    for (auto& [number, requests] : runs) {
      if (!load.scout && is_scout(number)) continue;
      load.numbers.push_back(number);
      load.runs.push_back(std::move(requests));
    }
  }
  return result;
}

Repeats RepeatsOf(const std::vector<Requests>& runs, const std::vector<RepeatFigures>& rates) {
  Repeats repeats;
  if (runs.size() < 2) return repeats;
  repeats.count = static_cast<int>(runs.size());
  struct {
    std::vector<double> output, total, requests;
    std::vector<double> ttft_p50, ttft_p95, tpot_p50, tpot_p95, latency_p50, latency_p95;
  } all;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    std::vector<double> ttft;
    std::vector<double> tpot;
    std::vector<double> latency;
    for (const RequestRecord* record : runs[i]) {
      if (record->phase != Phase::kMeasured || record->failed()) continue;
      const RequestMetrics metrics = MetricsOf(*record);
      if (metrics.ttft_ms) ttft.push_back(*metrics.ttft_ms);
      if (metrics.tpot_ms) tpot.push_back(*metrics.tpot_ms);
      if (metrics.latency_ms) latency.push_back(*metrics.latency_ms);
    }
    all.output.push_back(rates[i].output_tokens_per_s);
    all.total.push_back(rates[i].total_tokens_per_s);
    all.requests.push_back(rates[i].requests_per_s);
    const auto add = [](std::vector<double>& samples, std::vector<double>& p50,
                        std::vector<double>& p95) {
      if (samples.empty()) return;
      const Distribution distribution = Describe(std::move(samples));
      p50.push_back(distribution.p50);
      p95.push_back(distribution.p95);
    };
    add(ttft, all.ttft_p50, all.ttft_p95);
    add(tpot, all.tpot_p50, all.tpot_p95);
    add(latency, all.latency_p50, all.latency_p95);
  }
  repeats.output_tokens_per_s = MeanInterval(all.output);
  repeats.total_tokens_per_s = MeanInterval(all.total);
  repeats.requests_per_s = MeanInterval(all.requests);
  repeats.ttft_p50_ms = MeanInterval(all.ttft_p50);
  repeats.ttft_p95_ms = MeanInterval(all.ttft_p95);
  repeats.tpot_p50_ms = MeanInterval(all.tpot_p50);
  repeats.tpot_p95_ms = MeanInterval(all.tpot_p95);
  repeats.latency_p50_ms = MeanInterval(all.latency_p50);
  repeats.latency_p95_ms = MeanInterval(all.latency_p95);
  return repeats;
}

std::string PlusMinus(const Repeats& repeats, const Interval& interval, double scale) {
  if (repeats.count < 2) return "";
  return "± " + page::Figure((interval.high - interval.low) / 2 * scale);
}

}  // namespace penstock::bench
