// Schedule: when each request of an open loop is due, fixed by a seed before the run. Pure.
//
// An arrival never waits for an answer, so that a stalled server shows as latency and not as fewer
// requests; latency counts from the time that stands here. Equal settings give equal schedules, to
// the nanosecond, on every machine: own arithmetic throughout (see base/portable_math.h).
//
// Two choices make a schedule: how arrivals are spaced (evenly, Poisson, gamma) and how their rate
// goes over time (one rate, a ramp, steps). Unit arrivals, one a unit on average, are drawn first;
// then time is stretched so that the rate comes out. A trace brings its own times and lengths.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "base/result.h"
#include "trace/trace.h"

namespace penstock::bench {

inline constexpr std::int64_t kScheduledMax = 50'000'000;  // Requests of one schedule.
inline constexpr double kRateMax = 10'000'000;             // Requests a second.

enum class Spacing {
  kConstant,  // Evenly apart, the first at once.
  kPoisson,   // Independent of one another: gaps are exponential.
  kGamma,     // Gaps are gamma-distributed; see RatePlan::burstiness.
};
std::string_view Name(Spacing spacing);  // "constant", "poisson", "gamma"
std::optional<Spacing> SpacingNamed(std::string_view name);

// A rate that goes evenly from one value to another. Equal ends: one rate.
struct Stage {
  double from_per_s = 1;
  double to_per_s = 1;
  std::int64_t span_ns = 0;
};

struct RatePlan {
  Spacing spacing = Spacing::kPoisson;
  // Shape of the gamma gaps, as vLLM's flag of this name: 1 is Poisson, less is burstier, more is
  // smoother. The gaps' coefficient of variation is 1/√burstiness.
  double burstiness = 1;
  std::vector<Stage> stages{};    // One after the other; at least one.
  std::int64_t requests_max = 0;  // 0: as many as the stages hold.
  std::uint64_t seed = 1;
};

// One request of a schedule.
struct Due {
  std::int64_t at_ns = 0;  // Since the level's start.
  // What a trace asks; 0 where the workload decides.
  int input_tokens = 0;
  int output_tokens = 0;

  bool operator==(const Due&) const = default;
};

struct Schedule {
  std::vector<Due> dues{};   // In order of time; the index is the request's number.
  std::int64_t span_ns = 0;  // When the load ends: no request is due from here on.
  // Prefix blocks of each due, where a trace tells them; else empty.
  std::vector<std::vector<std::int64_t>> blocks{};
  int block_tokens = 0;
};

// Errors: kInvalidArgument naming "rate", "burstiness", "duration" or "requests".
Result<Schedule> MakeSchedule(const RatePlan& plan);

// Requests due at the times of a trace and of its lengths. Errors: kInvalidArgument where it is
// empty or too long.
Result<Schedule> MakeSchedule(const trace::Trace& trace);

// One of `count` equal parts: every count-th due from `index` on, with its number. Parts of all
// indices are the whole.
struct NumberedDue {
  std::uint64_t number = 0;
  Due due{};
};
std::vector<NumberedDue> PartOf(const Schedule& schedule, int index, int count);

// Number that changes with any change of a schedule: equal on all machines for equal schedules.
std::uint64_t Digest(const Schedule& schedule);

}  // namespace penstock::bench
