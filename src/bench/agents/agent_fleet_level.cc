// A level on all agents at once: what each is told, and what they send back as it comes.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <iterator>
#include <mutex>
#include <optional>
#include <thread>
#include <tuple>
#include <utility>

#include "bench/agents/agent_fleet.h"
#include "bench/drive/level_progress.h"

namespace penstock::bench {
namespace {

// From the order of a level to its start: what the slowest agent needs to get ready.
constexpr Duration kLead = std::chrono::milliseconds(300);
constexpr Duration kTick = std::chrono::milliseconds(250);
constexpr Duration kJudgedTick = std::chrono::milliseconds(40);  // While a judge waits to end it.
// For an agent to take the word that ends its level, and to end it.
constexpr Duration kEndWaitMax = std::chrono::seconds(5);
constexpr Duration kStopGrace = std::chrono::seconds(15);
// Above what a run's own levels use of the ids, so that no agent's later turns meet them.
constexpr std::uint64_t kIdsPerLevel = std::uint64_t{1} << 32;

}  // namespace

std::string AgentFleet::LevelOf(const LevelPlan& plan, const Machine& machine,
                                TimePoint start) const {
  return ToJson(LevelOrder{.concurrency = plan.concurrency,
                           .warmup = plan.warmup,
                           .measured = plan.measured,
                           .number = plan.number,
                           .duration_ns = plan.duration.count(),
                           .warmup_ns = plan.warmup_time.count(),
                           .cooldown_ns = plan.cooldown_time.count(),
                           .drain_ns = plan.drain_max.count(),
                           .draw = plan.draw,
                           .scout = plan.scout,
                           .repeats = plan.repeats,
                           .start_ns = OnClockOf(machine, start),
                           .first_id = next_id_});
}

// One call of RunLevel(): listens to all agents at once, and takes what they send as it comes.
class AgentFleet::LevelRun {
 public:
  LevelRun(AgentFleet& fleet, const LevelPlan& plan, TimePoint start)
      : fleet_(fleet), plan_(plan), start_(start), progress_(plan, start, 0) {
    for (const Machine& machine : fleet.machines_) {
      Part& part = *parts_.emplace_back(std::make_unique<Part>());
      part.caller = std::make_unique<AgentCaller>(machine.target);
      part.question = {.path = "/level", .body = fleet.LevelOf(plan, machine, start)};
    }
  }

  Result<RunRecords> Run() {
    std::vector<std::jthread> threads;
    left_ = parts_.size();
    for (const auto& part : parts_) threads.emplace_back([this, &part] { Listen(*part); });
    Status taken;
    for (bool all = false, lost = false; !all;) {
      std::tie(all, lost) = WaitForMore();
      if (taken) taken = TakeAll();
      // What one agent tells wrong, or not at all, no other can make good.
      if (!taken || lost) End(Enough::kCut);
      Watch();
    }
    threads.clear();
    enders_.clear();
    return taken ? Finish() : Result<RunRecords>(Fail(taken.error()));
  }

 private:
  struct Part {
    std::unique_ptr<AgentCaller> caller;
    AgentQuestion question;
    std::string pending;  // Guarded by mutex_: what came and was not taken yet.
    std::string text;     // What was taken and is no whole line yet.
    Status outcome;
    std::vector<LevelRecord> levels;
  };

  // A thread of its own.
  void Listen(Part& part) {
    const Status told =
        part.caller->Follow(part.question, Deadline::Never(), [&](std::string_view piece) {
          const std::lock_guard lock(mutex_);
          part.pending += piece;
        });
    const std::lock_guard lock(mutex_);
    part.outcome = told;
    lost_ = lost_ || !told;
    --left_;
    changed_.notify_one();
  }

  // Whether every agent has said all, and whether one has failed.
  std::pair<bool, bool> WaitForMore() {
    std::unique_lock lock(mutex_);
    const Duration tick = plan_.judge ? kJudgedTick : kTick;
    changed_.wait_for(lock, tick, [this] { return left_ == 0; });
    for (const auto& part : parts_) part->text += std::exchange(part->pending, {});
    return {left_ == 0, lost_};
  }

  Status TakeAll() {
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      Part& part = *parts_[i];
      auto lines = TakeLines(part.text);
      if (!lines) return Fail(Naming(fleet_.machines_[i].name, lines.error()));
      std::ranges::move(lines->levels, std::back_inserter(part.levels));
      for (RequestRecord& record : lines->requests) {
        if (auto kept = Keep(record); !kept) return kept;
      }
    }
    if (fleet_.writer_ == nullptr) return {};
    return fleet_.writer_->Flush();
  }

  Status Keep(RequestRecord& record) {
    chunks_ += record.chunks;
    progress_.Add(record);
    if (plan_.judge && enough_ == Enough::kGoOn) {
      if (const Enough enough = plan_.judge(record); enough != Enough::kGoOn) End(enough);
    }
    const Status written = fleet_.writer_ == nullptr ? Status{} : fleet_.writer_->Append(record);
    run_.requests.push_back(std::move(record));
    return written;
  }

  // Time, the user, and the display.
  void Watch() {
    const TimePoint now = Clock::now();
    const bool late = plan_.time_max.count() > 0 && now > start_ + plan_.time_max;
    if (late) End(Enough::kCut);
    if (fleet_.stop_.load(std::memory_order_relaxed)) {
      End(Enough::kCut);
      if (!stopped_) stopped_ = now;
      if (now > *stopped_ + kStopGrace) {
        for (const auto& part : parts_) part->caller->Cancel();
      }
    }
    ProgressState state = progress_.At(now, chunks_);
    state.stage += fmt::format(" on {} agents", parts_.size());
    fleet_.display_.Show(state, now);
  }

  // Tells all agents once, beside what goes on.
  void End(Enough enough) {
    if (enough_ != Enough::kGoOn) return;
    enough_ = enough;
    for (const Machine& machine : fleet_.machines_) {
      enders_.emplace_back([target = machine.target, cut = enough == Enough::kCut] {
        AgentCaller caller(target);
        static_cast<void>(caller.Ask({.path = "/level/end", .body = EndJson(cut)},
                                     Deadline::After(Clock::now(), kEndWaitMax)));
      });
    }
  }

  // What became of a level that an agent did not see through.
  Error GoneWithin(Error error) const {
    const bool gone = error.code == Code::kClosed || error.code == Code::kUpstream ||
                      error.code == Code::kUnavailable;
    if (!gone) return error;
    error.message = fmt::format(
        "it went away within a level ({}): see what it said there, and start it again; {}",
        error.message,
        fleet_.writer_ == nullptr ? "with --records what came until then would be kept"
                                  : "what came until then is in the records file");
    return error;
  }

  Result<RunRecords> Finish() {
    std::vector<LevelRecord> levels;
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      const Part& part = *parts_[i];
      // A stop that an agent did not hear of in time is no error.
      if (!part.outcome && !fleet_.stop_.load()) {
        return Fail(Naming(fleet_.machines_[i].name, GoneWithin(part.outcome.error())));
      }
      levels.insert(levels.end(), part.levels.begin(), part.levels.end());
    }
    if (levels.empty()) return std::move(run_);
    LevelRecord level = MergedLevel(levels);
    level.concurrency = plan_.concurrency;
    if (plan_.rate_per_s > 0) level.rate_per_s = plan_.rate_per_s;
    level.cut = level.cut || (enough_ == Enough::kCut && !stopped_);
    run_.levels.push_back(level);
    if (fleet_.writer_ == nullptr) return std::move(run_);
    if (auto written = fleet_.writer_->Append(level); !written) return Fail(written.error());
    if (auto flushed = fleet_.writer_->Flush(); !flushed) return Fail(flushed.error());
    return std::move(run_);
  }

  AgentFleet& fleet_;
  const LevelPlan& plan_;
  const TimePoint start_;
  LevelProgress progress_;
  std::int64_t chunks_ = 0;
  Enough enough_ = Enough::kGoOn;
  std::optional<TimePoint> stopped_;
  std::vector<std::unique_ptr<Part>> parts_;
  std::vector<std::jthread> enders_;
  RunRecords run_;
  std::mutex mutex_;  // Guards the parts' pending text and outcomes, left_ and lost_.
  std::condition_variable changed_;
  std::size_t left_ = 0;
  bool lost_ = false;  // An agent failed.
};

Result<RunRecords> AgentFleet::RunLevel(const LevelPlan& plan) {
  LevelRun level(*this, plan, Clock::now() + kLead);
  auto run = level.Run();
  next_id_ += kIdsPerLevel;
  return run;
}

}  // namespace penstock::bench
