#include "bench/load.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <string>
#include <utility>

#include "bench/statistics.h"
#include "io/task_scope.h"

namespace penstock::bench {
namespace {

constexpr Duration kTick = std::chrono::milliseconds(250);

std::int64_t ThreadCpuNs() {
  timespec spent{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
  return static_cast<std::int64_t>(spent.tv_sec) * 1'000'000'000 + spent.tv_nsec;
}

// What the display shows of a level, kept up as records come in.
class LevelProgress {
 public:
  LevelProgress(const LevelPlan& plan, TimePoint start, std::int64_t token_chunks)
      : begun_(start), window_at_(start), window_chunks_(token_chunks) {
    state_.stage = fmt::format("concurrency {}", plan.concurrency);
    state_.level = plan.number;
    state_.levels = plan.levels;
    state_.total = plan.warmup + plan.measured;
  }

  void Add(const RequestRecord& record) {
    ++state_.done;
    if (record.failed()) ++state_.failed;
    if (record.first_token_ns != kNever) {
      ttft_ms_.push_back(static_cast<double>(record.first_token_ns - record.scheduled_ns) * 1e-6);
    }
  }

  const ProgressState& At(TimePoint now, std::int64_t token_chunks) {
    state_.elapsed_s = Seconds(now - begun_);
    // The rate of the last second or more, so that it neither jumps nor lags.
    if (now - window_at_ >= std::chrono::seconds(1)) {
      state_.tokens_per_s =
          static_cast<double>(token_chunks - window_chunks_) / Seconds(now - window_at_);
      window_at_ = now;
      window_chunks_ = token_chunks;
      state_.ttft_p50_ms = Describe(ttft_ms_).p50;
    }
    return state_;
  }

 private:
  ProgressState state_;
  TimePoint begun_;
  TimePoint window_at_;
  std::int64_t window_chunks_;
  std::vector<double> ttft_ms_;
};

io::Task<void> FitInto(Driver& driver, std::atomic<int>& settled, Result<FitReport>& report) {
  report = co_await Fit(driver, {}, [&settled](int now, int) { settled = now; });
}

}  // namespace

Load::Load(int threads, const DriverSettings& settings, const PromptPool& pool,
           RecordsWriter* writer, ProgressDisplay& display, const std::atomic<bool>& stop)
    : writer_(writer), display_(display), stop_(stop), start_(settings.start) {
  for (int i = 0; i < threads; ++i) {
    auto worker = std::make_unique<Worker>();
    worker->driver =
        std::make_unique<Driver>(worker->loop, settings, pool,
                                 [this](RequestRecord record) { inbox_.Put(std::move(record)); });
    workers_.push_back(std::move(worker));
  }
}

Load::~Load() = default;

std::int64_t Load::TokenChunks() const {
  std::int64_t chunks = 0;
  for (const auto& worker : workers_) chunks += worker->driver->token_chunks();
  return chunks;
}

void Load::RunStage(int count, const std::function<io::Task<void>(Worker&, int)>& task,
                    const std::function<void(Inbox::Batch&)>& on_batch) {
  std::vector<std::jthread> threads;
  for (int i = 0; i < count; ++i) {
    Worker& worker = *workers_[static_cast<std::size_t>(i)];
    threads.emplace_back([this, i, &worker, &task] {
      const std::int64_t cpu_before = ThreadCpuNs();
      io::RunBlocking(worker.loop, task(worker, i));
      worker.cpu_ns = ThreadCpuNs() - cpu_before;
      inbox_.PutDone();
    });
  }
  bool stop_sent = false;
  for (int running = count; running > 0;) {
    Inbox::Batch batch = inbox_.Take(kTick);
    running -= batch.done;
    on_batch(batch);
    if (!stop_.load(std::memory_order_relaxed) || stop_sent) continue;
    stop_sent = true;
    for (const auto& worker : workers_) {
      worker->loop.Post([driver = worker->driver.get()] { driver->Stop(); });
    }
  }
}

void Load::CutAll() {
  for (const auto& worker : workers_) {
    worker->loop.Post([driver = worker->driver.get()] { driver->Cut(); });
  }
}

Status Load::Keep(const Inbox::Batch& batch) {
  if (writer_ == nullptr) return {};
  for (const RequestRecord& record : batch.records) {
    if (auto appended = writer_->Append(record); !appended) return appended;
  }
  return writer_->Flush();
}

Result<FitReport> Load::FitPrompts() {
  Result<FitReport> report = Fail(Code::kCancelled, "the run was stopped");
  std::atomic<int> settled = 0;
  Driver& first = *workers_.front()->driver;
  const auto fit = [&](Worker&, int) {
    return first.RunStoppable(FitInto(first, settled, report));
  };
  const TimePoint begun = Clock::now();
  Status kept;
  RunStage(1, fit, [&](Inbox::Batch& batch) {
    if (kept) kept = Keep(batch);
    const TimePoint now = Clock::now();
    display_.Show({.stage = "fitting prompts",
                   .done = settled.load(std::memory_order_relaxed),
                   .total = first.pool().bodies(),
                   .elapsed_s = Seconds(now - begun)},
                  now);
  });
  if (!kept) return Fail(kept.error());
  if (!report && report.error().code == Code::kCancelled) {
    return Fail(
        Code::kCancelled,
        fmt::format("interrupted while fitting prompts: {} of {} fit, and no load was sent, so "
                    "there is nothing to report{}",
                    settled.load(), first.pool().bodies(),
                    writer_ == nullptr ? "" : " (the records hold the requests made)"));
  }
  for (const auto& worker : workers_) {
    worker->driver->pool() = first.pool();
    worker->driver->settings().enforcement = first.settings().enforcement;
  }
  return report;
}

Result<RunRecords> Load::RunLevel(const LevelPlan& plan) {
  Tickets tickets(next_id_, plan.warmup, plan.measured);
  next_id_ += static_cast<std::uint64_t>(plan.warmup + plan.measured);
  const int threads = std::min(static_cast<int>(workers_.size()), plan.concurrency);
  RunRecords run;
  Status written;
  LevelProgress progress(plan, Clock::now(), TokenChunks());
  LevelRecord level{.concurrency = plan.concurrency,
                    .started_ns = (Clock::now() - start_).count(),
                    .threads = threads};

  const auto work = [&](Worker& worker, int index) {
    // The first threads take one worker more where they do not divide evenly.
    const int share = plan.concurrency / threads + (index < plan.concurrency % threads ? 1 : 0);
    return worker.driver->RunLevel(tickets, plan.concurrency, share);
  };
  Enough enough = Enough::kGoOn;
  RunStage(threads, work, [&](Inbox::Batch& batch) {
    if (written) written = Keep(batch);
    for (RequestRecord& record : batch.records) {
      progress.Add(record);
      if (plan.judge && enough == Enough::kGoOn) {
        enough = plan.judge(record);
        if (enough != Enough::kGoOn) tickets.Close();
        if (enough == Enough::kCut) CutAll();
        level.cut = enough == Enough::kCut;
      }
      run.requests.push_back(std::move(record));
    }
    const TimePoint now = Clock::now();
    display_.Show(progress.At(now, TokenChunks()), now);
  });

  level.ended_ns = (Clock::now() - start_).count();
  for (int i = 0; i < threads; ++i) {
    level.client_cpu_ns += workers_[static_cast<std::size_t>(i)]->cpu_ns;
  }
  if (writer_ != nullptr && written) written = writer_->Append(level);
  if (!written) return Fail(written.error());
  run.levels.push_back(level);
  return run;
}

}  // namespace penstock::bench
