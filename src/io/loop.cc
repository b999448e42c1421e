#include "io/loop.h"

#include <algorithm>

namespace penstock::io {

bool SleepOp::IsPast() const { return until_ <= loop_.Now(); }

void SleepOp::Enlist() { place_ = loop_.sleepers_.emplace(until_, this); }

void SleepOp::OnCancel() {
  loop_.sleepers_.erase(place_);
  outcome_ = Outcome::kCancelled;
  loop_.Schedule(Complete());
}

Loop::Loop(TimePoint start)
    : wheel_(start), scratch_(std::make_unique<char[]>(kScratchSize + kScratchSpare)) {}

Loop::~Loop() { CHECK(sleepers_.empty(), "a loop ends before the tasks on it"); }

void Loop::RunReady() {
  while (!ready_.empty()) {
    running_.swap(ready_);
    for (const std::coroutine_handle<> handle : running_) handle.resume();
    running_.clear();
  }
}

void Loop::RunTimers(TimePoint now) {
  while (!sleepers_.empty() && sleepers_.begin()->first <= now) {
    SleepOp* sleeper = sleepers_.begin()->second;
    sleepers_.erase(sleepers_.begin());
    Schedule(sleeper->Complete());
  }
  wheel_.Advance(now);
}

TimePoint Loop::NextTimer() const {
  const TimePoint wheel = wheel_.NextWake();
  return sleepers_.empty() ? wheel : std::min(wheel, sleepers_.begin()->first);
}

}  // namespace penstock::io
