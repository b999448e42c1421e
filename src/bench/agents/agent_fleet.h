// AgentFleet: load machines as one LevelRunner: splits each level over them, and merges what they
// give back. Blocks; a thread per agent while something is asked of all.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "bench/agents/agent_caller.h"
#include "bench/agents/agent_protocol.h"
#include "bench/drive/level_runner.h"
#include "bench/drive/prepare.h"
#include "bench/drive/progress_display.h"
#include "bench/record/records_file.h"
#include "io/address.h"

namespace penstock::bench {

class AgentFleet : public LevelRunner {
 public:
  // Reaches every agent, sets the clocks, and opens a session on each. `start`: the run's, which
  // records count from. `writer` may be null; it, `display` and `stop` outlive the fleet. Errors:
  // kUnavailable and others, naming the agent.
  static Result<std::unique_ptr<LevelRunner>> Connect(const BenchOptions& options,
                                                      const Prepared& prepared, TimePoint start,
                                                      RecordsWriter* writer,
                                                      ProgressDisplay& display,
                                                      const std::atomic<bool>& stop);

  Result<FitReport> FitPrompts() override;
  Result<RunRecords> RunLevel(const LevelPlan& plan) override;

 private:
  struct Machine {
    std::string name;  // As --agents has it.
    AgentTarget target;
    ClockOffset offset{};
  };
  class LevelRun;

  AgentFleet(const BenchOptions& options, TimePoint start, RecordsWriter* writer,
             ProgressDisplay& display, const std::atomic<bool>& stop)
      : options_(options), start_(start), writer_(writer), display_(display), stop_(stop) {}

  // An agent's error, which tells whose it is.
  static Error Naming(const std::string& agent, Error error);
  // Asks every agent at once; `body` makes what is sent to each. The answers are in their order.
  // Errors: the first agent's that failed, naming it.
  Result<std::vector<std::string>> AskAll(const std::string& path,
                                          const std::function<std::string(std::size_t)>& body,
                                          const std::string& stage);
  Status AlignClock(Machine& machine);
  std::string LevelOf(const LevelPlan& plan, const Machine& machine, TimePoint start) const;
  std::int64_t OnClockOf(const Machine& machine, TimePoint at) const;

  const BenchOptions& options_;
  TimePoint start_;
  RecordsWriter* writer_;  // Borrowed; may be null.
  ProgressDisplay& display_;
  const std::atomic<bool>& stop_;
  std::vector<Machine> machines_;
  std::uint64_t next_id_ = 0;
};

}  // namespace penstock::bench
