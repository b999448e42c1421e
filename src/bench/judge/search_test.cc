#include "bench/judge/search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <vector>

namespace penstock::bench {
namespace {

// A server in a formula: alone a request takes `base_ms`; from `knee` requests at once on, time
// grows with their number. The budget bounds the time.
struct Server {
  double base_ms = 100;
  double knee = 8;
  double bound_ms = 200;
  double LatencyAt(double load) const { return base_ms * std::max(1.0, load / knee); }
  // The most that holds the bound.
  double Truth() const { return knee * bound_ms / base_ms; }
  ProbeOutcome Probe(double load) const {
    return {.load = load,
            .passes = LatencyAt(load) <= bound_ms,
            .output_tokens_per_s = 1e5 * load / LatencyAt(load),
            .latency_p50_ms = LatencyAt(load)};
  }
};

struct Counts {
  int probes = 0;
  int judged = 0;
};

Counts RunSearch(Search& search, const std::function<ProbeOutcome(double)>& probe) {
  Counts counts;
  while (const auto step = search.Next()) {
    ProbeOutcome outcome = probe(step->load);
    outcome.scout = step->scout;
    search.Observe(outcome);
    if (!step->scout) ++counts.judged;
    if (++counts.probes > 1000) break;
  }
  return counts;
}

TEST(Search, FindsTheMostThatHolds) {
  const Server server{.knee = 9, .bound_ms = 100};  // Throughput grows up to the very bound.
  Search search({.most = 1000});
  const Counts counts = RunSearch(search, [&](double load) { return server.Probe(load); });
  EXPECT_EQ(search.end(), SearchEnd::kFound);
  EXPECT_EQ(search.held(), 9);
  EXPECT_EQ(search.broken(), 10);
  // Between the scouts' 8 and 16: 12, 10 and 9; the doubling itself costs no judged probe.
  EXPECT_EQ(counts.judged, 3);
}

// An endpoint that gives less the more is asked of it: the budget holds at the most load, but what
// is wanted is the most throughput within it, so the lower load is judged, too.
TEST(Search, JudgesALowerLoadThatGaveMore) {
  Search search({.most = 4});
  std::vector<double> judged;
  while (const auto step = search.Next()) {
    if (!step->scout) judged.push_back(step->load);
    search.Observe({.load = step->load,
                    .scout = step->scout,
                    .passes = true,
                    .output_tokens_per_s = step->load == 2   ? 124.0
                                           : step->load == 1 ? 90.0
                                                             : 48.0,
                    .latency_p50_ms = 100});
  }
  EXPECT_TRUE(std::ranges::find(judged, 2.0) != judged.end());
  const auto probes = search.probes();
  const auto best = std::ranges::max_element(probes, {}, &ProbeOutcome::output_tokens_per_s);
  EXPECT_EQ(best->load, 2);
  EXPECT_FALSE(best->scout);
}

// Any knee, any limits: the answer lies within the tolerance of the truth, below it, and both ends
// of the bracket were judged, whatever scouts said.
TEST(Search, FindsRandomKneesWithinTheTolerance) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed=" << seed);
    std::mt19937_64 random(seed);
    const bool whole = random() % 2 == 0;
    const bool scouts_err = random() % 3 == 0;
    const double truth = std::exp(static_cast<double>(random() % 1000) / 1000 * std::log(5000.0));
    SearchLimits limits{.whole = whole,
                        .start = whole ? 1 : 0.5,
                        .least = whole ? 1 : 0.01,
                        .most = 10'000,
                        .growth = random() % 2 == 0 ? 2.0 : 4.0,
                        .probes_max = 80};
    if (random() % 3 == 0) limits.start = 64;
    Search search(limits);
    const Counts counts = RunSearch(search, [&](double load) {
      const bool wrong = scouts_err && search.Next()->scout && random() % 5 == 0;
      return ProbeOutcome{.load = load,
                          .passes = (load <= truth) != wrong,
                          .output_tokens_per_s = load * 100,
                          .latency_p50_ms = 100};
    });
    EXPECT_EQ(search.end(), SearchEnd::kFound);
    EXPECT_LE(counts.probes, limits.probes_max);
    EXPECT_LE(*search.held(), truth);
    EXPECT_GT(*search.broken(), truth);
    EXPECT_LE(*search.broken() - *search.held(),
              std::max(whole ? 1.0 : 0.0, limits.tolerance * *search.held()) + 1e-9);
    const auto probes = search.probes();
    for (std::size_t i = 1; i < probes.size(); ++i) EXPECT_LT(probes[i - 1].load, probes[i].load);
    EXPECT_GE(probes.front().load, limits.least);
    EXPECT_LE(probes.back().load, limits.most);
  }
}

TEST(Search, NoScoutIsBelieved) {
  Search search({.most = 256});
  std::vector<double> judged;
  while (const auto step = search.Next()) {
    if (!step->scout) judged.push_back(step->load);
    // Scouts see it break at 8 and above, which is not so: it holds up to 21.
    const bool passes = step->scout ? step->load < 8 : step->load <= 21;
    search.Observe({.load = step->load,
                    .scout = step->scout,
                    .passes = passes,
                    .output_tokens_per_s = step->load,
                    .latency_p50_ms = 1});
  }
  EXPECT_EQ(search.end(), SearchEnd::kFound);
  EXPECT_EQ(search.held(), 21);
  EXPECT_EQ(search.broken(), 22);
  EXPECT_NE(std::ranges::find(judged, 21), judged.end());
  EXPECT_NE(std::ranges::find(judged, 22), judged.end());
}

TEST(Search, ABudgetThatNothingMeetsEndsAtTheLeastLoad) {
  Search search({.start = 16});
  RunSearch(search, [](double load) { return ProbeOutcome{.load = load}; });
  EXPECT_EQ(search.end(), SearchEnd::kCannotBeMet);
  EXPECT_FALSE(search.held());
  EXPECT_EQ(search.broken(), 1);  // Which was judged.
  EXPECT_EQ(search.count(), 6);
}

TEST(Search, ABudgetThatNeverBreaksEndsWhereThroughputDoes) {
  const Server server{.knee = 8, .bound_ms = 1e9};
  Search search({.most = 4096});
  RunSearch(search, [&](double load) { return server.Probe(load); });
  EXPECT_EQ(search.end(), SearchEnd::kSaturated);
  EXPECT_EQ(search.held(), 16);
  Search limited({.most = 4});
  RunSearch(limited, [&](double load) { return server.Probe(load); });
  EXPECT_EQ(limited.end(), SearchEnd::kNeverBroken);
  EXPECT_EQ(limited.held(), 4);
}

TEST(Search, ProbesAroundTheKnee) {
  // Throughput ÷ latency is greatest at the knee itself, 11.
  const Server server{.knee = 11, .bound_ms = 500};
  Search search({.most = 1000, .gain_min = -1});
  RunSearch(search, [&](double load) { return server.Probe(load); });
  const auto probes = search.probes();
  const auto knee = std::ranges::max_element(probes, {}, [](const ProbeOutcome& probe) {
    return probe.output_tokens_per_s / probe.latency_p50_ms;
  });
  EXPECT_NEAR(knee->load, 11, 1);
  EXPECT_EQ(search.end(), SearchEnd::kFound);
  EXPECT_EQ(search.held(), 55);
}

TEST(Search, TheLimitOfProbesEndsIt) {
  Search search({.most = 1e6, .probes_max = 5});
  const Counts counts = RunSearch(search, [](double load) {
    return ProbeOutcome{
        .load = load, .passes = true, .output_tokens_per_s = load, .latency_p50_ms = 1};
  });
  EXPECT_EQ(counts.probes, 5);
  EXPECT_EQ(search.end(), SearchEnd::kProbesMax);
}

TEST(Search, TheLimitOfTimeEndsItAsItStands) {
  Search search({.most = 64});
  search.Observe({.load = 1, .scout = true, .passes = true, .output_tokens_per_s = 1});
  search.EndNow();
  EXPECT_FALSE(search.Next());
  EXPECT_EQ(search.end(), SearchEnd::kTimeMax);
  EXPECT_EQ(search.low(), 1);
  EXPECT_FALSE(search.held());
}

// Verdicts may contradict each other: it ends all the same, with the safer answer.
TEST(Search, ContradictionsEnd) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed=" << seed);
    std::mt19937_64 random(seed);
    Search search({.start = 8, .most = 500});
    const Counts counts = RunSearch(search, [&random](double load) {
      return ProbeOutcome{.load = load,
                          .passes = random() % 2 == 0,
                          .output_tokens_per_s = static_cast<double>(random() % 1000),
                          .latency_p50_ms = static_cast<double>(random() % 100)};
    });
    EXPECT_LE(counts.probes, 43);
    EXPECT_NE(search.end(), SearchEnd::kNotEnded);
    if (search.held() && search.broken()) EXPECT_LT(*search.held(), *search.broken());
  }
}

}  // namespace
}  // namespace penstock::bench
