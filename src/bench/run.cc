#include "bench/run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <optional>
#include <utility>

#include "bench/agents/agent_fleet.h"
#include "bench/drive/load.h"
#include "bench/drive/prepare.h"
#include "bench/drive/progress_display.h"
#include "bench/record/records_file.h"
#include "bench/report/report.h"
#include "bench/search_levels.h"
#include "bench/workload/composer.h"

namespace penstock::bench {
namespace {

LevelOutcome OutcomeOf(const RunRecords& level, int concurrency) {
  const RunSummary summary = Summarise(level);
  if (summary.levels.empty()) return {.concurrency = concurrency, .error_share = 1};
  const LevelSummary& only = summary.levels.front();
  return {.concurrency = concurrency,
          .output_tokens_per_s = only.best_rates().output_tokens_per_s,
          .latency_p90_ms = only.latency_ms.p90,
          .error_share = only.error_share()};
}

// What every level of this run has in common.
LevelPlan CommonPlan(const BenchOptions& options) {
  LevelPlan plan;
  plan.duration = options.shape.duration;
  plan.warmup_time = options.shape.warmup.value_or(Duration{});
  plan.cooldown_time = options.shape.cooldown;
  plan.drain_max = options.shape.drain;
  return plan;
}

void Append(RunRecords&& level, RunRecords& run) {
  std::ranges::move(level.requests, std::back_inserter(run.requests));
  std::ranges::move(level.levels, std::back_inserter(run.levels));
}

// What a level needs of the run, and where its records go.
struct Sweeping {
  const BenchOptions& options;
  LevelRunner& runner;
  const Spending& spending;
  const std::atomic<bool>& stop;
  RunRecords& run;
  int number = 0;  // Of the level that ran last.

  bool over() const { return stop.load(std::memory_order_relaxed) || spending.exhausted(); }
  StopReason Reason(StopReason done) const {
    if (spending.exhausted()) return StopReason::kTokensMax;
    return stop.load(std::memory_order_relaxed) ? StopReason::kNotStopped : done;
  }
};

LevelPlan ClosedPlan(const BenchOptions& options, int concurrency) {
  LevelPlan plan = CommonPlan(options);
  plan.concurrency = concurrency;
  plan.warmup = options.warmup >= 0 ? options.warmup : concurrency;
  plan.measured = options.requests > 0 ? options.requests : DefaultRequests(concurrency);
  return plan;
}

// "repeat 2 of 5"; "" where there are none.
std::string RoundNote(const BenchOptions& options, int round) {
  if (options.repeats < 2) return "";
  return fmt::format("repeat {} of {}", round + 1, options.repeats);
}

// Runs level after level until the plan ends, then all of them again, round after round: what
// changes slowly then shows as scatter. Keeps all records.
Result<StopReason> Sweep(Sweeping& at) {
  const BenchOptions& options = at.options;
  ConcurrencyPlan sweep({.levels = options.concurrency,
                         .concurrency_max = options.concurrency_max,
                         .latency_max_ms = options.latency_max_ms});
  std::vector<int> done;
  const int known = static_cast<int>(options.concurrency.size());
  while (!at.over()) {
    const auto concurrency = sweep.Next();
    if (!concurrency) break;
    LevelPlan plan = ClosedPlan(options, *concurrency);
    plan.number = ++at.number;
    plan.levels = known * options.repeats;
    plan.note = RoundNote(options, 0);
    auto level = at.runner.RunLevel(plan);
    if (!level) return Fail(level.error());
    if (!at.stop.load(std::memory_order_relaxed)) sweep.Observe(OutcomeOf(*level, *concurrency));
    Append(std::move(*level), at.run);
    done.push_back(*concurrency);
  }
  for (int round = 1; round < options.repeats; ++round) {
    for (std::size_t i = 0; i < done.size() && !at.over(); ++i) {
      LevelPlan plan = ClosedPlan(options, done[i]);
      plan.number = ++at.number;
      plan.levels = static_cast<int>(done.size()) * options.repeats;
      plan.repeats = static_cast<int>(i) + 1;
      plan.note = RoundNote(options, round);
      auto level = at.runner.RunLevel(plan);
      if (!level) return Fail(level.error());
      Append(std::move(*level), at.run);
    }
  }
  return at.Reason(sweep.reason());
}

// Runs the levels of an open loop, round after round.
Result<StopReason> RunOpen(const OpenShape& shape, Sweeping& at) {
  const BenchOptions& options = at.options;
  const int levels = static_cast<int>(shape.levels.size());
  for (int round = 0; round < options.repeats; ++round) {
    for (int i = 0; i < levels && !at.over(); ++i) {
      const ScheduleDraw draw{.level = i, .round = round};
      OpenLevelShape drawn;
      if (round > 0) {
        auto again = DrawLevel(options, draw);
        if (!again) return Fail(again.error());
        drawn = std::move(*again);
      }
      const OpenLevelShape& level = round > 0 ? drawn : shape.levels[static_cast<std::size_t>(i)];
      LevelPlan plan = CommonPlan(options);
      plan.concurrency = 0;
      plan.schedule = &level.schedule;
      plan.draw = draw;
      plan.rate_per_s = shape.levels[static_cast<std::size_t>(i)].rate_per_s;
      plan.number = ++at.number;
      plan.levels = levels * options.repeats;
      plan.repeats = round > 0 ? i + 1 : 0;
      plan.note = RoundNote(options, round);
      if (!options.shape.warmup) plan.warmup_time = DefaultWarmup(Duration(level.schedule.span_ns));
      auto done = at.runner.RunLevel(plan);
      if (!done) return Fail(done.error());
      Append(std::move(*done), at.run);
    }
  }
  return at.Reason(StopReason::kListDone);
}

// Fits the prompts and sends the load. What was done before a stop stays in `run`.
Result<StopReason> Measure(const BenchOptions& options, const Prepared& prepared,
                           RecordsWriter* writer, const std::atomic<bool>& stop, RunRecords& run) {
  ProgressDisplay display(STDERR_FILENO, options.progress, options.on_progress);
  const DriverSettings settings = SettingsFor(options, prepared);
  const Composer composer(prepared.corpus, ComposerFor(options, prepared));
  const bool open = prepared.open || SearchesRates(options);
  const int threads = open ? options.threads : std::min(options.threads, ConcurrencyMax(options));
  std::unique_ptr<LevelRunner> runner;
  if (options.agents.empty()) {
    runner = std::make_unique<Load>(LoadSettings{.threads = threads,
                                                 .count_tokens = options.count_tokens,
                                                 .sources = options.target.sources},
                                    settings, composer, writer, display, stop);
  } else {
    auto fleet = AgentFleet::Connect(options, prepared, settings.start, writer, display, stop);
    if (!fleet) return Fail(fleet.error());
    runner = std::move(*fleet);
  }
  const auto fitted = runner->FitPrompts();
  if (!fitted) {
    const bool stopped = stop.load() && fitted.error().code == Code::kCancelled;
    if (stopped) return StopReason::kNotStopped;
    return Fail(fitted.error());
  }
  Sweeping at{.options = options,
              .runner = *runner,
              .spending = *settings.spending,
              .stop = stop,
              .run = run};
  const auto reason = prepared.open ? RunOpen(*prepared.open, at)
                      : Searches(options)
                          ? SearchLevels(options, CommonPlan(options), *runner, stop, run)
                          : Sweep(at);
  if (reason && writer != nullptr) {
    if (auto flushed = writer->Flush(); !flushed) return Fail(flushed.error());
  }
  return reason;
}

}  // namespace

Result<BenchOutcome> RunBench(const BenchOptions& options, const std::atomic<bool>& stop) {
  auto prepared = Prepare(options);
  if (!prepared) return Fail(prepared.error());
  std::optional<RecordsWriter> writer;
  if (!options.records_path.empty()) {
    auto created = RecordsWriter::Create(options.records_path, prepared->header);
    if (!created) return Fail(created.error());
    writer.emplace(std::move(*created));
  }
  RunRecords run{.header = prepared->header, .requests = {}, .levels = {}};
  const auto reason = Measure(options, *prepared, writer ? &*writer : nullptr, stop, run);
  if (!reason) return Fail(reason.error());
  BenchOutcome outcome{.summary = Summarise(run), .stop_reason = *reason};
  if (!options.report_path.empty()) {
    if (auto written = WriteReport(options.report_path, outcome.summary); !written) {
      return Fail(written.error());
    }
  }
  return outcome;
}

Result<RunSummary> LoadSummary(const std::string& records_path) {
  auto run = ReadRecords(records_path);
  if (!run) return Fail(run.error());
  return Summarise(*run);
}

Status WriteReport(const std::string& path, const RunSummary& summary) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << RenderReport(summary);
  file.close();
  if (!file) {
    return Fail(Code::kInvalidArgument, fmt::format("report {} cannot be written", path), "report");
  }
  return {};
}

namespace {

bool IsSecret(std::string_view flag) {
  return flag.starts_with("--") && (flag.ends_with("-key") || flag == "--header");
}

// An address without who asks, and without what the query may hold besides Azure's version.
std::string WithoutSecrets(const std::string& argument) {
  const std::size_t scheme = argument.find("://");
  if (scheme == std::string::npos) return argument;
  std::string address = argument;
  const std::size_t host = scheme + 3;
  const std::size_t host_end = std::min(address.find_first_of("/?", host), address.size());
  const std::size_t at = address.rfind('@', host_end);
  if (at != std::string::npos && at >= host && at < host_end) {
    address.replace(host, at - host, "***");
  }
  const std::size_t query = address.find('?', host);
  if (query == std::string::npos) return address;
  const std::string_view asked = std::string_view(address).substr(query + 1);
  const bool version = asked.starts_with("api-version=") && !asked.contains('&');
  if (!version) address.replace(query + 1, std::string::npos, "***");
  return address;
}

}  // namespace

std::string WithoutKeys(const std::vector<std::string>& arguments) {
  std::string command;
  bool hide_next = false;
  for (const std::string& argument : arguments) {
    if (!command.empty()) command += ' ';
    const std::string_view flag = std::string_view(argument).substr(0, argument.find('='));
    const bool secret = IsSecret(flag);
    if (hide_next) {
      command += "***";
    } else if (secret && flag.size() < argument.size()) {
      command += std::string(flag) + "=***";
    } else {
      command += WithoutSecrets(argument);
    }
    hide_next = !hide_next && secret && flag.size() == argument.size();
  }
  return command;
}

}  // namespace penstock::bench
