// For tests: what a background thread posts to the control thread, run when the test says so.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <stdexcept>

namespace penstock::control {

class Posted {
 public:
  std::function<void(std::function<void()>)> Post() {
    return [this](std::function<void()> work) {
      const std::lock_guard lock(mutex_);
      work_.push_back(std::move(work));
      wake_.notify_all();
    };
  }
  void RunAll() {
    while (RunOne()) {
    }
  }
  // Runs what comes until `done`; gives up after half a minute.
  void RunUntil(const std::function<bool()>& done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!done()) {
      if (RunOne()) continue;
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, std::chrono::milliseconds(5), [this] { return !work_.empty(); });
      if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("waited in vain");
    }
  }
  // Waits for something that another thread does.
  void Await(const std::function<bool()>& done) { RunUntil(done); }

 private:
  bool RunOne() {
    std::function<void()> work;
    {
      const std::lock_guard lock(mutex_);
      if (work_.empty()) return false;
      work = std::move(work_.front());
      work_.pop_front();
    }
    work();
    return true;
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> work_;
};

}  // namespace penstock::control
