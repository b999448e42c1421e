// QueuePacer: lets time pass for the pools in which requests of this loop wait.
//
// A bucket that has refilled tells nobody, so somebody must look: each loop does for the pools that
// its own requests wait in, when the pool says, at the grain of the loop's timer wheel. One thread.
#pragma once

#include <memory>
#include <unordered_map>

#include "gateway/pool.h"
#include "io/loop.h"
#include "io/timer_wheel.h"

namespace penstock::gateway {

class QueuePacer final : private io::Timer {
 public:
  explicit QueuePacer(io::Loop& loop) : loop_(loop) {}

  // A request of this loop waits in `pool`, until the guard goes.
  class [[nodiscard]] Waits {
   public:
    Waits(QueuePacer& pacer, const std::shared_ptr<Pool>& pool);
    ~Waits();
    Waits(const Waits&) = delete;
    Waits& operator=(const Waits&) = delete;

   private:
    QueuePacer& pacer_;
    Pool* pool_;
  };

 private:
  struct Watched {
    std::shared_ptr<Pool> pool;
    std::size_t waiting = 0;
  };
  void OnTimer(TimePoint now) override;
  void ArmFor(TimePoint wake, TimePoint now);

  io::Loop& loop_;
  std::unordered_map<Pool*, Watched> watched_;
};

}  // namespace penstock::gateway
