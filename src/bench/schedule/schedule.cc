#include "bench/schedule/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/distributions.h"

namespace penstock::bench {
namespace {

constexpr std::array<std::string_view, 3> kSpacingNames = {"constant", "poisson", "gamma"};

double Seconds(std::int64_t ns) { return static_cast<double>(ns) / 1e9; }

// How many arrivals a stage holds on average.
double Expected(const Stage& stage) {
  return (stage.from_per_s + stage.to_per_s) / 2 * Seconds(stage.span_ns);
}

Status Check(const RatePlan& plan) {
  if (plan.stages.empty()) return Fail(Code::kInvalidArgument, "rate: there is none", "rate");
  double expected = 0;
  const auto good = [](double rate) { return rate >= 0 && rate <= kRateMax; };
  for (const Stage& stage : plan.stages) {
    if (!good(stage.from_per_s) || !good(stage.to_per_s) ||
        stage.from_per_s + stage.to_per_s <= 0) {
      return Fail(Code::kInvalidArgument,
                  fmt::format("rate is {}, it must be above 0 and at most {:.0f} requests/s",
                              stage.from_per_s == stage.to_per_s
                                  ? fmt::format("{}", stage.from_per_s)
                                  : fmt::format("{} to {}", stage.from_per_s, stage.to_per_s),
                              kRateMax),
                  "rate");
    }
    if (stage.span_ns <= 0) {
      return Fail(Code::kInvalidArgument, "duration is 0, an open loop must have one", "duration");
    }
    expected += Expected(stage);
  }
  const auto most = static_cast<double>(kScheduledMax);
  if (expected > most && (plan.requests_max == 0 || plan.requests_max > kScheduledMax)) {
    return Fail(Code::kInvalidArgument,
                fmt::format("requests: the schedule would hold {:.0f}, at most {} can be kept",
                            expected, kScheduledMax),
                "requests");
  }
  if (plan.spacing == Spacing::kGamma && !(plan.burstiness >= 0.01 && plan.burstiness <= 1000)) {
    return Fail(Code::kInvalidArgument,
                fmt::format("burstiness is {}, it must be from 0.01 to 1000", plan.burstiness),
                "burstiness");
  }
  return {};
}

// The moment of a stage by which `count` arrivals are expected, in seconds from its begin.
double MomentOf(const Stage& stage, double count) {
  const double slope = (stage.to_per_s - stage.from_per_s) / Seconds(stage.span_ns);
  // count = from·t + slope·t²/2, solved in the form that loses no digits.
  const double root =
      std::sqrt(std::max(stage.from_per_s * stage.from_per_s + 2 * slope * count, 0.0));
  return 2 * count / (stage.from_per_s + root);
}

class UnitArrivals {
 public:
  explicit UnitArrivals(const RatePlan& plan)
      : spacing_(plan.spacing), shape_(plan.burstiness), random_(plan.seed) {}

  // The next arrival's place, where arrivals are one apart on average.
  double Next() {
    if (spacing_ == Spacing::kConstant) return static_cast<double>(count_++);
    place_ += spacing_ == Spacing::kPoisson ? DrawExponential(random_)
                                            : DrawGamma(random_, shape_) / shape_;
    return place_;
  }

 private:
  Spacing spacing_;
  double shape_;
  Random random_;
  double place_ = 0;
  std::int64_t count_ = 0;
};

}  // namespace

std::string_view Name(Spacing spacing) { return kSpacingNames[static_cast<std::size_t>(spacing)]; }

std::optional<Spacing> SpacingNamed(std::string_view name) {
  const auto found = std::ranges::find(kSpacingNames, name);
  if (found == kSpacingNames.end()) return std::nullopt;
  return static_cast<Spacing>(found - kSpacingNames.begin());
}

Result<Schedule> MakeSchedule(const RatePlan& plan) {
  if (auto good = Check(plan); !good) return Fail(good.error());
  Schedule schedule;
  UnitArrivals arrivals(plan);
  double place = arrivals.Next();
  double before = 0;  // Arrivals expected before the present stage.
  for (const Stage& stage : plan.stages) {
    const double expected = Expected(stage);
    while (place - before < expected) {
      const std::int64_t within = std::min(std::llround(MomentOf(stage, place - before) * 1e9),
                                           static_cast<long long>(stage.span_ns - 1));
      schedule.dues.push_back({.at_ns = schedule.span_ns + within});
      if (plan.requests_max > 0 && std::ssize(schedule.dues) >= plan.requests_max) {
        schedule.span_ns = schedule.dues.back().at_ns + 1;
        return schedule;
      }
      place = arrivals.Next();
    }
    before += expected;
    schedule.span_ns += stage.span_ns;
  }
  return schedule;
}

Result<Schedule> MakeSchedule(const trace::Trace& trace) {
  if (trace.arrivals.empty()) {
    return Fail(Code::kInvalidArgument, "trace: nothing is left of it to replay", "trace");
  }
  if (std::ssize(trace.arrivals) > kScheduledMax) {
    return Fail(Code::kInvalidArgument,
                fmt::format("trace: it holds {} requests, and {} can be replayed",
                            trace.arrivals.size(), kScheduledMax),
                "trace");
  }
  Schedule schedule;
  schedule.span_ns = trace.span_ns() + 1;
  schedule.block_tokens = trace.block_tokens;
  for (const trace::Arrival& arrival : trace.arrivals) {
    schedule.dues.push_back({.at_ns = arrival.at_ns,
                             .input_tokens = std::max(arrival.input_tokens, 1),
                             .output_tokens = std::max(arrival.output_tokens, 1)});
    if (trace.block_tokens > 0) schedule.blocks.push_back(arrival.blocks);
  }
  return schedule;
}

std::vector<NumberedDue> PartOf(const Schedule& schedule, int index, int count) {
  std::vector<NumberedDue> part;
  for (std::size_t number = static_cast<std::size_t>(index); number < schedule.dues.size();
       number += static_cast<std::size_t>(count)) {
    part.push_back({.number = number, .due = schedule.dues[number]});
  }
  return part;
}

std::uint64_t Digest(const Schedule& schedule) {
  std::uint64_t digest = static_cast<std::uint64_t>(schedule.span_ns);
  const auto take = [&digest](std::int64_t value) {
    digest = Random(digest ^ static_cast<std::uint64_t>(value)).Next();
  };
  for (const Due& due : schedule.dues) {
    take(due.at_ns);
    take(due.input_tokens);
    take(due.output_tokens);
  }
  return digest;
}

}  // namespace penstock::bench
