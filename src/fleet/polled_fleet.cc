#include "fleet/polled_fleet.h"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/log.h"

namespace penstock::fleet {
namespace {

// A list that was made while one started may not have it yet.
constexpr int kMissingMax = 2;

// One that is listed so often without being anybody's is a former server's.
constexpr int kStrangerMax = 3;
// So long after the start, orders of a former server may still turn up.
constexpr Duration kWatchForStrangers = std::chrono::seconds(60);

}  // namespace

Result<std::unique_ptr<PolledFleet>> PolledFleet::Open(std::unique_ptr<Backend> backend,
                                                       Duration poll_interval) {
  Descriptor signal(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!signal) return Fail(SystemError("watch replicas of", backend->name(), errno));
  return std::unique_ptr<PolledFleet>(
      new PolledFleet(std::move(backend), poll_interval, std::move(signal)));
}

PolledFleet::PolledFleet(std::unique_ptr<Backend> backend, Duration poll_interval,
                         Descriptor signal)
    : backend_(std::move(backend)), poll_interval_(poll_interval), signal_(std::move(signal)) {
  thread_ = std::thread([this] { Run(); });
}

PolledFleet::~PolledFleet() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  woken_.notify_all();
  thread_.join();
}

Status PolledFleet::Start(const ReplicaLaunch& launch) {
  {
    const std::lock_guard lock(mutex_);
    replicas_[launch.id] = {
        .handle = {}, .place_name = launch.place_name, .log_name = launch.log_name, .address = {}};
    tasks_.push_back({.id = launch.id, .wish = Wish::kStart, .launch = launch});
  }
  woken_.notify_all();
  return {};
}

void PolledFleet::Order(std::uint64_t id, Wish wish) {
  {
    const std::lock_guard lock(mutex_);
    if (!replicas_.contains(id)) return;
    tasks_.push_back({.id = id, .wish = wish});
  }
  woken_.notify_all();
}

std::vector<ReplicaExit> PolledFleet::CollectExits() {
  const std::lock_guard lock(mutex_);
  std::uint64_t count = 0;
  (void)!read(signal_.get(), &count, sizeof count);
  return std::exchange(exits_, {});
}

std::string PolledFleet::AddressOf(std::uint64_t id) const {
  const std::lock_guard lock(mutex_);
  const auto found = replicas_.find(id);
  return found == replicas_.end() ? std::string() : found->second.address;
}

std::string PolledFleet::TailOf(std::uint64_t id, std::size_t size_max) const {
  std::string log_name;
  {
    const std::lock_guard lock(mutex_);
    const auto found = replicas_.find(id);
    if (found == replicas_.end()) return {};
    log_name = found->second.log_name;
  }
  return backend_->TailOf(log_name, size_max);
}

std::vector<std::uint64_t> PolledFleet::RunningIds() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::uint64_t> ids;
  for (const auto& [id, replica] : replicas_) ids.push_back(id);
  return ids;
}

std::size_t PolledFleet::running() const {
  const std::lock_guard lock(mutex_);
  return replicas_.size();
}

Result<std::vector<FoundReplica>> PolledFleet::FindRunning() {
  // Before the first order, the other thread does not use the backend: it has nothing to ask for.
  const auto listed = backend_->List();
  if (!listed) return Fail(listed.error());
  std::vector<FoundReplica> found;
  for (const ListedReplica& replica : *listed) {
    if (replica.ended || replica.place_name.empty()) continue;
    found.push_back({.handle = replica.handle, .place_name = replica.place_name});
  }
  {
    const std::lock_guard lock(mutex_);
    undecided_ = found.size();
    watch_until_ = Clock::now() + kWatchForStrangers;
  }
  woken_.notify_all();
  return found;
}

void PolledFleet::Adopt(std::uint64_t id, const FoundReplica& found) {
  {
    const std::lock_guard lock(mutex_);
    replicas_[id] = {.handle = found.handle,
                     .place_name = found.place_name,
                     .log_name = found.place_name,
                     .address = {},
                     .missing = 0,
                     .started = true};
    ForgetFound();
  }
  woken_.notify_all();
}

void PolledFleet::Dismiss(const FoundReplica& found) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back({.id = 0, .wish = Wish::kStop, .launch = {}, .handle = found.handle});
    ForgetFound();
  }
  woken_.notify_all();
}

void PolledFleet::ForgetFound() {
  if (undecided_ > 0) --undecided_;
}

// Under the lock.
bool PolledFleet::MayList() const {
  if (undecided_ > 0) return false;
  return !replicas_.empty() || backend_->busy() || Clock::now() < watch_until_;
}

void PolledFleet::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (tasks_.empty()) woken_.wait_for(lock, poll_interval_);
    while (!stopping_ && !tasks_.empty()) {
      const Task task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      Do(task);
      lock.lock();
    }
    if (stopping_ || !MayList()) continue;
    lock.unlock();
    Poll();
    lock.lock();
  }
}

void PolledFleet::Do(const Task& task) {
  if (task.wish == Wish::kStart) {
    const auto handle = backend_->Start(task.launch);
    const std::lock_guard lock(mutex_);
    if (!handle) {
      EndLocked(task.id, handle.error().message);
      return;
    }
    Replica& replica = replicas_[task.id];
    replica.handle = *handle;
    replica.started = true;
    return;
  }
  std::string handle = task.handle;
  if (task.id != 0) {
    const std::lock_guard lock(mutex_);
    const auto found = replicas_.find(task.id);
    if (found == replicas_.end()) return;
    handle = found->second.handle;
    if (handle.empty()) return;  // Never told: there is nothing to stop yet.
  }
  if (const Status stopped = backend_->Stop(handle, task.wish == Wish::kKill); !stopped) {
    Log().warn("{}: {}", backend_->name(), stopped.error().message);
  }
}

void PolledFleet::Poll() {
  auto listed = backend_->List();
  if (!listed) {
    // What cannot be asked has not ended.
    if (!std::exchange(complained_, true)) {
      Log().warn("{}: {}", backend_->name(), listed.error().message);
    }
    return;
  }
  complained_ = false;
  std::vector<std::uint64_t> gone;
  std::map<std::uint64_t, std::string> handles;
  std::vector<Stranger> strangers;
  {
    const std::lock_guard lock(mutex_);
    Match(*listed, gone);
    strangers = Strangers(*listed);
    for (const std::uint64_t id : gone) handles[id] = replicas_.at(id).handle;
  }
  for (const Stranger& stranger : strangers) {
    if (stranger.first) {
      Log().warn("{}: {} is nobody's; it is ended", backend_->name(), stranger.handle);
    }
    const Status stopped = backend_->Stop(stranger.handle, false);
    if (!stopped && stranger.first) {
      Log().warn("{}: {}; this is tried again", backend_->name(), stopped.error().message);
    }
  }
  for (const auto& [id, handle] : handles) {
    const std::string reason = backend_->ReasonOf(handle);
    const std::lock_guard lock(mutex_);
    EndLocked(id, reason);
  }
}

// Whom to end. Under the lock, after Match().
std::vector<PolledFleet::Stranger> PolledFleet::Strangers(
    const std::vector<ListedReplica>& listed) {
  std::map<std::string, int> seen;
  std::vector<Stranger> ended;
  for (const ListedReplica& one : listed) {
    if (one.ended || one.place_name.empty()) continue;
    const bool ours = std::ranges::any_of(
        replicas_, [&one](const auto& other) { return other.second.handle == one.handle; });
    // One of this place waits to be told its handle: the next list decides.
    const bool perhaps = std::ranges::any_of(replicas_, [&one](const auto& other) {
      return other.second.handle.empty() && other.second.started &&
             other.second.place_name == one.place_name;
    });
    if (ours || perhaps) continue;
    const auto before = strangers_.find(one.handle);
    const int times = before == strangers_.end() ? 1 : before->second + 1;
    seen[one.handle] = times;
    if (times % kStrangerMax == 0) {
      ended.push_back({.handle = one.handle, .first = times == kStrangerMax});
    }
  }
  strangers_ = std::move(seen);
  return ended;
}

// Takes over addresses, and finds who is listed no more. Under the lock.
void PolledFleet::Match(std::vector<ListedReplica>& listed, std::vector<std::uint64_t>& gone) {
  std::unordered_map<std::string, const ListedReplica*> by_handle;
  for (const ListedReplica& one : listed) by_handle[one.handle] = &one;
  for (auto& [id, replica] : replicas_) {
    if (!replica.started) continue;
    if (replica.handle.empty()) {
      // The first that nobody has, of this place.
      for (const ListedReplica& one : listed) {
        const bool taken = std::ranges::any_of(
            replicas_, [&one](const auto& other) { return other.second.handle == one.handle; });
        if (taken || one.ended || one.place_name != replica.place_name) continue;
        replica.handle = one.handle;
        break;
      }
      if (replica.handle.empty()) continue;
    }
    const auto found = by_handle.find(replica.handle);
    if (found != by_handle.end() && !found->second->ended) {
      replica.missing = 0;
      replica.address = found->second->address;
    } else if (found != by_handle.end() || ++replica.missing >= kMissingMax) {
      gone.push_back(id);
    }
  }
}

void PolledFleet::EndLocked(std::uint64_t id, std::string reason) {
  if (replicas_.erase(id) == 0) return;
  exits_.push_back({.id = id, .reason = std::move(reason)});
  const std::uint64_t one = 1;
  (void)!write(signal_.get(), &one, sizeof one);
}

}  // namespace penstock::fleet
