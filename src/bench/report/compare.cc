#include "bench/report/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <utility>

#include "bench/judge/answer.h"
#include "bench/record/metrics.h"
#include "bench/record/statistics.h"
#include "page/numbers.h"

namespace penstock::bench {

using page::DurationText;
using page::Figure;
namespace {

// The samples of one level that are compared.
struct LevelSamples {
  std::vector<double> ttft, tpot, latency, throughput;
};

constexpr std::array<std::pair<std::string_view, std::vector<double> LevelSamples::*>, 4>
    kCompared = {{{"TTFT", &LevelSamples::ttft},
                  {"TPOT", &LevelSamples::tpot},
                  {"latency", &LevelSamples::latency},
                  {"output tokens/s", &LevelSamples::throughput}}};

LevelSamples SamplesOf(const RunRecords& run, const LevelSummary& level) {
  LevelSamples samples;
  std::vector<const RequestRecord*> requests;
  for (const RequestRecord& record : run.requests) {
    if (record.phase == Phase::kFit || !BelongsTo(record, level)) continue;
    requests.push_back(&record);
    if (record.phase != Phase::kMeasured || record.failed()) continue;
    const RequestMetrics metrics = MetricsOf(record);
    if (metrics.ttft_ms) samples.ttft.push_back(*metrics.ttft_ms);
    if (metrics.tpot_ms) samples.tpot.push_back(*metrics.tpot_ms);
    if (metrics.latency_ms) samples.latency.push_back(*metrics.latency_ms);
  }
  for (const Window& steady : level.steady_windows) {
    const std::int64_t length = steady.to_ns - steady.from_ns;
    for (int slice = 0; slice < kThroughputSlices; ++slice) {
      const Window window{.from_ns = steady.from_ns + length * slice / kThroughputSlices,
                          .to_ns = steady.from_ns + length * (slice + 1) / kThroughputSlices};
      samples.throughput.push_back(RatesWithin(requests, window).output_tokens_per_s);
    }
  }
  return samples;
}

Difference DifferenceOf(std::string_view metric, const std::vector<double>& base,
                        const std::vector<double>& other) {
  Difference difference{.metric = std::string(metric),
                        .more_is_better = metric.ends_with("tokens/s"),
                        .base = Describe(base).p50,
                        .other = Describe(other).p50};
  difference.ratio = difference.base > 0 ? difference.other / difference.base : 0;
  difference.ratio_95 = QuantileRatioInterval(base, other, 0.5);
  difference.p = MannWhitneyP(base, other);
  return difference;
}

void Adjust(std::vector<LevelComparison>& levels) {
  std::vector<double> p_values;
  for (const LevelComparison& level : levels) {
    for (const Difference& difference : level.differences) p_values.push_back(difference.p);
  }
  const std::vector<double> adjusted = HolmAdjusted(p_values);
  std::size_t next = 0;
  for (LevelComparison& level : levels) {
    for (Difference& difference : level.differences) {
      difference.p = adjusted[next++];
      const bool alarm = difference.p < kAlarmP && std::abs(difference.ratio - 1) > kAlarmRatio;
      if (!alarm) continue;
      const bool more = difference.ratio > 1;
      difference.change = more == difference.more_is_better ? Change::kBetter : Change::kWorse;
    }
  }
}

template <typename Value>
void RemarkDifference(std::string_view what, const std::string& name, const Value& base,
                      const Value& other, std::vector<std::string>& remarks) {
  if (base == other) return;
  remarks.push_back(
      fmt::format("{}: {} is {} and not {}: the runs are not alike", name, what, other, base));
}

void AddRemarks(const Comparison& comparison, std::size_t run, std::vector<std::string>& remarks) {
  const RunSummary& base = comparison.summaries.front();
  const RunSummary& other = comparison.summaries[run];
  const std::string& name = comparison.names[run];
  const RunSettings& a = base.header.settings;
  const RunSettings& b = other.header.settings;
  RemarkDifference("mode", name, a.mode, b.mode, remarks);
  RemarkDifference("input tokens", name, a.input_tokens, b.input_tokens, remarks);
  RemarkDifference("output tokens", name, a.output_tokens, b.output_tokens, remarks);
  RemarkDifference("streamed", name, a.streamed, b.streamed, remarks);
  RemarkDifference("the load generator's processor", name, base.header.environment.host_cpu,
                   other.header.environment.host_cpu, remarks);
  if (!other.valid) remarks.push_back(name + ": this run is invalid; its figures must not be used");
}

std::string Percent(double ratio) { return fmt::format("{:+.1f} %", 100 * (ratio - 1)); }

std::string FigureOf(const Difference& difference, double value) {
  return difference.more_is_better ? Figure(value) : DurationText(value);
}

std::string ChanceText(double p) { return p < 0.001 ? "< 0.001" : fmt::format("{:.3f}", p); }

}  // namespace

std::string_view Name(Change change) {
  switch (change) {
    case Change::kNone:
      return "no difference";
    case Change::kBetter:
      return "better";
    case Change::kWorse:
      return "worse";
  }
  return "";
}

Comparison Compare(const std::vector<RunToCompare>& runs) {
  Comparison comparison;
  for (const RunToCompare& run : runs) {
    comparison.names.push_back(run.name);
    comparison.summaries.push_back(Summarise(run.records));
  }
  const RunSummary& base = comparison.summaries.front();
  if (!base.valid) {
    comparison.remarks.push_back(comparison.names.front() +
                                 ": this run is invalid; its figures must not be used");
  }
  for (std::size_t run = 1; run < runs.size(); ++run) {
    AddRemarks(comparison, run, comparison.remarks);
    std::string alone;  // Levels of this run.
    for (const LevelSummary& level : comparison.summaries[run].levels) {
      const auto same = std::ranges::find_if(
          base.levels, [&level](const auto& other) { return LoadText(other) == LoadText(level); });
      if (same == base.levels.end()) {
        alone += (alone.empty() ? "" : ", ") + LoadText(level);
        continue;
      }
      LevelComparison& compared = comparison.levels.emplace_back();
      compared.load = LoadText(level);
      compared.run = run;
      const LevelSamples a = SamplesOf(runs.front().records, *same);
      const LevelSamples b = SamplesOf(runs[run].records, level);
      compared.base_samples = a.latency.size();
      compared.other_samples = b.latency.size();
      for (const auto& [metric, of] : kCompared) {
        if ((a.*of).empty() || (b.*of).empty()) continue;
        compared.differences.push_back(DifferenceOf(metric, a.*of, b.*of));
      }
    }
    if (!alone.empty()) {
      comparison.remarks.push_back(
          fmt::format("{}: run here only: {}", comparison.names[run], alone));
    }
  }
  Adjust(comparison.levels);
  return comparison;
}

std::string ComparisonAnswer(const Comparison& comparison) {
  std::string text;
  for (std::size_t run = 1; run < comparison.names.size(); ++run) {
    std::string found;
    for (const auto& [metric, of] : kCompared) {
      for (const Change change : {Change::kBetter, Change::kWorse}) {
        int levels = 0;
        int all = 0;
        double least = HUGE_VAL;
        double most = 0;
        for (const LevelComparison& level : comparison.levels) {
          if (level.run != run) continue;
          ++all;
          for (const Difference& difference : level.differences) {
            if (difference.metric != metric || difference.change != change) continue;
            ++levels;
            least = std::min(least, difference.ratio);
            most = std::max(most, difference.ratio);
          }
        }
        if (levels == 0) continue;
        found += fmt::format("{}{} is {} at {} of {} levels ({}{})", found.empty() ? "" : "; ",
                             metric, Name(change), levels, all, Percent(least),
                             levels > 1 ? " to " + Percent(most) : "");
      }
    }
    text +=
        fmt::format("{} against {}: {}.\n", comparison.names[run], comparison.names.front(),
                    found.empty() ? "no difference beyond chance at any level they share" : found);
  }
  return text;
}

std::string RenderComparison(const Comparison& comparison) {
  std::string out = fmt::format("{:<18} {:<16} {:>12} {:>12} {:>9}  {:<20} {:>8}  {}\n", "load",
                                "median of", "first", "other", "change", "95 % interval", "p", "");
  std::size_t run = 0;
  for (const LevelComparison& level : comparison.levels) {
    if (level.run != run) {
      run = level.run;
      out += fmt::format("\n{} (other) against {} (first)\n", comparison.names[run],
                         comparison.names.front());
    }
    std::string load = level.load;
    for (const Difference& difference : level.differences) {
      out += fmt::format("{:<18} {:<16} {:>12} {:>12} {:>9}  {:<20} {:>8}  {}\n", load,
                         difference.metric, FigureOf(difference, difference.base),
                         FigureOf(difference, difference.other), Percent(difference.ratio),
                         fmt::format("{} to {}", Percent(difference.ratio_95.low),
                                     Percent(difference.ratio_95.high)),
                         ChanceText(difference.p), Name(difference.change));
      load.clear();
    }
  }
  out += '\n';
  for (const std::string& remark : comparison.remarks) out += "doubt: " + remark + "\n";
  return out + ComparisonAnswer(comparison);
}

}  // namespace penstock::bench
