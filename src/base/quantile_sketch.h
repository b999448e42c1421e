// QuantileSketch: quantiles of many values in little memory, within a stated relative error.
//
// Values fall into buckets whose bounds grow by a constant factor (Masson, Rim, Lee: "DDSketch",
// VLDB 2019), so that any quantile is told within kRelativeError of a value that was really there
// at this rank. Sketches of parts merge into the sketch of the whole, exactly and in any order.
// Values are whole numbers in a unit fine enough, such as microseconds. Not for several threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace penstock {

class QuantileSketch {
 public:
  static constexpr double kRelativeError = 0.01;
  // The bucket of the greatest 64-bit value.
  static constexpr std::size_t kBucketMax = 2218;

  // `value`, `times` times.
  void Add(std::uint64_t value, std::uint64_t times = 1);
  void Merge(const QuantileSketch& other);
  void Clear();

  std::uint64_t count() const { return zeros_ + positives_; }
  bool empty() const { return count() == 0; }

  // The value of rank ceil(q × count), from 1; `q` in [0, 1]. 0 where there are no values.
  double Quantile(double q) const;
  // How many values are at most `value`, give or take those within kRelativeError of it.
  std::uint64_t CountUpTo(double value) const;

  // ---- The buckets, for writing them down.

  std::uint64_t zeros() const { return zeros_; }
  // Bucket `first_bucket() + i` holds counts()[i] values; ends may be 0.
  std::size_t first_bucket() const { return first_; }
  const std::vector<std::uint64_t>& counts() const { return counts_; }
  void AddZeros(std::uint64_t times) { zeros_ += times; }
  // Ignores a bucket beyond kBucketMax.
  void AddToBucket(std::size_t bucket, std::uint64_t times);

  // Bucket i holds values above Bound(i - 1) up to Bound(i).
  static std::size_t BucketOf(std::uint64_t value);  // `value` > 0.
  static double Bound(std::size_t bucket);

  // Same values, as far as a sketch can tell.
  bool operator==(const QuantileSketch& other) const;

 private:
  std::uint64_t zeros_ = 0;
  std::uint64_t positives_ = 0;
  std::size_t first_ = 0;
  std::vector<std::uint64_t> counts_;
};

}  // namespace penstock
