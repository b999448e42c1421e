// Op: the base of everything a task can be suspended on.
//
// An awaitable lives in the awaiting frame. It either answers at once or suspends; then exactly one
// of three things ends it: its source completes it, its deadline passes, or its task is cancelled.
#pragma once

#include <coroutine>
#include <cstddef>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "io/task.h"

namespace penstock::io {

class Loop;

class Op {
 public:
  Op(const Op&) = delete;
  Op& operator=(const Op&) = delete;

 protected:
  Op() = default;
  ~Op() = default;

  // The awaiting task was cancelled already: the await must answer so without suspending.
  template <typename Promise>
  static bool Cancelled(std::coroutine_handle<Promise> handle) {
    return handle.promise().state->cancelled();
  }

  // Suspends: from now on the task's cancellation finds this op.
  template <typename Promise>
  void Suspend(std::coroutine_handle<Promise> handle) {
    handle_ = handle;
    state_ = handle.promise().state;
    state_->pending_ = this;
  }

  // Ends the suspension and gives the handle that the caller must resume or schedule.
  std::coroutine_handle<> Complete() {
    state_->pending_ = nullptr;
    return handle_;
  }

 private:
  friend class TaskState;
  // The task was cancelled: leave the source, note the outcome, Complete() and schedule.
  virtual void OnCancel() = 0;

  std::coroutine_handle<> handle_;
  TaskState* state_ = nullptr;
};

inline void TaskState::Cancel() {
  cancelled_ = true;
  if (pending_ != nullptr && shields_ == 0) pending_->OnCancel();
}

inline void TaskState::Interrupt() {
  interrupted_ = true;
  if (pending_ != nullptr && shields_ == 0) pending_->OnCancel();
}

// How an await on a source without a value of its own ended.
enum class Outcome { kDone, kDeadline, kCancelled };
inline Status ToStatus(Outcome outcome, const char* what) {
  if (outcome == Outcome::kDone) return {};
  if (outcome == Outcome::kDeadline)
    return Fail(Code::kDeadline, std::string(what) + ": deadline passed");
  return Fail(Code::kCancelled, std::string(what) + ": cancelled");
}

}  // namespace penstock::io
