// TaskScope: owns running tasks. Nothing runs that no scope owns.
#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <string>

#include "io/event.h"
#include "io/loop.h"
#include "io/task.h"

namespace penstock::io {

class TaskScope {
 public:
  // Told the task's name and its exception when a task throws. Must not throw.
  using OnFailure = std::function<void(const std::string& task, const std::exception_ptr& failure)>;

  // Without `on_failure`, an exception is logged as an error.
  explicit TaskScope(Loop& loop, OnFailure on_failure = {});
  ~TaskScope();  // REQUIRES: no task is left (await Join() first).

  TaskScope(const TaskScope&) = delete;
  TaskScope& operator=(const TaskScope&) = delete;

  // Starts `task` on the loop's next turn. `name` is a literal, or lives as long. Returns false,
  // dropping it unstarted, once Stop() was called.
  bool Spawn(const char* name, Task<void> task);

  // Refuses new tasks and asks the running ones to end. Returns at once; may be repeated.
  void Stop();

  // Completes when no task is left. Stop() is not implied. Ignores cancellation of the caller,
  // since tasks must not outlive their scope.
  Task<void> Join();

  std::size_t size() const { return size_; }
  bool stopped() const { return stopped_; }
  Loop& loop() const { return loop_; }

 private:
  struct Node;  // One running root.
  struct Root;
  static Root RunRoot(TaskScope& scope, const char* name, Task<void> task);
  void Report(const std::string& name, const std::exception_ptr& failure) const;

  Loop& loop_;
  OnFailure on_failure_;
  Event empty_;
  Node* first_ = nullptr;  // Newest first; the nodes live in the roots' frames.
  std::size_t size_ = 0;
  bool stopped_ = false;
};

// Runs `task` on `loop` and blocks the calling thread until it ends: for main(), commands and
// tests. The loop must not be running.
void RunBlocking(Loop& loop, Task<void> task);

}  // namespace penstock::io
