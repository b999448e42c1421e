#include "bench/agent_fleet.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <iterator>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "bench/agent_identity.h"
#include "bench/level_progress.h"

namespace penstock::bench {
namespace {

constexpr int kClockSamples = 32;
constexpr Duration kClockWaitMax = std::chrono::seconds(5);
// From the order of a level to its start: what the slowest agent needs to get ready.
constexpr Duration kLead = std::chrono::milliseconds(300);
constexpr Duration kTick = std::chrono::milliseconds(250);
constexpr Duration kJudgedTick = std::chrono::milliseconds(40);  // While a judge waits to end it.
// For an agent to take the word that ends its level, and to end it.
constexpr Duration kEndWaitMax = std::chrono::seconds(5);
constexpr Duration kStopGrace = std::chrono::seconds(15);
// Above what a run's own levels use of the ids, so that no agent's later turns meet them.
constexpr std::uint64_t kIdsPerLevel = std::uint64_t{1} << 32;

Error Naming(const std::string& agent, Error error) {
  error.message = fmt::format("agent {}: {}", agent, error.message);
  error.field = "agents";
  return error;
}

}  // namespace

Result<std::unique_ptr<LevelRunner>> AgentFleet::Connect(const BenchOptions& options,
                                                         const Prepared& prepared, TimePoint start,
                                                         RecordsWriter* writer,
                                                         ProgressDisplay& display,
                                                         const std::atomic<bool>& stop) {
  std::unique_ptr<AgentFleet> fleet(new AgentFleet(options, start, writer, display, stop));
  for (const std::string& name : options.agents) {
    const auto colon = name.rfind(':');
    int port = 0;
    if (colon != std::string::npos) port = std::atoi(name.c_str() + colon + 1);
    if (colon == std::string::npos || port < 1 || port > 65535) {
      return Fail(Code::kInvalidArgument, fmt::format("agents: '{}' is not HOST:PORT", name),
                  "agents");
    }
    auto address = io::ResolveBlocking(name.substr(0, colon), static_cast<std::uint16_t>(port));
    if (!address) return Fail(Naming(name, address.error()));
    Machine machine{.name = name,
                    .target = {.address = std::move(*address), .key = options.agent_key}};
    // Orders hold the endpoint's key: between machines they are never sent in the clear.
    if (options.agent_tls || !machine.target.address.IsLoopback()) {
      auto secured = AgentClientTls(options.agent_key);
      if (!secured) return Fail(Naming(name, secured.error()));
      machine.target.tls = std::move(*secured);
    }
    if (auto aligned = fleet->AlignClock(machine); !aligned) {
      return Fail(Naming(name, aligned.error()));
    }
    fleet->machines_.push_back(std::move(machine));
  }
  const auto opened = fleet->AskAll(
      "/session",
      [&](std::size_t index) {
        SessionOrder order{.options = options,
                           .salt = prepared.header.settings.salt,
                           .start_ns = fleet->OnClockOf(fleet->machines_[index], start),
                           .agent = static_cast<int>(index),
                           .agents = static_cast<int>(options.agents.size())};
        // Caps are for the whole run.
        const auto share = static_cast<std::int64_t>(options.agents.size());
        if (options.target.tokens_max > 0) {
          order.options.target.tokens_max =
              std::max<std::int64_t>(options.target.tokens_max / share, 1);
        }
        if (options.target.in_flight_max > 0) {
          order.options.target.in_flight_max =
              std::max(options.target.in_flight_max / static_cast<int>(share), 1);
        }
        order.options.concurrency_max =
            std::max(ConcurrencyMax(options) / static_cast<int>(share) + 1, 1);
        order.options.concurrency.clear();
        // Source addresses are dealt out: no two agents run out of the same one's ports.
        const std::vector<std::string>& sources = options.target.sources;
        order.options.target.sources.clear();
        for (std::size_t i = index; i < sources.size(); i += options.agents.size()) {
          order.options.target.sources.push_back(sources[i]);
        }
        return ToJson(order);
      },
      "agents get ready");
  if (!opened) return Fail(opened.error());
  return std::unique_ptr<LevelRunner>(std::move(fleet));
}

Status AgentFleet::AlignClock(Machine& machine) {
  const AgentQuestion question{.method = "GET", .path = "/clock"};
  AgentCaller caller(machine.target);
  std::vector<ClockSample> samples;
  for (int i = 0; i < kClockSamples; ++i) {
    const TimePoint asked = Clock::now();
    const auto answer = caller.Ask(question, Deadline::After(asked, kClockWaitMax));
    const TimePoint answered = Clock::now();
    if (!answer) return Fail(answer.error());
    const auto agent_ns = ParseClock(*answer);
    if (!agent_ns) return Fail(Code::kUpstream, agent_ns.error().message);
    samples.push_back({.asked_ns = asked.time_since_epoch().count(),
                       .agent_ns = *agent_ns,
                       .answered_ns = answered.time_since_epoch().count()});
  }
  machine.offset = EstimateOffset(samples);
  return {};
}

std::int64_t AgentFleet::OnClockOf(const Machine& machine, TimePoint at) const {
  return at.time_since_epoch().count() + machine.offset.ahead_ns;
}

Result<std::vector<std::string>> AgentFleet::AskAll(
    const std::string& path, const std::function<std::string(std::size_t)>& body,
    const std::string& stage) {
  std::vector<AgentQuestion> questions;
  std::vector<std::unique_ptr<AgentCaller>> callers;
  for (std::size_t i = 0; i < machines_.size(); ++i) {
    questions.push_back({.path = path, .body = body(i)});
    callers.push_back(std::make_unique<AgentCaller>(machines_[i].target));
  }
  std::vector<Result<std::string>> answers(machines_.size());
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t left = machines_.size();
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < machines_.size(); ++i) {
    threads.emplace_back([&, i] {
      answers[i] = callers[i]->Ask(questions[i], Deadline::Never());
      const std::lock_guard lock(mutex);
      --left;
      changed.notify_one();
    });
  }
  const TimePoint begun = Clock::now();
  bool stopped = false;
  for (std::unique_lock lock(mutex); left > 0;) {
    changed.wait_for(lock, kTick, [&left] { return left == 0; });
    const TimePoint now = Clock::now();
    display_.Show({.stage = stage, .elapsed_s = Seconds(now - begun)}, now);
    if (stop_.load(std::memory_order_relaxed) && !std::exchange(stopped, true)) {
      for (const auto& caller : callers) caller->Cancel();
    }
  }
  threads.clear();
  std::vector<std::string> good;
  for (std::size_t i = 0; i < machines_.size(); ++i) {
    if (!answers[i]) return Fail(Naming(machines_[i].name, answers[i].error()));
    good.push_back(std::move(*answers[i]));
  }
  return good;
}

Result<FitReport> AgentFleet::FitPrompts() {
  // The first one asks the server; the others learn from it, so that all prompts are alike.
  std::vector<Machine> first = {machines_.front()};
  std::swap(machines_, first);
  auto answer = AskAll("/fit", [](std::size_t) { return std::string("{}"); }, "fitting prompts");
  std::swap(machines_, first);
  if (!answer) return Fail(answer.error());
  const auto lesson = ParseFitLesson(answer->front());
  if (!lesson) return Fail(Naming(machines_.front().name, lesson.error()));
  const auto learned =
      AskAll("/lesson", [&answer](std::size_t) { return answer->front(); }, "fitting prompts");
  if (!learned) return Fail(learned.error());
  return FitReport{.probes = static_cast<int>(lesson->points.size())};
}

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
    for (bool all = false; !all;) {
      all = WaitForMore();
      if (taken) taken = TakeAll();
      // What one agent tells wrong, no other can make good.
      if (!taken) End(Enough::kCut);
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
    --left_;
    changed_.notify_one();
  }

  // True once every agent has said all.
  bool WaitForMore() {
    std::unique_lock lock(mutex_);
    const Duration tick = plan_.judge ? kJudgedTick : kTick;
    changed_.wait_for(lock, tick, [this] { return left_ == 0; });
    for (const auto& part : parts_) part->text += std::exchange(part->pending, {});
    return left_ == 0;
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

  Result<RunRecords> Finish() {
    std::vector<LevelRecord> levels;
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      const Part& part = *parts_[i];
      // A stop that an agent did not hear of in time is no error.
      if (!part.outcome && !fleet_.stop_.load()) {
        return Fail(Naming(fleet_.machines_[i].name, part.outcome.error()));
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
  std::mutex mutex_;  // Guards the parts' pending text and outcomes, and left_.
  std::condition_variable changed_;
  std::size_t left_ = 0;
};

Result<RunRecords> AgentFleet::RunLevel(const LevelPlan& plan) {
  LevelRun level(*this, plan, Clock::now() + kLead);
  auto run = level.Run();
  next_id_ += kIdsPerLevel;
  return run;
}

}  // namespace penstock::bench
