// Load: the driver threads of a run, and the thread that collects what they measure.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "base/result.h"
#include "bench/driver.h"
#include "bench/fit.h"
#include "bench/inbox.h"
#include "bench/progress_display.h"
#include "bench/record.h"
#include "bench/records_file.h"
#include "io/epoll/epoll_loop.h"

namespace penstock::bench {

// What a level's judge says after each request.
enum class Enough {
  kGoOn,
  kDrain,  // Send no more; let what is under way end.
  kCut,    // Send no more, and cancel what is under way.
};

// One level to run.
struct LevelPlan {
  int concurrency = 1;
  int warmup = 0;
  int measured = 10;
  int number = 1;  // Of the sweep, for the display.
  int levels = 0;  // Of how many; 0: not known.
  // Asked on the calling thread after each request, if set, until it says other than kGoOn.
  std::function<Enough(const RequestRecord&)> judge{};
};

class Load {
 public:
  // `threads` drivers with equal settings, each with its own loop and its own copy of `pool`.
  // `writer` may be null; it, `display` and `stop` outlive the load.
  Load(int threads, const DriverSettings& settings, const PromptPool& pool, RecordsWriter* writer,
       ProgressDisplay& display, const std::atomic<bool>& stop);
  ~Load();

  // Runs Fit() on the first driver and gives what it learned to all. Errors: those of Fit() and of
  // the writer.
  Result<FitReport> FitPrompts();

  // Runs a level and returns its records. Blocks; ends early when `stop` is set. Errors: those of
  // the writer.
  Result<RunRecords> RunLevel(const LevelPlan& plan);

 private:
  struct Worker {
    io::EpollLoop loop;
    std::unique_ptr<Driver> driver;
    std::int64_t cpu_ns = 0;  // Of the stage that ran last.
  };

  // Runs `task` of each of the first `count` workers on a thread of its own, and calls `on_batch`
  // on this thread for what came in, until all are done.
  void RunStage(int count, const std::function<io::Task<void>(Worker&, int)>& task,
                const std::function<void(Inbox::Batch&)>& on_batch);
  // Cancels what every driver has under way.
  void CutAll();
  // Writes a batch's records, if there is a writer.
  Status Keep(const Inbox::Batch& batch);
  std::int64_t TokenChunks() const;

  RecordsWriter* writer_;  // Borrowed; may be null.
  ProgressDisplay& display_;
  const std::atomic<bool>& stop_;
  TimePoint start_;
  Inbox inbox_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::uint64_t next_id_ = 0;
};

}  // namespace penstock::bench
