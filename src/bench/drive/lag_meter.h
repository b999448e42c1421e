// LagMeter: how late a loop is, as a histogram of fixed size that can be merged with others'.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace penstock::bench {

// Sixteen buckets to each doubling: a value is known within 7 %.
class LagMeter {
 public:
  void Add(std::int64_t lag_ns) {
    if (lag_ns < 0) lag_ns = 0;
    ++counts_[BucketOf(static_cast<std::uint64_t>(lag_ns))];
    ++count_;
    if (lag_ns > max_ns_) max_ns_ = lag_ns;
  }
  void Merge(const LagMeter& other) {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    if (other.max_ns_ > max_ns_) max_ns_ = other.max_ns_;
  }
  // An upper bound of the share's value; 0 where nothing was added.
  std::int64_t Quantile(double share) const {
    const auto wanted = static_cast<std::int64_t>(share * static_cast<double>(count_));
    std::int64_t passed = 0;
    for (std::size_t bucket = 0; bucket < counts_.size(); ++bucket) {
      passed += counts_[bucket];
      if (passed > wanted) return UpperOf(bucket) < max_ns_ ? UpperOf(bucket) : max_ns_;
    }
    return max_ns_;
  }
  std::int64_t max_ns() const { return max_ns_; }
  std::int64_t count() const { return count_; }

 private:
  static constexpr int kPartBits = 4;
  static std::size_t BucketOf(std::uint64_t value) {
    if (value < (1u << kPartBits)) return static_cast<std::size_t>(value);
    const int shift = static_cast<int>(std::bit_width(value)) - 1 - kPartBits;
    return (static_cast<std::size_t>(shift + 1) << kPartBits) +
           static_cast<std::size_t>((value >> shift) - (1u << kPartBits));
  }
  static std::int64_t UpperOf(std::size_t bucket) {
    if (bucket < (1u << kPartBits)) return static_cast<std::int64_t>(bucket);
    const auto shift = (bucket >> kPartBits) - 1;
    const std::uint64_t part = (bucket & ((1u << kPartBits) - 1)) + (1u << kPartBits) + 1;
    return static_cast<std::int64_t>((part << shift) - 1);
  }

  std::array<std::int64_t, std::size_t{61} << kPartBits> counts_{};
  std::int64_t count_ = 0;
  std::int64_t max_ns_ = 0;
};

}  // namespace penstock::bench
