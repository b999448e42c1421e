#include "gateway/queue_pacer.h"

#include <algorithm>
#include <vector>

namespace penstock::gateway {
namespace {

// However the clocks and buckets round, waiting requests are looked after so often.
constexpr Duration kLongestWait = std::chrono::seconds(1);

}  // namespace

QueuePacer::Waits::Waits(QueuePacer& pacer, const std::shared_ptr<Pool>& pool)
    : pacer_(pacer), pool_(pool.get()) {
  Watched& watched = pacer_.watched_[pool_];
  watched.pool = pool;
  ++watched.waiting;
  const TimePoint now = pacer_.loop_.Now();
  pacer_.ArmFor(pool->Pump(now), now);
}

QueuePacer::Waits::~Waits() {
  const auto found = pacer_.watched_.find(pool_);
  if (--found->second.waiting == 0) pacer_.watched_.erase(found);
}

void QueuePacer::ArmFor(TimePoint wake, TimePoint now) {
  wake = std::min(wake, now + kLongestWait);
  if (armed() && due() <= wake) return;
  loop_.wheel().Arm(*this, wake);
}

void QueuePacer::OnTimer(TimePoint now) {
  if (watched_.empty()) return;
  TimePoint wake = TimePoint::max();
  for (const auto& [pool, watched] : watched_) wake = std::min(wake, watched.pool->Pump(now));
  ArmFor(wake, now);
}

}  // namespace penstock::gateway
