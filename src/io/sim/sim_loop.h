// SimLoop: the simulated twin of EpollLoop: a virtual clock, and a network in memory with faults.
//
// Time stands still while tasks run and jumps to the next thing that happens. A program that stays
// on the loop's thread has the same history for the same SimOptions, which trace_hash() proves.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "io/loop.h"
#include "io/sim/sim_options.h"

namespace penstock::io {

class SimNetwork;

class SimLoop final : public Loop {
 public:
  // The clocks of every simulation start here.
  static constexpr TimePoint kStart{std::chrono::hours(1)};
  static constexpr WallTime kWallStart{std::chrono::sys_days{std::chrono::year{2026} / 1 / 1}};

  // Why a run came to its end.
  enum class End {
    kStopped,
    kNothingLeft,  // No task can ever run again: a deadlock, unless none is left.
    kTimeLimit,
  };

  explicit SimLoop(const SimOptions& options = {});
  ~SimLoop() override;

  TimePoint Now() const override { return now_; }
  WallTime WallNow() const override;
  // Somebody sets the system's clock; the monotonic one does not notice.
  void JumpWallClock(std::chrono::milliseconds by) { wall_jump_ += by; }

  // Until Stop(), until nothing can happen any more, or for SimOptions::run_limit; see last_end().
  void Run() override;
  End last_end() const { return last_end_; }
  // Runs what happens in the next `duration`; the clock then stands at its end, unless stopped.
  void RunFor(Duration duration);
  // Runs until no task is ready and nothing is on its way through the network. Sleeps and deadlines
  // due before the last delivery end; the others go on.
  void RunUntilIdle();

  void Stop() override;
  void Post(std::move_only_function<void()> call) override;

  // TLS answers kUnsupported; so does WaitReadable().
  Result<std::unique_ptr<Listener>> Listen(const Address& address,
                                           const ListenOptions& options) override;
  Task<Result<std::unique_ptr<Stream>>> Connect(Address address, ConnectOptions options,
                                                Deadline deadline) override;
  Task<Status> WaitReadable(int descriptor, Deadline deadline) override;

  // Calls `action` when the clock shows `at` (soon, if that is past), after the other actions of
  // that moment. Not from a task's frame: from the loop itself.
  void At(TimePoint at, std::move_only_function<void()> action);

  // Where faults are ordered.
  SimNetwork& network() { return *network_; }
  // A fingerprint of all that happened on the network so far, moments included.
  std::uint64_t trace_hash() const;

 private:
  End Drive(TimePoint limit, bool wait_for_timers);
  bool HasPosted();
  void RunPosted();
  void RunNextAction();

  std::chrono::milliseconds wall_jump_{};
  TimePoint now_ = kStart;
  Duration run_limit_;
  End last_end_ = End::kNothingLeft;
  std::unique_ptr<SimNetwork> network_;  // Outlives the agenda, whose actions point at it.
  std::multimap<TimePoint, std::move_only_function<void()>> agenda_;
  std::atomic<bool> stop_ = false;
  std::mutex posted_mutex_;  // Post() may come from any thread.
  std::vector<std::move_only_function<void()>> posted_;
};

}  // namespace penstock::io
