// LevelPlan: one level of a load test, closed or open, or one machine's part of it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "base/clock.h"
#include "bench/record/record.h"
#include "bench/schedule/schedule.h"

namespace penstock::bench {

// What a level's judge says after each request.
enum class Enough {
  kGoOn,
  kDrain,  // Send no more; let what is under way end.
  kCut,    // Send no more, and cancel what is under way.
};

// How the schedule of an open loop's level was drawn: enough for another machine to draw the same.
struct ScheduleDraw {
  int level = 0;          // Which of the options' levels, from 0; of a rate that a search chose: 0.
  double rate_per_s = 0;  // The search's; 0: the options'.
  int requests = 0;       // With it.
  int round = 0;          // Of the repeats, from 0: each has arrivals of its own.
  bool operator==(const ScheduleDraw&) const = default;
};

// One level to run.
struct LevelPlan {
  int concurrency = 1;  // 0 in an open loop.
  int warmup = 0;       // Requests; without effect where `duration` is set, and in an open loop.
  int measured = 10;    // Likewise.
  int number = 1;       // Of the sweep, for the display.
  int levels = 0;       // Of how many; 0: not known.
  // Asked on the calling thread after each request, if set, until it says other than kGoOn.
  std::function<Enough(const RequestRecord&)> judge{};
  // Asked on the same thread a few times a second, if set: whether somebody else ends the level.
  std::function<Enough()> poll{};
  // Told each record, in place of keeping it in what RunLevel() returns.
  std::function<void(RequestRecord)> on_record{};
  // A closed loop's length, in place of numbers of requests. 0: those.
  Duration duration{};
  Duration warmup_time{};    // At the begin; an open loop's, too.
  Duration cooldown_time{};  // At the end, likewise.
  // Of an open loop; null for a closed one. Outlives the call.
  const Schedule* schedule = nullptr;
  ScheduleDraw draw{};
  double rate_per_s = 0;
  // How long requests may go on once no more are sent; then they are cancelled.
  Duration drain_max = std::chrono::minutes(10);
  // The level ends after so long, and what is under way is cancelled. 0: no limit.
  Duration time_max{};
  bool scout = false;         // Of a search: see LevelRecord.
  int repeats = 0;            // Likewise.
  std::string note{};         // What the display adds to the load.
  std::int64_t expected = 0;  // Requests that the display counts up to; 0: as many as there may be.
  // Where several machines share the level: this is part `part` of `parts`, and all begin at
  // `start`, of this machine's clock. TimePoint{}: at once.
  int part = 0;
  int parts = 1;
  TimePoint start{};
  std::uint64_t first_id = 0;  // With parts > 1; else Load counts for itself.
};

}  // namespace penstock::bench
