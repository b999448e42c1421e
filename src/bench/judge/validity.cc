#include "bench/judge/validity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string>
#include <utility>

#include "bench/judge/answer.h"
#include "page/numbers.h"

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
constexpr double kCachedInvalid = 0.25;
constexpr double kUnsentInvalid = 0.05;
constexpr double kResidualInvalid = 0.01;
constexpr double kDriftDoubt = 0.2;
constexpr double kOffShareDoubt = 0.05;  // Of requests whose token counts are off.

class Judgement {
 public:
  explicit Judgement(std::vector<Warning>& warnings) : warnings_(warnings) {}
  void Add(Severity severity, std::string name, std::string message, double worst = 0) {
    warnings_.push_back({severity, std::move(name), std::move(message), worst});
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

// What brings a level more requests.
std::string_view MoreSamples(const RunSettings& settings) {
  if (settings.mode == "replay") return "replay more of the trace (--trace-span-s)";
  return settings.duration_ms > 0 ? "raise --duration-s" : "raise --requests";
}

void JudgeSamples(const LevelSummary& level, const RunSettings& settings, Judgement& judgement) {
  if (level.succeeded == 0) {
    judgement.Add(Severity::kInvalid, "no_success", "no measured request succeeded");
    return;
  }
  // What the budget's test has settled needs no more samples; a level beyond the budget was ended
  // early.
  if (level.verdict.proven || level.scout) return;
  // Without the level's own count in them, so that levels that lack the same can be told as one.
  if (level.succeeded < SamplesNeeded(0.90)) {
    judgement.Add(
        Severity::kDoubt, "few_samples",
        fmt::format("fewer than {} samples: p90 and p99 are the slowest single request; {}",
                    SamplesNeeded(0.90), MoreSamples(settings)));
  } else if (level.succeeded < SamplesNeeded(0.99)) {
    judgement.Add(Severity::kNote, "few_samples",
                  fmt::format("fewer than {} samples: p99 is the slowest single request; {}",
                              SamplesNeeded(0.99), MoreSamples(settings)));
  }
  if (level.steady.seconds() <= 0) {
    judgement.Add(
        Severity::kDoubt, "no_steady_state",
        fmt::format("the workers were never all busy: throughput includes ramp and drain; "
                    "{}",
                    MoreSamples(settings)));
  }
}

void JudgeErrors(const LevelSummary& level, Judgement& judgement) {
  if (level.cancelled() > 0 && !level.cut) {
    judgement.Add(
        Severity::kDoubt, "interrupted",
        fmt::format("{} cancelled: the run was stopped, or --drain-s was over, while {} "
                    "under way",
                    level.cancelled() == 1 ? "1 request was"
                                           : fmt::format("{} requests were", level.cancelled()),
                    level.cancelled() == 1 ? "it was" : "they were"));
  }
  if (level.failures() == 0) return;
  // A search goes beyond what the endpoint can do on purpose: that it then refuses is its answer.
  if ((level.verdict.proven || level.scout) && !level.verdict.passes) {
    judgement.Add(Severity::kNote, "errors",
                  fmt::format("{} of {} failed beyond the budget ({})", level.failures(),
                              page::Counted(level.failures() + level.errors[0], "request"),
                              ErrorsByKind(level)));
    return;
  }
  const bool many = level.error_share() >= kErrorShareInvalid;
  judgement.Add(
      many ? Severity::kInvalid : Severity::kDoubt, "errors",
      fmt::format("{} of {} failed ({}); latencies are those of the others{}", level.failures(),
                  page::Counted(level.failures() + level.errors[0], "request"), ErrorsByKind(level),
                  level.first_error.empty() ? "" : ". The first: " + level.first_error));
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
                              lag),
                  lag);
  }
  if (level.client_load > kLoadDoubt) {
    judgement.Add(level.client_load > kLoadInvalid ? Severity::kInvalid : Severity::kDoubt,
                  "client_load",
                  fmt::format("the load generator's threads were {:.0f} % busy; give it more "
                              "--threads or a machine of its own",
                              100 * level.client_load),
                  level.client_load);
  }
  if (level.loop_lag_p99_ms > kLagFloorMs && base > 0 &&
      level.loop_lag_p99_ms > kLagShareDoubt * base) {
    // Receive times are the kernel's: a late loop colours what is sent, which client_lag judges.
    judgement.Add(Severity::kDoubt, "loop_lag",
                  fmt::format("the load generator's loops ran up to {:.1f} ms late (p99); give it "
                              "more --threads or a machine of its own",
                              level.loop_lag_p99_ms),
                  level.loop_lag_p99_ms);
  }
  if (level.unsent > 0 && !level.cut && level.verdict.judged == 0) {
    const bool many =
        static_cast<double>(level.unsent) >
        kUnsentInvalid * static_cast<double>(std::max<std::int64_t>(level.scheduled, 1));
    judgement.Add(
        many ? Severity::kInvalid : Severity::kDoubt, "unfinished",
        fmt::format("{} of {} scheduled requests were never sent: the load was not the one "
                    "that was asked for; lower the rate or raise --in-flight-max",
                    level.unsent, level.scheduled));
  }
  if (level.shared_read_share > kSharedReadsDoubt) {
    judgement.Add(
        Severity::kDoubt, "shared_reads",
        fmt::format("{:.0f} % of the reads held several chunks: the server or the network "
                    "sends in bursts, or this client is late; single gaps are not exact",
                    100 * level.shared_read_share),
        level.shared_read_share);
  }
}

// A share of a level's successes.
double ShareOf(const LevelSummary& level, std::int64_t count) {
  return static_cast<double>(count) /
         static_cast<double>(std::max<std::int64_t>(level.succeeded, 1));
}

void JudgeTokenizer(const LevelSummary& level, Judgement& judgement) {
  const TokenFacts& facts = level.tokens;
  if (facts.retokenised_off == 0) return;
  const auto percent = [](std::int64_t usage, std::int64_t counted) {
    const auto base = static_cast<double>(std::max<std::int64_t>(counted, 1));
    return 100 * (static_cast<double>(usage) / base - 1);
  };
  judgement.Add(
      ShareOf(level, facts.retokenised_off) > kOffShareDoubt ? Severity::kDoubt : Severity::kNote,
      "tokenizer",
      fmt::format("the server's usage and the tokenizer disagree about the output of {} of {} "
                  "replies: {} tokens against {} ({:+.1f} %); of the input {} against {} ({:+.1f} "
                  "%). Figures follow the usage; is it this model's tokenizer?",
                  facts.retokenised_off, facts.retokenised, facts.usage_output,
                  facts.counted_output, percent(facts.usage_output, facts.counted_output),
                  facts.usage_input, facts.counted_input,
                  percent(facts.usage_input, facts.counted_input)));
}

// The server's counts: whether there are any, and whether they can be true.
void JudgeUsage(const LevelSummary& level, Judgement& judgement) {
  const TokenFacts& facts = level.tokens;
  if (facts.without_usage > 0) {
    judgement.Add(
        Severity::kDoubt, "no_usage",
        fmt::format("{} replies came without a token count: {}", facts.without_usage,
                    facts.retokenised > 0 ? "the tokenizer's count stands for it"
                                          : "one token per chunk is assumed; --tokenizer counts"));
  }
  if (facts.impossible > 0) {
    const bool many = ShareOf(level, facts.impossible) > kOffShareDoubt;
    judgement.Add(
        many ? Severity::kInvalid : Severity::kDoubt, "impossible_usage",
        fmt::format("{} replies had more chunks with text than the server counted tokens: "
                    "its usage cannot be true, nor any TPOT made of it",
                    facts.impossible));
  }
}

// The lengths wanted differ from request to request in all but the simplest workloads.
void JudgeLengths(const LevelSummary& level, Judgement& judgement) {
  const TokenFacts& facts = level.tokens;
  if (ShareOf(level, facts.input_off) > kOffShareDoubt) {
    judgement.Add(
        Severity::kDoubt, "input_tokens",
        fmt::format("{} prompt{} missed the tokens asked for by over 2 % (mean {:.0f}, asked "
                    "{:.0f})",
                    facts.input_off, facts.input_off == 1 ? "" : "s", level.input_tokens_mean,
                    ShareOf(level, facts.input_wanted)),
        ShareOf(level, facts.input_off));
  }
  if (ShareOf(level, facts.output_off) > kOffShareDoubt) {
    judgement.Add(
        Severity::kDoubt, "output_tokens",
        fmt::format("{} replies were not the tokens asked for (mean {:.1f}, asked {:.1f}): the "
                    "server does not honour ignore_eos or min_tokens",
                    facts.output_off, level.output_tokens_mean,
                    ShareOf(level, facts.output_wanted)),
        ShareOf(level, facts.output_off));
  }
}

void JudgeCache(const LevelSummary& level, const RunSettings& settings, Judgement& judgement) {
  const TokenFacts& facts = level.tokens;
  const double cached = static_cast<double>(facts.cached_tokens) /
                        static_cast<double>(std::max<std::int64_t>(facts.input_tokens, 1));
  if (cached <= kCachedDoubt) return;
  if (!settings.salted) {
    judgement.Add(Severity::kNote, "cached_tokens",
                  fmt::format("{:.1f} % of the input tokens came from a prefix cache, as prompts "
                              "without a salt allow",
                              100 * cached));
    return;
  }
  judgement.Add(cached > kCachedInvalid ? Severity::kInvalid : Severity::kDoubt, "cached_tokens",
                fmt::format("{:.1f} % of the input tokens came from a prefix cache, though every "
                            "prompt begins with text of its own: TTFT is flattered; find out what "
                            "this server caches",
                            100 * cached),
                cached);
}

// Figures that contradict each other or the request.
void JudgeConsistency(const LevelSummary& level, Judgement& judgement) {
  if (level.identity_residual_max > kResidualInvalid) {
    judgement.Add(
        Severity::kInvalid, "identity",
        fmt::format("a latency differs from TTFT + TPOT x (N - n_first) by {:.1f} %: these "
                    "records contradict themselves; do not edit them",
                    100 * level.identity_residual_max));
  }
  if (level.tokens.beyond_wanted > 0) {
    judgement.Add(Severity::kDoubt, "impossible_usage",
                  fmt::format("{} replies count more output tokens than were allowed: the server "
                              "ignores max_tokens, or its usage cannot be true",
                              level.tokens.beyond_wanted));
  }
}

void JudgeDrift(const LevelSummary& level, Judgement& judgement) {
  const Drift& drift = level.drift;
  if (!drift.significant || std::abs(drift.ratio - 1) < kDriftDoubt) return;
  const bool open = level.rate_per_s > 0;
  judgement.Add(
      Severity::kDoubt, drift.ratio > 1 && open ? "no_steady_state" : "drift",
      drift.ratio > 1 && open
          ? fmt::format("latency rose by {:.0f} % from the first third to the last: the endpoint "
                        "cannot keep this rate, and a longer run shows longer times; lower --rate",
                        100 * (drift.ratio - 1))
          : fmt::format(
                "latency changed by up to {:+.0f} % from the first third to the last: something "
                "warms up, throttles or fills; raise --warmup or find out what",
                100 * (drift.ratio - 1)),
      std::abs(drift.ratio - 1));
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
        const Warning& other = seen.first;
        const bool alike = warning.worst > 0 && other.worst > 0 && other.name == warning.name;
        return other.severity == warning.severity && (alike || other.message == warning.message);
      });
      if (same == by_level.end()) {
        by_level.emplace_back(warning, LoadText(level));
      } else {
        if (warning.worst > same->first.worst) same->first = warning;
        const std::string load = LoadText(level);
        const std::string_view prefix = "concurrency ";
        same->second += ", " + (load.starts_with(prefix) ? load.substr(prefix.size()) : load);
      }
    }
  }
  for (auto& [warning, levels] : by_level) {
    warning.message = fmt::format("at {}: {}", levels, warning.message);
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
    JudgeSamples(level, run.header.settings, judgement);
    JudgeErrors(level, judgement);
    JudgeClient(level, judgement);
    JudgeUsage(level, judgement);
    JudgeTokenizer(level, judgement);
    JudgeLengths(level, judgement);
    JudgeCache(level, run.header.settings, judgement);
    JudgeConsistency(level, judgement);
    JudgeDrift(level, judgement);
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
