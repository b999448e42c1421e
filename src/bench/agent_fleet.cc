#include "bench/agent_fleet.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <utility>

#include "bench/reply_reader.h"
#include "http/client.h"
#include "io/epoll/epoll_loop.h"
#include "io/task_scope.h"

namespace penstock::bench {
namespace {

constexpr int kClockSamples = 32;
constexpr Duration kClockWaitMax = std::chrono::seconds(5);
// From the order of a level to its start: what the slowest agent needs to get ready.
constexpr Duration kLead = std::chrono::milliseconds(300);
constexpr Duration kTick = std::chrono::milliseconds(250);
constexpr std::size_t kAnswerBytesMax = std::size_t{16} << 30;
// Above what a run's own levels use of the ids, so that no agent's later turns meet them.
constexpr std::uint64_t kIdsPerLevel = std::uint64_t{1} << 32;

struct Question {
  io::Address address;
  std::string key;
  std::string method = "POST";
  std::string path;
  std::string body;
};

// One request on a connection of its own.
class Caller {
 public:
  explicit Caller(const Question& question)
      : client_(loop_), authorization_("Bearer " + question.key) {
    origin_ = {.address = question.address, .connect = {}, .host = question.address.ToString()};
    if (!question.key.empty()) fields_.push_back({"authorization", authorization_});
  }

  Result<std::string> Ask(const Question& question, Deadline deadline) {
    Result<std::string> answer = Fail(Code::kCancelled, "stopped");
    io::RunBlocking(loop_, Run(*this, question, deadline, answer));
    return answer;
  }
  // Any thread: gives up.
  void Cancel() {
    loop_.Post([this] {
      if (scope_ != nullptr) scope_->Stop();
    });
  }

 private:
  static io::Task<void> Run(Caller& caller, const Question& question, Deadline deadline,
                            Result<std::string>& answer) {
    io::TaskScope scope(caller.loop_);
    caller.scope_ = &scope;
    scope.Spawn("ask agent", Exchange(caller, question, deadline, answer));
    co_await scope.Join();
    caller.scope_ = nullptr;
  }

  static io::Task<void> Exchange(Caller& caller, const Question& question, Deadline deadline,
                                 Result<std::string>& answer) {
    auto response = co_await caller.client_.Send(caller.origin_,
                                                 {.method = question.method,
                                                  .target = question.path,
                                                  .content_type = "application/json",
                                                  .body = question.body,
                                                  .fields = caller.fields_},
                                                 deadline);
    if (!response) {
      answer = Fail(response.error());
      co_return;
    }
    const int status = (*response)->status();
    answer = co_await (*response)->ReadAll(kAnswerBytesMax, deadline);
    if (answer && status != 200) {
      answer = Fail(CodeOfHttpStatus(status), ErrorMessageOf(*answer));
    }
  }

  io::EpollLoop loop_;
  http::Client client_;
  http::Origin origin_;
  std::string authorization_;
  std::vector<http::Field> fields_;
  io::TaskScope* scope_ = nullptr;
};

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
    Machine machine{.name = name, .address = std::move(*address)};
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
  const Question question{
      .address = machine.address, .key = options_.agent_key, .method = "GET", .path = "/clock"};
  Caller caller(question);
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
  std::vector<Question> questions;
  std::vector<std::unique_ptr<Caller>> callers;
  for (std::size_t i = 0; i < machines_.size(); ++i) {
    questions.push_back({.address = machines_[i].address,
                         .key = options_.agent_key,
                         .path = path,
                         .body = body(i)});
    callers.push_back(std::make_unique<Caller>(questions.back()));
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

Result<RunRecords> AgentFleet::RunLevel(const LevelPlan& plan) {
  const TimePoint start = Clock::now() + kLead;
  const auto answers = AskAll(
      "/level",
      [&](std::size_t index) {
        return ToJson(LevelOrder{.concurrency = plan.concurrency,
                                 .warmup = plan.warmup,
                                 .measured = plan.measured,
                                 .number = plan.number,
                                 .duration_ns = plan.duration.count(),
                                 .warmup_ns = plan.warmup_time.count(),
                                 .cooldown_ns = plan.cooldown_time.count(),
                                 .drain_ns = plan.drain_max.count(),
                                 .shape_level = plan.number - 1,
                                 .start_ns = OnClockOf(machines_[index], start),
                                 .first_id = next_id_});
      },
      plan.concurrency > 0
          ? fmt::format("concurrency {} on {} agents", plan.concurrency, machines_.size())
          : fmt::format("level {} on {} agents", plan.number, machines_.size()));
  next_id_ += kIdsPerLevel;
  if (!answers) {
    // What the agents had done is lost with them; a stop is no error.
    if (stop_.load()) return RunRecords{};
    return Fail(answers.error());
  }
  auto run = MergeLevels(*answers);
  if (!run) return run;
  for (LevelRecord& level : run->levels) {
    level.concurrency = plan.concurrency;
    if (plan.rate_per_s > 0) level.rate_per_s = plan.rate_per_s;
  }
  if (writer_ == nullptr) return run;
  for (const RequestRecord& record : run->requests) {
    if (auto written = writer_->Append(record); !written) return Fail(written.error());
  }
  for (const LevelRecord& level : run->levels) {
    if (auto written = writer_->Append(level); !written) return Fail(written.error());
  }
  if (auto flushed = writer_->Flush(); !flushed) return Fail(flushed.error());
  return run;
}

}  // namespace penstock::bench
