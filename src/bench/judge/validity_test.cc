#include "bench/judge/validity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <optional>
#include <string>

#include "bench/record/test_records.h"

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

void Failed(RequestRecord& r) { r.error = ErrorKind::kTimeout; }

std::function<void(RequestRecord&)> Lag(std::int64_t ms) {
  return [ms](RequestRecord& r) { r.scheduled_ns = r.sent_ns - ms * kMs; };
}

std::function<void(RequestRecord&)> Cached(int tokens) {
  return [tokens](RequestRecord& r) { r.cached_tokens = tokens; };
}

std::function<void(RequestRecord&)> Output(int tokens) {
  return [tokens](RequestRecord& r) { r.output_tokens = tokens; };
}

// Counted by a tokenizer of the client's.
std::function<void(RequestRecord&)> Counted(int tokens) {
  return [tokens](RequestRecord& r) {
    r.output_tokens_counted = tokens;
    r.input_tokens_counted = r.input_tokens;
  };
}

std::function<void(RunRecords&)> ClientLoad(std::int64_t cpu_ns) {
  return [cpu_ns](RunRecords& run) {
    run.levels = {{.concurrency = 1, .ended_ns = 1000, .client_cpu_ns = cpu_ns}};
  };
}

// The same requests as those of an open loop's level.
void MakeOpen(RunRecords& run, std::int64_t unsent) {
  for (RequestRecord& r : run.requests) {
    r.concurrency = 0;
    r.level = 1;
  }
  run.levels = {
      {.number = 1, .rate_per_s = 5, .ended_ns = 1, .scheduled = 120 + unsent, .unsent = unsent}};
}

std::function<void(RunRecords&)> Unsent(std::int64_t count) {
  return [count](RunRecords& run) { MakeOpen(run, count); };
}

// The last third takes twice as long as the first.
void SlowDown(RunRecords& run) {
  for (std::size_t i = 80; i < 120; ++i) {
    run.requests[i].scheduled_ns = run.requests[i].sent_ns -= 200 * kMs;
  }
}

std::vector<Case> RunCases() {
  return {
      {"few_samples", Severity::kNote, [](RunRecords& run) { run.requests.resize(50); }},
      {"few_samples", Severity::kDoubt, [](RunRecords& run) { run.requests.resize(9); }},
      {"no_success", Severity::kInvalid, First(120, Failed)},
      {"errors", Severity::kDoubt, First(1, Failed)},
      {"errors", Severity::kInvalid, First(6, Failed)},
      {"errors", Severity::kNote,
       [](RunRecords& run) {
         run.header.settings.budget = "errors<1%";
         First(60, Failed)(run);
       }},
      {"interrupted", Severity::kDoubt,
       First(1, [](RequestRecord& r) { r.error = ErrorKind::kCancelled; })},
      {"client_lag", Severity::kDoubt, First(120, Lag(5))},
      {"client_lag", Severity::kDoubt, First(3, Lag(5))},
      {"client_lag", Severity::kInvalid, First(120, Lag(20))},
      {"client_load", Severity::kDoubt, ClientLoad(700)},
      {"client_load", Severity::kInvalid, ClientLoad(950)},
      {"loop_lag", Severity::kDoubt,
       [](RunRecords& run) {
         run.levels = {{.concurrency = 1, .ended_ns = 1, .loop_lag_p99_ns = 5 * kMs}};
       }},
      {"unfinished", Severity::kDoubt, Unsent(1)},
      {"unfinished", Severity::kInvalid, Unsent(20)},
      {"shared_reads", Severity::kDoubt, First(120, [](RequestRecord& r) { r.shared_reads = 2; })},
      {"no_steady_state", Severity::kDoubt,
       First(120, [](RequestRecord& r) { r.concurrency = 4; })},
      {"drift", Severity::kDoubt, SlowDown},
      // The same of a rate says that there is no steady state.
      {"no_steady_state", Severity::kDoubt,
       [](RunRecords& run) {
         MakeOpen(run, 0);
         SlowDown(run);
       }},
      {"debug_build", Severity::kInvalid,
       [](RunRecords& run) { run.header.environment.build_type = "Debug"; }},
      {"truncated", Severity::kDoubt, [](RunRecords& run) { run.truncated = true; }},
  };
}

std::vector<Case> TokenCases() {
  return {
      {"no_usage", Severity::kDoubt, First(1, Output(kUnknown))},
      // Fewer tokens than chunks with text, or more than were allowed.
      {"impossible_usage", Severity::kDoubt, First(1, Output(3))},
      {"impossible_usage", Severity::kInvalid, First(7, Output(3))},
      {"impossible_usage", Severity::kDoubt, First(1, Output(12))},
      {"tokenizer", Severity::kNote, First(1, Counted(20))},
      {"tokenizer", Severity::kDoubt, First(20, Counted(20))},
      {"input_tokens", Severity::kDoubt, First(10, [](RequestRecord& r) { r.input_tokens = 110; })},
      {"output_tokens", Severity::kDoubt,
       First(10, [](RequestRecord& r) { r.output_tokens_wanted = 12; })},
      {"cached_tokens", Severity::kDoubt, First(3, Cached(96))},
      {"cached_tokens", Severity::kInvalid, First(60, Cached(96))},
      {"cached_tokens", Severity::kNote,
       [](RunRecords& run) {
         run.header.settings.salted = false;
         First(120, Cached(96))(run);
       }},
      // The last chunk came at another time than its gaps say.
      {"identity", Severity::kInvalid,
       First(1, [](RequestRecord& r) { r.last_token_ns += 20 * kMs; })},
  };
}

TEST(Validity, EachFaultRaisesItsWarning) {
  std::vector<Case> cases = RunCases();
  std::ranges::move(TokenCases(), std::back_inserter(cases));
  for (const Case& fault : cases) {
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

TEST(Validity, WhatBringsMoreSamplesIsWhatTheLoadHas) {
  RunRecords run = testing::MakeSweep({2});
  const auto advice = [&run] {
    const RunSummary summary = Summarise(run);
    for (const Warning& warning : summary.levels[0].warnings) {
      if (warning.name == "few_samples") return warning.message;
    }
    return std::string("none");
  };
  EXPECT_TRUE(advice().ends_with("; raise --requests")) << advice();
  run.header.settings.duration_ms = 5000;
  EXPECT_TRUE(advice().ends_with("; raise --duration-s")) << advice();
  run.header.settings.mode = "replay";
  EXPECT_TRUE(advice().ends_with("(--trace-span-s)")) << advice();
}

// A token more or less of ten is 10 %, and nothing to doubt.
TEST(Validity, AShortPromptMayBeATokenOff) {
  RunRecords run = CleanRun();
  for (RequestRecord& request : run.requests) {
    request.input_tokens_wanted = 10;
    request.input_tokens = 11;
  }
  const auto told = [&run] {
    const RunSummary summary = Summarise(run);
    return std::ranges::any_of(summary.levels[0].warnings,
                               [](const auto& warning) { return warning.name == "input_tokens"; });
  };
  EXPECT_FALSE(told());
  for (RequestRecord& request : run.requests) request.input_tokens = 13;
  EXPECT_TRUE(told());
}

TEST(Validity, LevelsThatDifferInADegreeAloneAreToldByTheWorst) {
  RunRecords run = testing::MakeSweep({2, 4});
  run.levels = {{.concurrency = 2, .ended_ns = 1, .loop_lag_p99_ns = 5 * kMs},
                {.concurrency = 4, .ended_ns = 1, .loop_lag_p99_ns = 9 * kMs}};
  int told = 0;
  for (const Warning& warning : AllWarnings(Summarise(run))) {
    if (warning.name != "loop_lag") continue;
    ++told;
    EXPECT_EQ(warning.message.find("at concurrency 2, 4: the load generator's loops ran up to 9.0"),
              0u)
        << warning.message;
  }
  EXPECT_EQ(told, 1);
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
  run.requests[0].http_status = 429;
  run.requests[0].error_message = "User defined rate limit(s) exceeded";
  const RunSummary told = Summarise(run);
  EXPECT_NE(told.levels[0].warnings[0].message.find(
                ". The first: HTTP 429: User defined rate limit(s) exceeded"),
            std::string::npos)
      << told.levels[0].warnings[0].message;
}

}  // namespace
}  // namespace penstock::bench
