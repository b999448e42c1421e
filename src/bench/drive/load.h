// Load: the driver threads of a run, and the thread that collects what they measure.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/result.h"
#include "bench/drive/driver.h"
#include "bench/drive/fit.h"
#include "bench/drive/inbox.h"
#include "bench/drive/level_runner.h"
#include "bench/drive/progress_display.h"
#include "bench/record/record.h"
#include "bench/record/records_file.h"
#include "bench/schedule/level_plan.h"
#include "io/epoll/epoll_loop.h"

namespace penstock::bench {

// Counts the tokens of a text; "" has none. Called on one thread.
using TokenCounter = std::function<int(std::string_view)>;

struct LoadSettings {
  int threads = 1;
  TokenCounter count_tokens{};         // Null: the server's usage alone counts.
  std::vector<std::string> sources{};  // Numeric addresses to connect from; empty: the system's.
};

class Load : public LevelRunner {
 public:
  // `threads` drivers with equal settings, each with its own loop and its own copy of `composer`.
  // `writer` may be null; it, `display` and `stop` outlive the load.
  Load(const LoadSettings& load, const DriverSettings& settings, const Composer& composer,
       RecordsWriter* writer, ProgressDisplay& display, const std::atomic<bool>& stop);
  ~Load() override;

  // Runs Fit() on the first driver and gives what it learned to all. Errors: those of Fit() and of
  // the writer.
  Result<FitReport> FitPrompts() override;

  // Runs a level and returns its records. Blocks; ends early when `stop` is set. Errors: those of
  // the writer.
  Result<RunRecords> RunLevel(const LevelPlan& plan) override;

  // Gives all drivers what another machine's has learned, in place of FitPrompts().
  void Teach(const Enforcement& enforcement, const std::vector<FitPoint>& points);

  // What one driver has learned, to teach another machine's.
  Composer& composer() { return workers_.front()->driver->composer(); }
  DriverSettings& settings() { return workers_.front()->driver->settings(); }

 private:
  struct Worker {
    io::EpollLoop loop;
    std::unique_ptr<Driver> driver;
    std::int64_t cpu_ns = 0;  // Of the stage that ran last.
  };
  class LevelRun;

  // Runs `task` of each of the first `count` workers on a thread of its own, and calls `on_batch`
  // on this thread for what came in, every `tick`, until all are done.
  void RunStage(int count, const std::function<io::Task<void>(Worker&, int)>& task,
                const std::function<void(Inbox::Batch&)>& on_batch, Duration tick);
  // Cancels what every driver has under way of that level.
  void CutAll(int level);
  // Counts a batch's tokens, if somebody can, and writes its records, if there is a writer.
  Status Keep(Inbox::Batch& batch);
  std::int64_t TokenChunks() const;

  const LoadSettings load_;
  RecordsWriter* writer_;  // Borrowed; may be null.
  ProgressDisplay& display_;
  const std::atomic<bool>& stop_;
  TimePoint start_;
  Inbox inbox_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::uint64_t next_id_ = 0;
};

}  // namespace penstock::bench
