// EpollLoop: the real loop, on Linux.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
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

 private:
  void OnEvents(std::uint32_t events) override;
  void Wake() const;
  void RunPosted();
  std::int64_t WaitLimit() const;

  Poller poller_;
  Descriptor wake_;
  std::atomic<bool> stopping_ = false;
  std::mutex
      posted_mutex_;  // Guards `posted_`: the one lock of the runtime, held for a push or swap.
  std::vector<std::move_only_function<void()>> posted_;
  std::atomic<bool> has_posted_ = false;
};

}  // namespace penstock::io
