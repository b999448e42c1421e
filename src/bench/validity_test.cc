#include "bench/validity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <string>

#include "bench/test_records.h"

namespace penstock::bench {
namespace {

using testing::kMs;

// 120 clean requests of one worker.
RunRecords CleanRun() {
  RunRecords run{.header = testing::MakeHeader(), .requests = {}, .levels = {}};
  run.header.settings.input_tokens = 100;
  for (int i = 0; i < 120; ++i) {
    run.requests.push_back(
        testing::MakeRecord({.id = static_cast<std::uint64_t>(i), .sent_ms = i * 200}));
  }
  return run;
}

// The severity of a warning, on the level or the run; none where it was not raised.
std::optional<Severity> Raised(const RunSummary& summary, const std::string& name) {
  std::vector<Warning> all = summary.warnings;
  for (const LevelSummary& level : summary.levels) {
    all.insert(all.end(), level.warnings.begin(), level.warnings.end());
  }
  const auto found = std::ranges::find(all, name, &Warning::name);
  if (found == all.end()) return std::nullopt;
  return found->severity;
}

TEST(Validity, ACleanRunRaisesNothing) {
  const RunSummary summary = Summarise(CleanRun());
  EXPECT_TRUE(summary.valid);
  EXPECT_TRUE(summary.warnings.empty());
  ASSERT_EQ(summary.levels.size(), 1u);
  EXPECT_TRUE(summary.levels[0].warnings.empty()) << summary.levels[0].warnings[0].message;
}

struct Case {
  std::string name;
  Severity severity;
  std::function<void(RunRecords&)> spoil;
};

template <typename Change>
std::function<void(RunRecords&)> First(std::size_t count, Change change) {
  return [count, change](RunRecords& run) {
    for (std::size_t i = 0; i < count; ++i) change(run.requests[i]);
  };
}

std::vector<Case> Cases() {
  const auto fail = [](RequestRecord& r) { r.error = ErrorKind::kTimeout; };
  const auto lag = [](std::int64_t ms) {
    return [ms](RequestRecord& r) { r.scheduled_ns = r.sent_ns - ms * kMs; };
  };
  const auto load = [](std::int64_t cpu_ns) {
    return [cpu_ns](RunRecords& run) {
      run.levels = {{.concurrency = 1, .ended_ns = 1000, .client_cpu_ns = cpu_ns}};
    };
  };
  return {
      {"few_samples", Severity::kNote, [](RunRecords& run) { run.requests.resize(50); }},
      {"few_samples", Severity::kDoubt, [](RunRecords& run) { run.requests.resize(9); }},
      {"no_success", Severity::kInvalid, First(120, fail)},
      {"errors", Severity::kDoubt, First(1, fail)},
      {"errors", Severity::kInvalid, First(6, fail)},
      {"interrupted", Severity::kDoubt,
       First(1, [](RequestRecord& r) { r.error = ErrorKind::kCancelled; })},
      {"client_lag", Severity::kDoubt, First(120, lag(5))},
      {"client_lag", Severity::kInvalid, First(120, lag(20))},
      {"client_load", Severity::kDoubt, load(700)},
      {"client_load", Severity::kInvalid, load(950)},
      {"shared_reads", Severity::kDoubt, First(120, [](RequestRecord& r) { r.shared_reads = 2; })},
      {"no_steady_state", Severity::kDoubt,
       First(120, [](RequestRecord& r) { r.concurrency = 4; })},
      {"no_usage", Severity::kDoubt,
       First(1, [](RequestRecord& r) { r.output_tokens = kUnknown; })},
      {"impossible_usage", Severity::kDoubt,
       First(1, [](RequestRecord& r) { r.output_tokens = 3; })},
      {"input_tokens", Severity::kDoubt, First(10, [](RequestRecord& r) { r.input_tokens = 110; })},
      {"output_tokens", Severity::kDoubt,
       First(10, [](RequestRecord& r) { r.output_tokens_wanted = 12; })},
      {"cached_tokens", Severity::kDoubt, First(3, [](RequestRecord& r) { r.cached_tokens = 96; })},
      {"debug_build", Severity::kInvalid,
       [](RunRecords& run) { run.header.environment.build_type = "Debug"; }},
      {"truncated", Severity::kDoubt, [](RunRecords& run) { run.truncated = true; }},
  };
}

TEST(Validity, EachFaultRaisesItsWarning) {
  for (const Case& fault : Cases()) {
    SCOPED_TRACE(fault.name + " " + std::string(Name(fault.severity)));
    RunRecords run = CleanRun();
    fault.spoil(run);
    const RunSummary summary = Summarise(run);
    EXPECT_EQ(Raised(summary, fault.name), fault.severity);
    EXPECT_EQ(summary.valid, fault.severity != Severity::kInvalid);
  }
}

TEST(Validity, SmallFaultsPass) {
  RunRecords run = CleanRun();
  run.requests[0].input_tokens = 110;  // One prompt in 120.
  run.requests[1].cached_tokens = 64;  // Half a per cent.
  for (RequestRecord& request : run.requests) request.scheduled_ns -= kMs / 2;
  const RunSummary summary = Summarise(run);
  EXPECT_TRUE(summary.levels[0].warnings.empty()) << summary.levels[0].warnings[0].message;
}

TEST(Validity, WhatLevelsHaveInCommonIsToldOnceTheGravestFirst) {
  RunRecords run = testing::MakeSweep({2, 4, 8});
  run.header.environment.build_type = "Debug";
  const auto all = AllWarnings(Summarise(run));
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].name, "debug_build");
  EXPECT_EQ(all[1].message,
            "at concurrency 2, 4, 8: fewer than 100 samples: p99 is the slowest single request; "
            "raise --requests");
}

TEST(Validity, MessagesNameTheNumbers) {
  RunRecords run = CleanRun();
  for (std::size_t i = 0; i < 6; ++i) run.requests[i].error = ErrorKind::kRateLimited;
  run.requests[6].error = ErrorKind::kTimeout;
  const RunSummary summary = Summarise(run);
  ASSERT_FALSE(summary.levels[0].warnings.empty());
  EXPECT_EQ(
      summary.levels[0].warnings[0].message,
      "7 of 120 requests failed (1 timeout, 6 rate_limited); latencies are those of the others");
}

}  // namespace
}  // namespace penstock::bench
