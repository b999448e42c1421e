// Search: which load to probe next, to find the most that holds a budget, and the knee. Pure.
//
// Doubles until the budget breaks or more load gives no more throughput, then halves the bracket
// until it is narrow. Then it probes around the best ratio of throughput to latency, so that the
// balanced point is more than the nearest power of two.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace penstock::bench {

struct SearchLimits {
  bool whole = true;  // Loads are whole numbers (concurrency), else any (requests/s).
  double start = 1;   // The first probe.
  double least = 1;   // Below it nothing is tried, nor above `most`. Both above 0.
  double most = 256;
  double tolerance = 0.02;  // Ends once the bracket is narrower than this share of its lower end.
  double gain_min = 0.02;   // Doubling that raises throughput by less has saturated the endpoint.
  int probes_max = 40;      // In all.
  int knee_probes_max = 3;  // Of them around the knee.
};

// What a probe showed.
struct ProbeOutcome {
  double load = 0;
  bool passes = false;
  double output_tokens_per_s = 0;
  double latency_p50_ms = 0;  // 0: nothing succeeded.
};

enum class SearchEnd {
  kNotEnded,
  kFound,        // Between two neighbouring loads the budget breaks.
  kNeverBroken,  // It held at the most that was allowed.
  kSaturated,    // It held until more load gave no more throughput.
  kCannotBeMet,  // It broke at the least load.
  kProbesMax,    // The limit of probes ended it with a wide bracket.
};
std::string_view Describe(SearchEnd end);  // A clause for people.

class Search {
 public:
  // REQUIRES: 0 < least <= start <= most.
  explicit Search(SearchLimits limits);

  // The next load to probe; none once the search has ended. The same until Observe().
  std::optional<double> Next() const { return next_; }
  // What the load that Next() named showed.
  void Observe(const ProbeOutcome& outcome);

  SearchEnd end() const { return end_; }
  // The most load that held the budget, and the least that did not.
  std::optional<double> held() const { return held_; }
  std::optional<double> broken() const { return broken_; }
  const std::vector<ProbeOutcome>& probes() const { return probes_; }  // By rising load.

 private:
  void Bracket();
  void End(SearchEnd end);
  void Refine();
  std::optional<double> BetweenOf(double low, double high) const;
  bool Probed(double load) const;

  SearchLimits limits_;
  std::vector<ProbeOutcome> probes_;
  std::optional<double> next_;
  std::optional<double> held_;
  std::optional<double> broken_;
  double best_output_tokens_per_s_ = 0;
  bool saturated_ = false;
  int knee_probes_ = 0;
  SearchEnd end_ = SearchEnd::kNotEnded;
};

}  // namespace penstock::bench
