// Agent protocol: what a coordinator and its load machines tell each other, as JSON. Pure.
//
//   GET  /clock     → {"now_ns": N}: the agent's monotonic clock
//   POST /session   ← SessionOrder; the agent gets ready, and forgets an earlier session
//   POST /fit       → FitLesson: what the agent found out about the server
//   POST /lesson    ← FitLesson: what another agent found out
//   POST /level     ← LevelOrder; → records as they come in, as lines of a records file without its
//                     first, and last the level's; a line of kind "failure" where it went wrong
//   POST /level/end ← {"cut": B}: send no more, and cancel what is under way where B is true
//
// Between machines all of it goes over TLS (agent_identity.h): orders hold the endpoint's key.
//
// Every machine draws the same schedule from the same seed, and sends its own part of it. Times in
// records count from the coordinator's start, brought onto the agent's clock by an offset that the
// coordinator has estimated.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "bench/drive/endpoint.h"
#include "bench/drive/options.h"
#include "bench/schedule/level_plan.h"
#include "bench/workload/composer.h"

namespace penstock::bench {

// What an agent needs to know of the run. Files that options name must lie on the agent, too.
struct SessionOrder {
  BenchOptions options{};     // Those that say what to send; none that say where to report.
  std::uint64_t salt = 0;     // The run's.
  std::int64_t start_ns = 0;  // The run's start, on the agent's clock.
  int agent = 0;              // Its number, for records.
  int agents = 1;
};

struct FitLesson {
  Enforcement enforcement{};
  std::vector<FitPoint> points{};
};

struct LevelOrder {
  int concurrency = 0;  // Of all agents; 0: an open loop.
  int warmup = 0;       // Requests of all agents.
  int measured = 0;
  int number = 1;
  std::int64_t duration_ns = 0;
  std::int64_t warmup_ns = 0;
  std::int64_t cooldown_ns = 0;
  std::int64_t drain_ns = 0;
  ScheduleDraw draw{};  // Of an open loop.
  bool scout = false;   // As LevelPlan has them.
  int repeats = 0;
  std::int64_t start_ns = 0;  // On the agent's clock.
  std::uint64_t first_id = 0;
};

std::string ToJson(const SessionOrder& order);
std::string ToJson(const FitLesson& lesson);
std::string ToJson(const LevelOrder& order);

// Errors: kInvalidArgument naming the field.
Result<SessionOrder> ParseSessionOrder(std::string_view text);
Result<FitLesson> ParseFitLesson(std::string_view text);
Result<LevelOrder> ParseLevelOrder(std::string_view text);

std::string ClockJson(std::int64_t now_ns);
Result<std::int64_t> ParseClock(std::string_view text);

std::string EndJson(bool cut);
Result<bool> ParseEnd(std::string_view text);  // Whether to cut.

// The last line of a level that failed.
std::string FailureLine(const Error& error);

// Takes whole lines of an agent's answer from the front of `text`. Errors: kUpstream for what is no
// record, and for a failure that the agent tells.
Result<RunRecords> TakeLines(std::string& text);

// What the agents tell of their parts of one level, as one.
LevelRecord MergedLevel(const std::vector<LevelRecord>& parts);  // At least one.

// One exchange of clocks: the agent's answer lies between the coordinator's two readings.
struct ClockSample {
  std::int64_t asked_ns = 0;
  std::int64_t agent_ns = 0;
  std::int64_t answered_ns = 0;
};

// How far the agent's clock is ahead, as the fastest exchange has it: wrong by at most half of that
// exchange's round trip.
struct ClockOffset {
  std::int64_t ahead_ns = 0;
  std::int64_t error_max_ns = 0;
};
ClockOffset EstimateOffset(const std::vector<ClockSample>& samples);  // At least one.

}  // namespace penstock::bench
