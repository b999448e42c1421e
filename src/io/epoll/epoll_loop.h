// EpollLoop: the real loop, on Linux.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "io/busy_wait.h"
#include "io/epoll/contention.h"
#include "io/epoll/poller.h"
#include "io/loop.h"

namespace penstock::io {

class EpollLoop final : public Loop, private EventHandler {
 public:
  EpollLoop();
  ~EpollLoop() override;

  TimePoint Now() const override { return Clock::now(); }
  TimePoint RecentNow() const override { return turn_began_; }
  WallTime WallNow() const override;
  void Run() override;
  void Stop() override;
  void Post(std::move_only_function<void()> call) override;
  Result<std::unique_ptr<Listener>> Listen(const Address& address,
                                           const ListenOptions& options) override;
  Task<Result<std::unique_ptr<Stream>>> Connect(Address address, ConnectOptions options,
                                                Deadline deadline) override;
  Task<Status> WaitReadable(int descriptor, Deadline deadline) override;

  Poller& poller() { return poller_; }

  // Looks for events for up to so long before it sleeps, where that pays: see io/busy_wait.h. Zero,
  // as at first: never. Before Run().
  void SetBusyWaitMax(Duration longest) { busy_wait_ = BusyWait(longest); }

  // From now on, outgoing TCP connections come from these numeric addresses in turn, the port left
  // to the system until the target is known: one address has about 28,000 ports for one target.
  void SetSources(std::vector<std::string> hosts) { sources_ = std::move(hosts); }

 private:
  void OnEvents(std::uint32_t events) override;
  void Wake() const;
  void RunPosted();
  std::int64_t WaitLimit() const;
  // Waits for events, for `limit_ns` at most (< 0: no limit).
  void WaitForEvents(std::int64_t limit_ns, Contention& contention);
  // What a turn is followed by.
  void Tidy();

  Poller poller_;
  std::vector<std::string> sources_;
  std::size_t next_source_ = 0;
  Descriptor wake_;
  std::atomic<bool> stopping_ = false;
  std::mutex
      posted_mutex_;  // Guards `posted_`: the one lock of the runtime, held for a push or swap.
  std::vector<std::move_only_function<void()>> posted_;
  std::atomic<bool> has_posted_ = false;
  BusyWait busy_wait_;
  TimePoint turn_began_ = Clock::now();
  TimePoint trim_at_ = TimePoint::max();  // When frames that nobody needs are given back next.
};

}  // namespace penstock::io
