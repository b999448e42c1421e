// Admission: a pool's grant in the hands of the request that has it; it ends with the request,
// whichever way that ends, exactly once.
//
// On the thread of the request's loop.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "gateway/pool.h"
#include "gateway/stream_filter.h"
#include "io/loop.h"
#include "policy/capacity.h"
#include "policy/dispatcher.h"

namespace penstock::gateway {

class Admission {
 public:
  // Streamed tokens are reported in batches, so that the pool's lock stays rare.
  static constexpr std::uint64_t kBatchTokens = 16;
  static constexpr Duration kBatchTime = std::chrono::milliseconds(50);

  Admission() = default;
  Admission(std::shared_ptr<Pool> pool, policy::Grant grant, const policy::CostWeights& weights)
      : pool_(std::move(pool)), grant_(std::move(grant)), weights_(weights) {}
  Admission(Admission&& other) noexcept = default;
  // REQUIRES: this one holds nothing.
  Admission& operator=(Admission&& other) noexcept = default;
  ~Admission() { CHECK(!held(), "an admission is ended by its request"); }

  bool held() const { return grant_.held; }
  const policy::Grant& grant() const { return grant_; }
  const policy::CostWeights& weights() const { return weights_; }
  std::uint64_t replica() const { return grant_.replica; }

  // A stream has produced so much in all.
  void Produced(const StreamCount& count, TimePoint now);
  // Tokens that it can have produced by now; see policy::Dispatcher::OutputWithin. REQUIRES:
  // held().
  std::int64_t OutputWithin(Duration elapsed) const { return pool_->OutputWithin(grant_, elapsed); }
  // Another replica, after this one failed before it answered. See policy::Dispatcher::Retry.
  bool Retry(std::span<const std::uint64_t> tried, policy::ReplicaSet::Fate fate, TimePoint now) {
    return pool_->Retry(grant_, tried, fate, now);
  }
  // No-op where nothing is held.
  void End(const policy::Ending& ending, TimePoint now);

 private:
  // What each event touches comes first.
  std::uint64_t reported_ = 0;
  TimePoint reported_at_{};
  bool begun_ = false;
  std::shared_ptr<Pool> pool_;
  policy::Grant grant_;
  policy::CostWeights weights_;
};

}  // namespace penstock::gateway
