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
#include "io/epoll/poller.h"
#include "io/loop.h"

namespace penstock::io {

class EpollLoop final : public Loop, private EventHandler {
 public:
  EpollLoop();
  ~EpollLoop() override;

  TimePoint Now() const override { return Clock::now(); }
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

  // From now on, outgoing TCP connections come from these numeric addresses in turn, the port left
  // to the system until the target is known: one address has about 28,000 ports for one target.
  void SetSources(std::vector<std::string> hosts) { sources_ = std::move(hosts); }

 private:
  void OnEvents(std::uint32_t events) override;
  void Wake() const;
  void RunPosted();
  std::int64_t WaitLimit() const;

  Poller poller_;
  std::vector<std::string> sources_;
  std::size_t next_source_ = 0;
  Descriptor wake_;
  std::atomic<bool> stopping_ = false;
  std::mutex
      posted_mutex_;  // Guards `posted_`: the one lock of the runtime, held for a push or swap.
  std::vector<std::move_only_function<void()>> posted_;
  std::atomic<bool> has_posted_ = false;
};

}  // namespace penstock::io
