// Search: which load to probe next, to find the most that holds a budget, and the knee. Pure.
//
// Two kinds of probes. A *scout* is short: it says where to look, and proves nothing. Scouts double
// the load until the budget seems to break or more load gives no more throughput; the loads between
// are then *judged*, each until its verdict is clear, halving the bracket until it is narrow. Both
// of its ends are judged before the search ends, so that no scout is ever believed. A load below
// that a scout saw give more throughput than what was found is judged as well. Last, scouts
// look around the best ratio of throughput to latency, so that the balanced point is more than the
// nearest power of two.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

namespace penstock::bench {

struct SearchLimits {
  bool whole = true;  // Loads are whole numbers (concurrency), else any (requests/s).
  double start = 1;   // The first scout.
  double least = 1;   // Below it nothing is tried, nor above `most`. Both above 0.
  double most = 256;
  double growth = 2;        // From one scout to the next.
  double tolerance = 0.02;  // Ends once the bracket is narrower than this share of its lower end.
  double gain_min = 0.02;   // More load that raises throughput by less has saturated the endpoint.
  int probes_max = 40;      // In all.
  int knee_probes_max = 3;  // Of them around the knee.
};

struct ProbeStep {
  double load = 0;
  bool scout = false;
  bool operator==(const ProbeStep&) const = default;
};

// What a probe showed.
struct ProbeOutcome {
  double load = 0;
  bool scout = false;
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
  kTimeMax,      // The limit of time did.
};
std::string_view Describe(SearchEnd end);  // A clause for people.

class Search {
 public:
  // REQUIRES: 0 < least <= start <= most, growth > 1.
  explicit Search(SearchLimits limits);

  // The next probe; none once the search has ended. The same until Observe().
  std::optional<ProbeStep> Next() const { return next_; }
  // What the probe that Next() named showed.
  void Observe(const ProbeOutcome& outcome);
  // There is no more time: ends as it stands.
  void EndNow();

  SearchEnd end() const { return end_; }
  // The most load that was judged to hold the budget, and the least judged not to.
  std::optional<double> held() const { return held_; }
  std::optional<double> broken() const { return broken_; }
  // Where the answer lies as far as is known, scouts included.
  std::optional<double> low() const { return low_; }
  std::optional<double> high() const { return high_; }
  // One for each load, by rising load: the judged one where there is one.
  std::vector<ProbeOutcome> probes() const;
  int count() const { return count_; }  // Of all probes.
  // Median latency of the nearest load below `load` that was probed; 0: none.
  double LatencyBelow(double load) const;

 private:
  void FindBracket();
  void Decide();
  void DecideWithin(double low, double high);
  void Grow(double low);
  void End(SearchEnd end);
  void Refine();
  std::optional<double> BetterBelow() const;
  std::optional<double> BetweenOf(double low, double high) const;
  void Scout(double load) { next_ = ProbeStep{.load = load, .scout = true}; }
  void JudgeAt(double load) { next_ = ProbeStep{.load = load}; }
  bool Saturated() const;

  SearchLimits limits_;
  std::map<double, ProbeOutcome> scouted_;
  std::map<double, ProbeOutcome> judged_;
  std::optional<ProbeStep> next_;
  std::optional<double> held_;
  std::optional<double> broken_;
  std::optional<double> low_;
  std::optional<double> high_;
  int count_ = 0;
  int knee_probes_ = 0;
  SearchEnd end_ = SearchEnd::kNotEnded;
};

}  // namespace penstock::bench
