// Event: a flag that tasks of one loop wait for. Other threads set it through Loop::Post.
#pragma once

#include <coroutine>

#include "base/clock.h"
#include "base/result.h"
#include "io/op.h"
#include "io/timer_wheel.h"

namespace penstock::io {

class Event {
 public:
  explicit Event(Loop& loop) : loop_(loop) {}
  ~Event() { CHECK(waiters_ == nullptr, "an event with waiters is destroyed"); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  // Sets the flag and wakes all who wait. They run on the loop's next turn.
  void Set();
  void Reset() { set_ = false; }
  bool is_set() const { return set_; }

  class [[nodiscard]] WaitOp final : public Op, private Timer {
   public:
    WaitOp(Event& event, Deadline deadline) : event_(event), deadline_(deadline) {}
    bool await_ready() const { return false; }
    template <typename Promise>
    bool await_suspend(std::coroutine_handle<Promise> handle) {
      if (Cancelled(handle)) {
        outcome_ = Outcome::kCancelled;
        return false;
      }
      if (event_.set_) return false;
      Suspend(handle);
      Enlist();
      return true;
    }
    Status await_resume() const { return ToStatus(outcome_, "wait"); }

   private:
    friend class Event;
    void Enlist();
    void Finish(Outcome outcome);
    void OnCancel() override { Finish(Outcome::kCancelled); }
    void OnTimer(TimePoint) override { Finish(Outcome::kDeadline); }

    Event& event_;
    Deadline deadline_;
    Outcome outcome_ = Outcome::kDone;
    WaitOp* next_ = nullptr;
    WaitOp** link_ = nullptr;
  };

  // Status: done, kDeadline or kCancelled. The flag stays set until Reset().
  WaitOp Wait(Deadline deadline) { return WaitOp(*this, deadline); }

 private:
  Loop& loop_;
  WaitOp* waiters_ = nullptr;  // Newest first.
  bool set_ = false;
};

}  // namespace penstock::io
