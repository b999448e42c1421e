// Progress: what the live display says while a load test runs. Pure; the shell writes it to stderr.
#pragma once

#include <cstddef>
#include <string>

namespace penstock::bench {

// Where a run stands.
struct ProgressState {
  std::string stage{};  // "fitting prompts", "concurrency 8".
  int level = 0;        // Counted from 1; 0 before the first.
  int levels = 0;       // All of them; 0 where the sweep decides as it goes.
  long long done = 0;   // Requests of this stage that have ended.
  long long total = 0;  // Requests of this stage; 0: as many as end within `limit_s`.
  double limit_s = 0;   // The stage's time, where it has one.
  long long failed = 0;
  double elapsed_s = 0;     // Since the stage began.
  double tokens_per_s = 0;  // Output, over the last seconds.
  double ttft_p50_ms = 0;   // Of this stage so far; 0 before the first.
};

// Seconds until the stage ends at its present pace; negative where that cannot be said yet.
double SecondsLeft(const ProgressState& state);

// One line, without a line end, of at most `columns` characters (0: no limit).
std::string ProgressLine(const ProgressState& state, std::size_t columns);

}  // namespace penstock::bench
