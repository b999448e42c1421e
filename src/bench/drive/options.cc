#include "bench/drive/options.h"

#include <fmt/format.h>

#include <algorithm>

#include "bench/drive/optimization_info.h"
#include "bench/judge/budget.h"

namespace penstock::bench {
namespace {

struct IntegerRule {
  std::string_view field;
  long long value;
  long long least;
  long long most;
};

long long SecondsOf(Duration duration) {
  return std::chrono::duration_cast<std::chrono::seconds>(duration).count();
}

Status CheckShape(const BenchOptions& options) {
  const ShapeOptions& shape = options.shape;
  if (shape.open() && !options.concurrency.empty()) {
    return Fail(Code::kInvalidArgument,
                "concurrency and an open loop (rate, ramp, steps, trace) exclude each other",
                "concurrency");
  }
  const Duration dropped = shape.warmup.value_or(Duration{}) + shape.cooldown;
  if (shape.duration.count() > 0 && dropped >= shape.duration) {
    return Fail(Code::kInvalidArgument,
                fmt::format("warmup-s and cooldown-s drop {} s of a duration-s of {}: nothing is "
                            "left to measure",
                            SecondsOf(dropped), SecondsOf(shape.duration)),
                "duration-s");
  }
  const int most = options.target.in_flight_max;
  if (most > 0 && !options.concurrency.empty() &&
      *std::ranges::max_element(options.concurrency) > most) {
    return Fail(Code::kInvalidArgument,
                fmt::format("concurrency has {}, above in-flight-max {}",
                            *std::ranges::max_element(options.concurrency), most),
                "concurrency");
  }
  return {};
}

}  // namespace

Status CheckOptions(const BenchOptions& options) {
  const IntegerRule rules[] = {
      {"concurrency-max", options.concurrency_max, 1, kConcurrencyLimit},
      {"requests", options.requests, 0, 100'000'000},
      {"warmup", options.warmup, -1, 100'000'000},
      {"input-tokens", options.input_tokens, kInputTokensMin, kTokensLimit},
      {"output-tokens", options.output_tokens, 1, kTokensLimit},
      {"timeout-s", SecondsOf(options.timeout), 1, 86'400},
      {"threads", options.threads, 1, kThreadsLimit},
      {"duration-s", SecondsOf(options.shape.duration), 0, 7 * 86'400},
      {"cooldown-s", SecondsOf(options.shape.cooldown), 0, 86'400},
      {"warmup-s", SecondsOf(options.shape.warmup.value_or(Duration{})), 0, 86'400},
      {"drain-s", SecondsOf(options.shape.drain), 0, 86'400},
      {"stall-timeout-s", SecondsOf(options.target.stall_timeout), 0, 86'400},
      {"in-flight-max", options.target.in_flight_max, 0, kConcurrencyLimit},
      {"chunk", options.chunk, 0, 1'000'000'000},
      {"probe-max-s", SecondsOf(options.probe_time_max), 0, 86'400},
      {"search-max-s", SecondsOf(options.search_time_max), 0, 7 * 86'400},
      {"repeats", options.repeats, 1, kRepeatsLimit},
      {"tokens-max", options.target.tokens_max, 0, 1'000'000'000'000'000},
  };
  for (const IntegerRule& rule : rules) {
    if (rule.value >= rule.least && rule.value <= rule.most) continue;
    return Fail(Code::kInvalidArgument,
                fmt::format("{} is {}, it must be from {} to {}", rule.field, rule.value,
                            rule.least, rule.most),
                std::string(rule.field));
  }
  for (const int level : options.concurrency) {
    if (level >= 1 && level <= kConcurrencyLimit) continue;
    return Fail(
        Code::kInvalidArgument,
        fmt::format("concurrency has {}, each must be from 1 to {}", level, kConcurrencyLimit),
        "concurrency");
  }
  if (!options.budget.empty()) {
    if (auto budget = Budget::Parse(options.budget); !budget) return Fail(budget.error());
  }
  if (options.search != "concurrency" && options.search != "rate") {
    return Fail(Code::kInvalidArgument,
                fmt::format("search is {}, it must be concurrency or rate", options.search),
                "search");
  }
  if (!(options.rate_max > 0 && options.rate_max <= 1e6)) {
    return Fail(
        Code::kInvalidArgument,
        fmt::format("rate-max is {}, it must be above 0 and at most 1000000", options.rate_max),
        "rate-max");
  }
  if (!options.optimization_info.empty()) {
    const auto target = OptimizationInfoTarget(options.optimization_info);
    if (!target) return Fail(target.error());
  }
  if (options.count_tokens && !options.agents.empty()) {
    return Fail(Code::kInvalidArgument,
                "tokenizer: texts stay on the machines that sent them; leave out --tokenizer, or "
                "--agents and --processes",
                "tokenizer");
  }
  const auto unprintable = [](char c) { return c < 0x21 || c > 0x7E; };
  if (std::ranges::any_of(options.api_key, unprintable)) {
    return Fail(Code::kInvalidArgument, "api-key holds a blank or a character that no header may",
                "api-key");
  }
  return CheckShape(options);
}

}  // namespace penstock::bench
