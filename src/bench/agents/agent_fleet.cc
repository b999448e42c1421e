// Reaching the agents, and asking them all one thing.
#include "bench/agents/agent_fleet.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <utility>

#include "bench/agents/agent_identity.h"
#include "bench/agents/agent_unreached.h"

namespace penstock::bench {
namespace {

constexpr int kClockSamples = 32;
constexpr Duration kClockWaitMax = std::chrono::seconds(5);
constexpr Duration kTick = std::chrono::milliseconds(250);

}  // namespace

Error AgentFleet::Naming(const std::string& agent, Error error) {
  error.message = fmt::format("agent {}: {}", agent, error.message);
  error.field = "agents";
  return error;
}

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
      return Fail(Unreached({.name = name,
                             .address = machine.target.address,
                             .tls = machine.target.tls != nullptr,
                             .with_key = !machine.target.key.empty()},
                            aligned.error()));
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

}  // namespace penstock::bench
