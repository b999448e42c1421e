// BackgroundJobs: what takes long (converting, pulling, calibrating), one after the other on a
// thread of its own, with its progress to be looked at.
//
// Start(), List() and Find() on the control thread. One job runs at a time: two conversions would
// share the disk, and two calibrations would measure each other.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace penstock::control {

inline constexpr std::size_t kJobsWaitingMax = 64;
inline constexpr std::size_t kJobsKeptMax = 100;  // Ended ones; older ones are forgotten.

enum class JobState { kQueued, kRunning, kDone, kFailed };
std::string_view ToString(JobState state);  // "QUEUED", "RUNNING", "DONE", "FAILED"

struct JobView {
  std::uint64_t id = 0;
  std::string kind{};     // "convert", "pull", "calibrate"
  std::string subject{};  // "main.demo.tiny/1"
  JobState state = JobState::kQueued;
  std::string stage{};    // What it does just now.
  std::int64_t done = 0;  // Of `all`: bytes, or requests.
  std::int64_t all = 0;   // 0: not known.
  std::string message{};  // Why it failed.
};

// What a job's work is given; any thread.
class JobHandle {
 public:
  virtual ~JobHandle() = default;
  // The job shall end: its result is then of no use.
  virtual const std::atomic<bool>& stop() const = 0;
  virtual void Report(const std::string& stage, std::int64_t done, std::int64_t all) = 0;
};

class BackgroundJobs {
 public:
  // `post` runs a function on the control thread, later; called from the job's thread.
  explicit BackgroundJobs(std::function<void(std::function<void()>)> post);
  // Asks the running job to stop and waits for it. Those that wait never run.
  ~BackgroundJobs();
  BackgroundJobs(const BackgroundJobs&) = delete;
  BackgroundJobs& operator=(const BackgroundJobs&) = delete;

  struct Job {
    std::string kind{};
    std::string subject{};
    std::function<Status(JobHandle&)> work{};     // On the job's thread; may block.
    std::function<void(const Status&)> on_end{};  // On the control thread, while this lives.
  };
  // kExhausted: kJobsWaitingMax wait already.
  Result<std::uint64_t> Start(Job job);

  std::vector<JobView> List() const;  // The newest first.
  // The newest of this kind and subject.
  std::optional<JobView> Find(std::string_view kind, std::string_view subject) const;
  // One that waits or runs.
  bool IsActive(std::string_view kind, std::string_view subject) const;

 private:
  struct Entry;
  class Handle;
  void Work();
  void End(const std::shared_ptr<Entry>& entry, Status result);

  std::function<void(std::function<void()>)> post_;
  mutable std::mutex mutex_;  // Over the three below and all views.
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Entry>> waiting_;
  std::deque<std::shared_ptr<Entry>> entries_;  // All that are known, the newest first.
  std::uint64_t next_id_ = 1;
  std::atomic<bool> stop_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // Of the control thread.
  std::jthread thread_;
};

}  // namespace penstock::control
