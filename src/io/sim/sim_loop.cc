#include "io/sim/sim_loop.h"

#include <algorithm>
#include <utility>

#include "io/sim/sim_network.h"

namespace penstock::io {

SimLoop::SimLoop(const SimOptions& options)
    : Loop(kStart),
      run_limit_(options.run_limit),
      network_(std::make_unique<SimNetwork>(*this, options)) {}

SimLoop::~SimLoop() = default;

WallTime SimLoop::WallNow() const {
  return kWallStart + wall_jump_ +
         std::chrono::duration_cast<std::chrono::milliseconds>(now_ - kStart);
}

void SimLoop::Run() { last_end_ = Drive(Deadline::After(now_, run_limit_).at(), true); }

void SimLoop::RunFor(Duration duration) {
  const TimePoint end = Deadline::After(now_, duration).at();
  last_end_ = Drive(end, true);
  if (last_end_ == End::kNothingLeft) now_ = end;
}

void SimLoop::RunUntilIdle() { last_end_ = Drive(TimePoint::max(), false); }

void SimLoop::Stop() { stop_.store(true); }

void SimLoop::Post(std::move_only_function<void()> call) {
  const std::scoped_lock lock(posted_mutex_);
  posted_.push_back(std::move(call));
}

Result<std::unique_ptr<Listener>> SimLoop::Listen(const Address& address,
                                                  const ListenOptions& options) {
  return network_->Listen(address, options);
}

Task<Result<std::unique_ptr<Stream>>> SimLoop::Connect(Address address, ConnectOptions options,
                                                       Deadline deadline) {
  return network_->Connect(std::move(address), std::move(options), deadline);
}

Task<Status> SimLoop::WaitReadable(int, Deadline) {
  co_return Fail(Code::kUnsupported, "the simulation has no descriptors to wait for");
}

void SimLoop::At(TimePoint at, std::move_only_function<void()> action) {
  agenda_.emplace(std::max(at, now_), std::move(action));
}

std::uint64_t SimLoop::trace_hash() const { return network_->trace_hash(); }

SimLoop::End SimLoop::Drive(TimePoint limit, bool wait_for_timers) {
  for (;;) {
    if (stop_.exchange(false)) return End::kStopped;
    RunPosted();
    RunReady();
    if (stop_.load() || HasPosted()) continue;

    TimePoint next = agenda_.empty() ? TimePoint::max() : agenda_.begin()->first;
    if (wait_for_timers || !agenda_.empty()) next = std::min(next, NextTimer());
    if (next == TimePoint::max()) return End::kNothingLeft;
    if (next > limit) {
      now_ = limit;
      return End::kTimeLimit;
    }
    now_ = std::max(now_, next);
    if (NextTimer() <= now_) {
      RunTimers(now_);
    } else {
      RunNextAction();
    }
  }
}

bool SimLoop::HasPosted() {
  const std::scoped_lock lock(posted_mutex_);
  return !posted_.empty();
}

void SimLoop::RunPosted() {
  std::vector<std::move_only_function<void()>> calls;
  {
    const std::scoped_lock lock(posted_mutex_);
    calls.swap(posted_);
  }
  for (std::move_only_function<void()>& call : calls) call();
}

void SimLoop::RunNextAction() {
  auto first = agenda_.extract(agenda_.begin());
  first.mapped()();
}

}  // namespace penstock::io
