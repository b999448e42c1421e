#include "control/background_jobs.h"

#include <fmt/format.h>

#include <utility>

namespace penstock::control {

std::string_view ToString(JobState state) {
  switch (state) {
    case JobState::kQueued:
      return "QUEUED";
    case JobState::kRunning:
      return "RUNNING";
    case JobState::kDone:
      return "DONE";
    case JobState::kFailed:
      return "FAILED";
  }
  return "";
}

struct BackgroundJobs::Entry {
  Job job;
  JobView view;
};

class BackgroundJobs::Handle : public JobHandle {
 public:
  Handle(BackgroundJobs& jobs, Entry& entry) : jobs_(jobs), entry_(entry) {}
  const std::atomic<bool>& stop() const override { return jobs_.stop_; }
  void Report(const std::string& stage, std::int64_t done, std::int64_t all) override {
    const std::lock_guard lock(jobs_.mutex_);
    entry_.view.stage = stage;
    entry_.view.done = done;
    entry_.view.all = all;
  }

 private:
  BackgroundJobs& jobs_;
  Entry& entry_;
};

BackgroundJobs::BackgroundJobs(std::function<void(std::function<void()>)> post)
    : post_(std::move(post)), thread_([this] { Work(); }) {}

BackgroundJobs::~BackgroundJobs() {
  *alive_ = false;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    waiting_.clear();
  }
  stop_.notify_all();
  wake_.notify_all();
  thread_.join();
}

Result<std::uint64_t> BackgroundJobs::Start(Job job) {
  auto entry = std::make_shared<Entry>();
  const std::lock_guard lock(mutex_);
  if (waiting_.size() >= kJobsWaitingMax) {
    return Fail(
        Code::kExhausted,
        fmt::format("{} jobs wait already, the most that may: try again later", kJobsWaitingMax));
  }
  entry->view = {.id = next_id_++, .kind = job.kind, .subject = job.subject};
  entry->job = std::move(job);
  waiting_.push_back(entry);
  entries_.push_front(entry);
  while (entries_.size() > kJobsKeptMax + waiting_.size() + 1) entries_.pop_back();
  wake_.notify_all();
  return entry->view.id;
}

std::vector<JobView> BackgroundJobs::List() const {
  const std::lock_guard lock(mutex_);
  std::vector<JobView> views;
  for (const auto& entry : entries_) views.push_back(entry->view);
  return views;
}

std::optional<JobView> BackgroundJobs::Find(std::string_view kind, std::string_view subject) const {
  const std::lock_guard lock(mutex_);
  for (const auto& entry : entries_) {
    if (entry->view.kind == kind && entry->view.subject == subject) return entry->view;
  }
  return std::nullopt;
}

bool BackgroundJobs::IsActive(std::string_view kind, std::string_view subject) const {
  const auto found = Find(kind, subject);
  return found && (found->state == JobState::kQueued || found->state == JobState::kRunning);
}

void BackgroundJobs::Work() {
  for (;;) {
    std::shared_ptr<Entry> entry;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
      if (stop_) return;
      entry = waiting_.front();
      waiting_.pop_front();
      entry->view.state = JobState::kRunning;
    }
    Handle handle(*this, *entry);
    Status result = entry->job.work(handle);
    End(entry, std::move(result));
  }
}

// The view says so only once the control thread has taken it in: whoever sees a job's end also sees
// its effect.
void BackgroundJobs::End(const std::shared_ptr<Entry>& entry, Status result) {
  post_([this, alive = alive_, entry, result = std::move(result)] {
    if (!*alive) return;
    entry->job.on_end(result);
    const std::lock_guard lock(mutex_);
    entry->view.state = result ? JobState::kDone : JobState::kFailed;
    entry->view.message = result ? "" : result.error().message;
    entry->view.stage.clear();
    entry->job = {};
  });
}

}  // namespace penstock::control
