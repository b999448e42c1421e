#include "bench/drive/load.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <string>
#include <utility>

#include "bench/drive/level_progress.h"
#include "io/task_scope.h"

namespace penstock::bench {
namespace {

constexpr Duration kTick = std::chrono::milliseconds(250);
// While a judge waits to end the level.
constexpr Duration kJudgedTick = std::chrono::milliseconds(40);
// Between making an open level's drivers ready and its first request.
constexpr Duration kLead = std::chrono::milliseconds(20);

std::int64_t ThreadCpuNs() {
  timespec spent{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
  return static_cast<std::int64_t>(spent.tv_sec) * 1'000'000'000 + spent.tv_nsec;
}

io::Task<void> FitInto(Driver& driver, std::atomic<int>& settled, Result<FitReport>& report) {
  report = co_await Fit(driver, {}, [&settled](int now, int) { settled = now; });
}

LevelTimes TimesOf(const LevelPlan& plan) {
  const std::int64_t end_ns =
      plan.schedule != nullptr ? plan.schedule->span_ns : plan.duration.count();
  return {.warmup_ns = plan.warmup_time.count(),
          .cooldown_ns = end_ns - plan.cooldown_time.count(),
          .end_ns = end_ns};
}

void CountTexts(const TokenCounter& count, const Texts& texts, RequestRecord& record) {
  if (texts.input.empty()) return;
  int input = 0;
  for (const Message& message : texts.input) input += count(message.text);
  record.input_tokens_counted = input;
  if (record.chunks > 0 || !texts.output.empty()) {
    record.output_tokens_counted = count(texts.output);
  }
}

}  // namespace

Load::Load(const LoadSettings& load, const DriverSettings& settings, const Composer& composer,
           RecordsWriter* writer, ProgressDisplay& display, const std::atomic<bool>& stop)
    : load_(load), writer_(writer), display_(display), stop_(stop), start_(settings.start) {
  for (int i = 0; i < load.threads; ++i) {
    auto worker = std::make_unique<Worker>();
    worker->loop.SetSources(load.sources);
    worker->driver = std::make_unique<Driver>(worker->loop, settings, composer,
                                              [this](RequestRecord record, Texts texts) {
                                                inbox_.Put(std::move(record), std::move(texts));
                                              });
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
                    const std::function<void(Inbox::Batch&)>& on_batch, Duration tick) {
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
    Inbox::Batch batch = inbox_.Take(tick);
    running -= batch.done;
    on_batch(batch);
    if (!stop_.load(std::memory_order_relaxed) || stop_sent) continue;
    stop_sent = true;
    for (const auto& worker : workers_) {
      worker->loop.Post([driver = worker->driver.get()] { driver->Stop(); });
    }
  }
}

void Load::CutAll(int level) {
  for (const auto& worker : workers_) {
    worker->loop.Post([driver = worker->driver.get(), level] { driver->CutLevel(level); });
  }
}

Status Load::Keep(Inbox::Batch& batch) {
  for (Inbox::Item& item : batch.records) {
    if (load_.count_tokens) CountTexts(load_.count_tokens, item.texts, item.record);
    if (writer_ == nullptr) continue;
    if (auto appended = writer_->Append(item.record); !appended) return appended;
  }
  return writer_ == nullptr ? Status{} : writer_->Flush();
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
  RunStage(
      1, fit,
      [&](Inbox::Batch& batch) {
        if (kept) kept = Keep(batch);
        const TimePoint now = Clock::now();
        display_.Show({.stage = "fitting prompts",
                       .done = settled.load(std::memory_order_relaxed),
                       .total = first.composer().pool().bodies(),
                       .elapsed_s = Seconds(now - begun)},
                      now);
      },
      kTick);
  if (!kept) return Fail(kept.error());
  if (!report && report.error().code == Code::kCancelled) {
    return Fail(
        Code::kCancelled,
        fmt::format("interrupted while fitting prompts: {} of {} fit, and no load was sent, so "
                    "there is nothing to report{}",
                    settled.load(), first.composer().pool().bodies(),
                    writer_ == nullptr ? "" : " (the records hold the requests made)"));
  }
  for (const auto& worker : workers_) {
    worker->driver->composer() = first.composer();
    worker->driver->settings().enforcement = first.settings().enforcement;
  }
  return report;
}

void Load::Teach(const Enforcement& enforcement, const std::vector<FitPoint>& points) {
  for (const auto& worker : workers_) {
    worker->driver->settings().enforcement = enforcement;
    Composer& composer = worker->driver->composer();
    // The machine that found it all out knows it already.
    for (std::size_t i = composer.fit_points().size(); i < points.size(); ++i) {
      composer.ObserveFit(points[i]);
    }
  }
}

// One call of RunLevel(): what its steps share.
class Load::LevelRun {
 public:
  LevelRun(Load& load, const LevelPlan& plan)
      : load_(load),
        plan_(plan),
        times_(TimesOf(plan)),
        threads_(plan.schedule != nullptr
                     ? std::ssize(load.workers_)
                     : std::min(std::ssize(load.workers_), std::ptrdiff_t{plan.concurrency})),
        start_(plan.start != TimePoint{}  ? plan.start
               : plan.schedule != nullptr ? Clock::now() + kLead
                                          : Clock::now()),
        first_id_(plan.parts > 1 ? plan.first_id : load.next_id_),
        progress_(plan, start_, load.TokenChunks()) {
    const std::uint64_t own = static_cast<std::uint64_t>(plan.part);
    if (plan.schedule == nullptr && plan.duration.count() > 0) {
      tickets_.emplace(first_id_ + own, times_, plan.parts);
    } else if (plan.schedule == nullptr) {
      tickets_.emplace(first_id_ + own, plan.warmup, plan.measured, plan.parts);
    }
  }

  Result<RunRecords> Run() {
    LevelRecord level{.number = plan_.number,
                      .concurrency = plan_.concurrency,
                      .rate_per_s = plan_.rate_per_s,
                      .started_ns = (start_ - load_.start_).count(),
                      .threads = static_cast<int>(threads_),
                      .scout = plan_.scout,
                      .repeats = plan_.repeats};
    load_.workers_.front()->driver->settings().spending->TakeInFlightMax();
    load_.RunStage(
        static_cast<int>(threads_),
        [this](Worker& worker, int index) { return Part(*worker.driver, index); },
        [this](Inbox::Batch& batch) { Take(batch); },
        plan_.judge || plan_.on_record ? kJudgedTick : kTick);
    level.ended_ns = (Clock::now() - load_.start_).count();
    Close(level);
    if (load_.writer_ != nullptr && written_) written_ = load_.writer_->Append(level);
    if (!written_) return Fail(written_.error());
    run_.levels.push_back(level);
    return std::move(run_);
  }

  // Ids that the level may have used.
  std::uint64_t ids() const {
    if (plan_.schedule != nullptr) return plan_.schedule->dues.size();
    return static_cast<std::uint64_t>(tickets_->taken());
  }

 private:
  io::Task<void> Part(Driver& driver, int index) {
    const LevelMark mark{.number = plan_.number, .concurrency = plan_.concurrency, .start = start_};
    const int threads = static_cast<int>(threads_);
    if (plan_.schedule != nullptr) {
      return driver.RunOpenLevel({.schedule = plan_.schedule,
                                  .part = plan_.part + plan_.parts * index,
                                  .parts = plan_.parts * threads,
                                  .first_id = first_id_,
                                  .times = times_,
                                  .closed = &closed_},
                                 mark);
    }
    // The first threads take one worker more where they do not divide evenly.
    const int share = plan_.concurrency / threads + (index < plan_.concurrency % threads ? 1 : 0);
    return driver.RunLevel(*tickets_, mark, share);
  }

  void Take(Inbox::Batch& batch) {
    if (written_) written_ = load_.Keep(batch);
    for (Inbox::Item& item : batch.records) {
      progress_.Add(item.record);
      if (plan_.judge) Settle(plan_.judge, item.record);
      if (plan_.on_record) {
        plan_.on_record(std::move(item.record));
      } else {
        run_.requests.push_back(std::move(item.record));
      }
    }
    if (plan_.poll) Settle(plan_.poll);
    const TimePoint now = Clock::now();
    // A closed loop of so many requests has no end to drain from.
    const bool timed = plan_.schedule != nullptr || plan_.duration.count() > 0;
    const bool over = timed && now > start_ + Duration(times_.end_ns) + plan_.drain_max;
    out_of_time_ = plan_.time_max.count() > 0 && now > start_ + plan_.time_max;
    if ((over || out_of_time_) && !cut_) {
      cut_ = true;
      SendNoMore();
      load_.CutAll(plan_.number);
    }
    load_.display_.Show(progress_.At(now, load_.TokenChunks()), now);
  }

  void SendNoMore() {
    closed_ = true;
    if (tickets_) tickets_->Close();
  }

  // Asks whether there is enough, until there is.
  template <typename Ask, typename... Arguments>
  void Settle(const Ask& ask, const Arguments&... arguments) {
    if (enough_ != Enough::kGoOn) return;
    enough_ = ask(arguments...);
    if (enough_ == Enough::kGoOn) return;
    SendNoMore();
    if (enough_ == Enough::kCut) load_.CutAll(plan_.number);
  }

  void Close(LevelRecord& level) {
    LagMeter lag;
    for (std::size_t i = 0; i < static_cast<std::size_t>(threads_); ++i) {
      const Worker& worker = *load_.workers_[i];
      level.client_cpu_ns += worker.cpu_ns;
      level.unsent += worker.driver->unsent();
      lag.Merge(worker.driver->lag());
    }
    if (plan_.schedule != nullptr) {
      const auto all = std::ssize(plan_.schedule->dues);
      level.scheduled = (all - plan_.part + plan_.parts - 1) / plan_.parts;
    }
    level.cut = enough_ == Enough::kCut || (out_of_time_ && cut_);
    level.in_flight_max = load_.workers_.front()->driver->settings().spending->TakeInFlightMax();
    level.loop_lag_p99_ns = lag.Quantile(0.99);
    level.loop_lag_max_ns = lag.max_ns();
  }

  Load& load_;
  const LevelPlan& plan_;
  const LevelTimes times_;
  const std::ptrdiff_t threads_;
  const TimePoint start_;
  const std::uint64_t first_id_;
  LevelProgress progress_;
  std::optional<Tickets> tickets_;
  std::atomic<bool> closed_ = false;
  Enough enough_ = Enough::kGoOn;
  bool cut_ = false;
  bool out_of_time_ = false;
  Status written_;
  RunRecords run_;
};

Result<RunRecords> Load::RunLevel(const LevelPlan& plan) {
  LevelRun level(*this, plan);
  auto run = level.Run();
  next_id_ += level.ids();
  return run;
}

}  // namespace penstock::bench
