#include "bench/validity.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

namespace penstock::bench {
namespace {

constexpr double kErrorShareInvalid = 0.05;
constexpr double kLagFloorMs = 1.0;
constexpr double kLagShareDoubt = 0.01;
constexpr double kLagShareInvalid = 0.10;
constexpr double kLoadDoubt = 0.60;
constexpr double kLoadInvalid = 0.90;
constexpr double kSharedReadsDoubt = 0.10;
constexpr double kCachedDoubt = 0.01;
constexpr double kOffShareDoubt = 0.05;  // Of requests whose token counts are off.

class Judgement {
 public:
  explicit Judgement(std::vector<Warning>& warnings) : warnings_(warnings) {}
  void Add(Severity severity, std::string name, std::string message) {
    warnings_.push_back({severity, std::move(name), std::move(message)});
  }

 private:
  std::vector<Warning>& warnings_;
};

std::string ErrorsByKind(const LevelSummary& level) {
  std::string text;
  for (int kind = 1; kind < kErrorKinds; ++kind) {
    const std::int64_t count = level.errors[static_cast<std::size_t>(kind)];
    if (count == 0) continue;
    if (!text.empty()) text += ", ";
    text += fmt::format("{} {}", count, Name(static_cast<ErrorKind>(kind)));
  }
  return text;
}

void JudgeSamples(const LevelSummary& level, Judgement& judgement) {
  if (level.succeeded == 0) {
    judgement.Add(Severity::kInvalid, "no_success", "no measured request succeeded");
    return;
  }
  // Without the level's own count in them, so that levels that lack the same can be told as one.
  if (level.succeeded < SamplesNeeded(0.90)) {
    judgement.Add(Severity::kDoubt, "few_samples",
                  fmt::format("fewer than {} samples: p90 and p99 are the slowest single request; "
                              "raise --requests",
                              SamplesNeeded(0.90)));
  } else if (level.succeeded < SamplesNeeded(0.99)) {
    judgement.Add(Severity::kNote, "few_samples",
                  fmt::format("fewer than {} samples: p99 is the slowest single request; raise "
                              "--requests",
                              SamplesNeeded(0.99)));
  }
  if (level.steady.seconds() <= 0) {
    judgement.Add(Severity::kDoubt, "no_steady_state",
                  "the workers were never all busy: throughput includes ramp and drain; raise "
                  "--requests");
  }
}

void JudgeErrors(const LevelSummary& level, Judgement& judgement) {
  if (level.cancelled() > 0) {
    judgement.Add(Severity::kDoubt, "interrupted",
                  fmt::format("the run was stopped with {} requests under way", level.cancelled()));
  }
  if (level.failures() == 0) return;
  const bool many = level.error_share() >= kErrorShareInvalid;
  judgement.Add(
      many ? Severity::kInvalid : Severity::kDoubt, "errors",
      fmt::format("{} of {} requests failed ({}); latencies are those of the others",
                  level.failures(), level.failures() + level.errors[0], ErrorsByKind(level)));
}

void JudgeClient(const LevelSummary& level, Judgement& judgement) {
  const double lag = level.send_lag_ms.p99;
  const double base =
      level.ttft_service_ms.count > 0 ? level.ttft_service_ms.p50 : level.latency_ms.p50;
  if (base > 0 && lag > kLagFloorMs && lag > kLagShareDoubt * base) {
    judgement.Add(lag > kLagShareInvalid * base ? Severity::kInvalid : Severity::kDoubt,
                  "client_lag",
                  fmt::format("requests left up to {:.1f} ms (p99) after they were due: connecting "
                              "is slow, or this client is overloaded",
                              lag));
  }
  if (level.client_load > kLoadDoubt) {
    judgement.Add(level.client_load > kLoadInvalid ? Severity::kInvalid : Severity::kDoubt,
                  "client_load",
                  fmt::format("the load generator's threads were {:.0f} % busy; give it more "
                              "--threads or a machine of its own",
                              100 * level.client_load));
  }
  if (level.shared_read_share > kSharedReadsDoubt) {
    judgement.Add(
        Severity::kDoubt, "shared_reads",
        fmt::format("{:.0f} % of the reads held several chunks: the server or the network "
                    "sends in bursts, or this client is late; single gaps are not exact",
                    100 * level.shared_read_share));
  }
}

void JudgeTokens(const LevelSummary& level, const RunSettings& settings, Judgement& judgement) {
  const TokenFacts& facts = level.tokens;
  const auto share = [&level](std::int64_t count) {
    return static_cast<double>(count) /
           static_cast<double>(std::max<std::int64_t>(level.succeeded, 1));
  };
  if (facts.without_usage > 0) {
    judgement.Add(
        Severity::kDoubt, "no_usage",
        fmt::format("{} replies came without a token count: one token per chunk is assumed",
                    facts.without_usage));
  }
  if (facts.impossible > 0) {
    judgement.Add(Severity::kDoubt, "impossible_usage",
                  fmt::format("{} replies had more chunks with text than the server counted tokens",
                              facts.impossible));
  }
  if (share(facts.input_off) > kOffShareDoubt) {
    judgement.Add(Severity::kDoubt, "input_tokens",
                  fmt::format("{} prompts missed the {} tokens asked for by over 2 % (mean {:.0f})",
                              facts.input_off, settings.input_tokens, level.input_tokens_mean));
  }
  if (share(facts.output_off) > kOffShareDoubt) {
    judgement.Add(
        Severity::kDoubt, "output_tokens",
        fmt::format("{} replies were not the {} tokens asked for (mean {:.1f}): the server "
                    "does not honour ignore_eos or min_tokens",
                    facts.output_off, settings.output_tokens, level.output_tokens_mean));
  }
  if (static_cast<double>(facts.cached_tokens) >
      kCachedDoubt * static_cast<double>(facts.input_tokens)) {
    judgement.Add(Severity::kDoubt, "cached_tokens",
                  fmt::format("{} of {} input tokens came from a prefix cache, which flatters TTFT",
                              facts.cached_tokens, facts.input_tokens));
  }
}

bool HasInvalid(const std::vector<Warning>& warnings) {
  return std::ranges::any_of(warnings,
                             [](const Warning& w) { return w.severity == Severity::kInvalid; });
}

}  // namespace

std::vector<Warning> AllWarnings(const RunSummary& summary) {
  std::vector<Warning> all = summary.warnings;
  std::vector<std::pair<Warning, std::string>> by_level;  // With the levels that raised it.
  for (const LevelSummary& level : summary.levels) {
    for (const Warning& warning : level.warnings) {
      const auto same = std::ranges::find_if(by_level, [&warning](const auto& seen) {
        return seen.first.severity == warning.severity && seen.first.message == warning.message;
      });
      if (same == by_level.end()) {
        by_level.emplace_back(warning, fmt::format("{}", level.concurrency));
      } else {
        same->second += fmt::format(", {}", level.concurrency);
      }
    }
  }
  for (auto& [warning, levels] : by_level) {
    warning.message = fmt::format("at concurrency {}: {}", levels, warning.message);
    all.push_back(std::move(warning));
  }
  std::vector<Warning> sorted;
  for (const Severity severity : {Severity::kInvalid, Severity::kDoubt, Severity::kNote}) {
    std::ranges::copy_if(all, std::back_inserter(sorted),
                         [severity](const Warning& w) { return w.severity == severity; });
  }
  return sorted;
}

void Judge(const RunRecords& run, RunSummary& summary) {
  for (LevelSummary& level : summary.levels) {
    Judgement judgement(level.warnings);
    JudgeSamples(level, judgement);
    JudgeErrors(level, judgement);
    JudgeClient(level, judgement);
    JudgeTokens(level, run.header.settings, judgement);
    if (HasInvalid(level.warnings)) summary.valid = false;
  }
  Judgement judgement(summary.warnings);
  if (summary.levels.empty()) {
    judgement.Add(Severity::kInvalid, "no_success", "the run holds no request");
  }
  if (run.header.environment.build_type == "Debug") {
    judgement.Add(Severity::kInvalid, "debug_build",
                  "this load generator is a debug build; use a release build to measure");
  }
  if (run.truncated) {
    judgement.Add(Severity::kDoubt, "truncated",
                  "the records end inside a line: the run was killed before its end");
  }
  if (HasInvalid(summary.warnings)) summary.valid = false;
}

}  // namespace penstock::bench
