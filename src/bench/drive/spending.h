// Spending: what a run has under way and has used up, against the caps that its user set. Shared by
// all driver threads; two atomics a request.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace penstock::bench {

class Spending {
 public:
  // Tokens of input and output that the run may cost; 0: no cap.
  explicit Spending(std::int64_t tokens_max = 0) : tokens_max_(tokens_max) {}

  // A request that may cost `tokens` begins. False, and nothing begins, where the cap would break;
  // exhausted() holds from then on.
  bool Begin(std::int64_t tokens) {
    const std::int64_t before = tokens_.fetch_add(tokens, std::memory_order_relaxed);
    if (tokens_max_ > 0 && before + tokens > tokens_max_) {
      tokens_.fetch_sub(tokens, std::memory_order_relaxed);
      exhausted_.store(true, std::memory_order_relaxed);
      return false;
    }
    const int now = in_flight_.fetch_add(1, std::memory_order_relaxed) + 1;
    int most = in_flight_max_.load(std::memory_order_relaxed);
    while (now > most &&
           !in_flight_max_.compare_exchange_weak(most, now, std::memory_order_relaxed)) {
    }
    return true;
  }
  // It ended, and cost `actual` in place of `tokens`.
  void End(std::int64_t tokens, std::int64_t actual) {
    tokens_.fetch_add(actual - tokens, std::memory_order_relaxed);
    in_flight_.fetch_sub(1, std::memory_order_relaxed);
  }

  std::int64_t tokens() const { return tokens_.load(std::memory_order_relaxed); }
  bool exhausted() const { return exhausted_.load(std::memory_order_relaxed); }
  // Most requests at once since the last call.
  int TakeInFlightMax() {
    return in_flight_max_.exchange(in_flight_.load(std::memory_order_relaxed),
                                   std::memory_order_relaxed);
  }

 private:
  const std::int64_t tokens_max_;
  std::atomic<std::int64_t> tokens_ = 0;
  std::atomic<int> in_flight_ = 0;
  std::atomic<int> in_flight_max_ = 0;
  std::atomic<bool> exhausted_ = false;
};

}  // namespace penstock::bench
