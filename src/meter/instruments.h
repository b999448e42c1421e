// Counter, Gauge, Histogram: what metrics are made of. Any thread; relaxed atomics, no lock.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/clock.h"

namespace penstock::meter {

class Counter {
 public:
  void Add(std::uint64_t value = 1) { value_.fetch_add(value, std::memory_order_relaxed); }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

class Gauge {
 public:
  void Set(double value) { value_.store(value, std::memory_order_relaxed); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

// A bucket's bound, in nanoseconds, and as the exposition writes it in seconds.
struct Bound {
  std::int64_t ns;
  const char* text;
};

// Durations in buckets. `bounds` is static, ascending, and at most kBoundsMax long.
class Histogram {
 public:
  static constexpr std::size_t kBoundsMax = 16;

  explicit Histogram(std::span<const Bound> bounds) : bounds_(bounds) {}

  void Observe(Duration duration) {
    const std::int64_t ns = std::max<std::int64_t>(duration.count(), 0);
    const auto at = std::ranges::lower_bound(bounds_, ns, {}, &Bound::ns);
    counts_[static_cast<std::size_t>(at - bounds_.begin())].fetch_add(1, std::memory_order_relaxed);
    sum_ns_.fetch_add(static_cast<std::uint64_t>(ns), std::memory_order_relaxed);
  }

  std::span<const Bound> bounds() const { return bounds_; }
  // Of bucket i, not summed up; the last is beyond all bounds.
  std::uint64_t count(std::size_t i) const { return counts_[i].load(std::memory_order_relaxed); }
  double sum_s() const {
    return static_cast<double>(sum_ns_.load(std::memory_order_relaxed)) * 1e-9;
  }

 private:
  std::span<const Bound> bounds_;
  std::array<std::atomic<std::uint64_t>, kBoundsMax + 1> counts_{};
  std::atomic<std::uint64_t> sum_ns_{0};
};

}  // namespace penstock::meter
