// Task<T>: a lazy coroutine, awaited once, by one owner.
//
// A chain of awaited tasks hangs on one root, which a TaskScope owns; the root's TaskState says
// whether the chain was asked to end and what it is suspended on. Cancelling resumes that await
// with Code::kCancelled, and every later await fails the same way, so a chain unwinds by returning.
// Frames are never destroyed while suspended. Everything here belongs to one loop's thread.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

#include "base/check.h"
#include "io/frames.h"

namespace penstock::io {

class Op;

// What the awaits of one root task share. Lives as long as the root.
class TaskState {
 public:
  TaskState() = default;
  TaskState(const TaskState&) = delete;
  TaskState& operator=(const TaskState&) = delete;

  // Asks the task to end: its present await, and all later ones, return Code::kCancelled. Returns
  // at once (the task is resumed by its loop); may be repeated.
  void Cancel();

  // The same for a while: until GoOn(), which takes back nothing but this.
  void Interrupt();
  void GoOn() { interrupted_ = false; }

  // True once Cancel() was called, or between Interrupt() and GoOn(), unless a Shield is alive.
  bool cancelled() const { return (cancelled_ || interrupted_) && shields_ == 0; }

 private:
  friend class Op;
  friend class Shield;
  Op* pending_ = nullptr;  // Borrowed: the await that the chain is suspended on.
  int shields_ = 0;
  bool cancelled_ = false;
  bool interrupted_ = false;
};

// While it lives, awaits of this task ignore cancellation: for the few last words of a task that
// was asked to end (such as writing its usage). Give those awaits a deadline.
class Shield {
 public:
  explicit Shield(TaskState& state) : state_(state) { ++state_.shields_; }
  ~Shield() { --state_.shields_; }
  Shield(const Shield&) = delete;
  Shield& operator=(const Shield&) = delete;

 private:
  TaskState& state_;
};

namespace internal {

struct FinalAwaiter {
  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> ended) const noexcept {
    return ended.promise().continuation;
  }
  void await_resume() const noexcept {}
};

struct PromiseBase : InFrames {
  std::coroutine_handle<> continuation = std::noop_coroutine();
  TaskState* state = nullptr;  // Borrowed from the root; set when awaited.
  std::exception_ptr failure;

  std::suspend_always initial_suspend() noexcept { return {}; }
  FinalAwaiter final_suspend() noexcept { return {}; }
  void unhandled_exception() noexcept { failure = std::current_exception(); }
};

template <typename T>
struct Promise : PromiseBase {
  std::optional<T> value;
  template <typename U>
  void return_value(U&& returned) {
    value.emplace(std::forward<U>(returned));
  }
  T Take() {
    if (failure) std::rethrow_exception(failure);
    return std::move(*value);
  }
};

template <>
struct Promise<void> : PromiseBase {
  void return_void() noexcept {}
  void Take() const {
    if (failure) std::rethrow_exception(failure);
  }
};

}  // namespace internal

template <typename T>
class [[nodiscard]] Task {
 public:
  struct promise_type : internal::Promise<T> {
    Task get_return_object() {
      return Task(std::coroutine_handle<promise_type>::from_promise(*this));
    }
  };

  // None: to be assigned before it is awaited.
  Task() = default;
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  class Awaiter {
   public:
    explicit Awaiter(std::coroutine_handle<promise_type> child) : child_(child) {}
    bool await_ready() const noexcept { return false; }
    template <typename Parent>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Parent> parent) const noexcept {
      child_.promise().continuation = parent;
      child_.promise().state = parent.promise().state;
      return child_;
    }
    T await_resume() const { return child_.promise().Take(); }

   private:
    std::coroutine_handle<promise_type> child_;
  };

  explicit operator bool() const { return static_cast<bool>(handle_); }

  // Runs the task inside the awaiting chain and gives its value, or throws what it threw.
  Awaiter operator co_await() && noexcept {
    CHECK(handle_, "a task is awaited once");
    return Awaiter(handle_);
  }

 private:
  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  std::coroutine_handle<promise_type> handle_ = nullptr;
};

// `TaskState& state = co_await ThisTask();` Valid as long as the root task runs.
struct ThisTask {
  TaskState* state = nullptr;
  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle) noexcept {
    state = handle.promise().state;
    return false;
  }
  TaskState& await_resume() const noexcept { return *state; }
};

}  // namespace penstock::io
