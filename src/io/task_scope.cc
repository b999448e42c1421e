#include "io/task_scope.h"

#include <utility>

#include "base/log.h"

namespace penstock::io {

struct TaskScope::Node {
  explicit Node(TaskScope& owner) : scope(owner), next(owner.first_) {
    if (next != nullptr) next->previous = this;
    scope.first_ = this;
    ++scope.size_;
  }
  ~Node() {
    (previous == nullptr ? scope.first_ : previous->next) = next;
    if (next != nullptr) next->previous = previous;
    if (--scope.size_ == 0) scope.empty_.Set();
  }
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  TaskScope& scope;
  TaskState own;
  Node* next;
  Node* previous = nullptr;
};

// The coroutine at the bottom of every chain. Its frame frees itself when the task has ended.
struct TaskScope::Root {
  struct promise_type : Node {
    promise_type(TaskScope& owner, const char*, const Task<void>&) : Node(owner) {}
    Root get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }  // RunRoot catches all.

    TaskState* state = &own;
  };
  std::coroutine_handle<promise_type> handle;
};

TaskScope::TaskScope(Loop& loop, OnFailure on_failure)
    : loop_(loop), on_failure_(std::move(on_failure)), empty_(loop) {
  empty_.Set();
}

TaskScope::~TaskScope() { CHECK(size_ == 0, "a scope is destroyed before its tasks ended"); }

TaskScope::Root TaskScope::RunRoot(TaskScope& scope, const char* name, Task<void> task) {
  try {
    co_await std::move(task);
  } catch (...) {
    scope.Report(name, std::current_exception());
  }
}

void TaskScope::Report(const std::string& name, const std::exception_ptr& failure) const {
  if (on_failure_) {
    on_failure_(name, failure);
    return;
  }
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& exception) {
    Log().error("task {} threw: {}", name, exception.what());
  } catch (...) {
    Log().error("task {} threw something that is no exception", name);
  }
}

bool TaskScope::Spawn(const char* name, Task<void> task) {
  if (stopped_) return false;
  empty_.Reset();
  loop_.Schedule(RunRoot(*this, name, std::move(task)).handle);
  return true;
}

void TaskScope::Stop() {
  stopped_ = true;
  for (Node* root = first_; root != nullptr; root = root->next) root->own.Cancel();
}

Task<void> TaskScope::Join() {
  const Shield shield(co_await ThisTask());
  while (size_ != 0) {
    const Status ended = co_await empty_.Wait(Deadline::Never());
    CHECK(ended, "a shielded wait without deadline can only be done");
  }
}

namespace {

Task<void> StopLoopAfter(Loop& loop, Task<void> task, std::exception_ptr& failure) {
  try {
    co_await std::move(task);
  } catch (...) {
    failure = std::current_exception();
  }
  loop.Stop();
}

}  // namespace

void RunBlocking(Loop& loop, Task<void> task) {
  std::exception_ptr failure;
  TaskScope scope(loop);
  scope.Spawn("main", StopLoopAfter(loop, std::move(task), failure));
  loop.Run();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace penstock::io
