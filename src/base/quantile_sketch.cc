#include "base/quantile_sketch.h"

#include <algorithm>
#include <cmath>

namespace penstock {
namespace {

constexpr double kGamma =
    (1 + QuantileSketch::kRelativeError) / (1 - QuantileSketch::kRelativeError);
const double kLogGamma = std::log(kGamma);
const double kPerLog = 1 / kLogGamma;

}  // namespace

std::size_t QuantileSketch::BucketOf(std::uint64_t value) {
  const double bucket = std::ceil(std::log(static_cast<double>(value)) * kPerLog);
  return std::min(static_cast<std::size_t>(bucket), kBucketMax);
}

double QuantileSketch::Bound(std::size_t bucket) {
  return std::exp(static_cast<double>(bucket) * kLogGamma);
}

void QuantileSketch::Add(std::uint64_t value, std::uint64_t times) {
  if (value == 0) {
    zeros_ += times;
  } else {
    AddToBucket(BucketOf(value), times);
  }
}

void QuantileSketch::AddToBucket(std::size_t bucket, std::uint64_t times) {
  if (bucket > kBucketMax || times == 0) return;
  positives_ += times;
  if (counts_.empty()) {
    first_ = bucket;
  } else if (bucket < first_) {
    counts_.insert(counts_.begin(), first_ - bucket, 0);
    first_ = bucket;
  }
  if (bucket - first_ >= counts_.size()) counts_.resize(bucket - first_ + 1);
  counts_[bucket - first_] += times;
}

void QuantileSketch::Merge(const QuantileSketch& other) {
  zeros_ += other.zeros_;
  if (other.counts_.empty()) return;
  const std::size_t end = other.first_ + other.counts_.size();
  if (counts_.empty()) {
    first_ = other.first_;
  } else if (other.first_ < first_) {
    counts_.insert(counts_.begin(), first_ - other.first_, 0);
    first_ = other.first_;
  }
  if (end > first_ + counts_.size()) counts_.resize(end - first_);
  const std::size_t shift = other.first_ - first_;
  for (std::size_t i = 0; i < other.counts_.size(); ++i) counts_[shift + i] += other.counts_[i];
  positives_ += other.positives_;
}

void QuantileSketch::Clear() {
  zeros_ = 0;
  positives_ = 0;
  counts_.clear();
}

double QuantileSketch::Quantile(double q) const {
  if (empty()) return 0;
  const double rank = std::ceil(std::clamp(q, 0.0, 1.0) * static_cast<double>(count()));
  auto left = static_cast<std::uint64_t>(std::max(rank, 1.0));
  if (left <= zeros_) return 0;
  left -= zeros_;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    if (left <= counts_[i]) return Bound(first_ + i) * 2 / (kGamma + 1);
    left -= counts_[i];
  }
  return Bound(first_ + counts_.size()) * 2 / (kGamma + 1);
}

std::uint64_t QuantileSketch::CountUpTo(double value) const {
  if (value < 0) return 0;
  std::uint64_t total = zeros_;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    if (Bound(first_ + i) * 2 / (kGamma + 1) > value) break;
    total += counts_[i];
  }
  return total;
}

bool QuantileSketch::operator==(const QuantileSketch& other) const {
  if (zeros_ != other.zeros_ || positives_ != other.positives_) return false;
  const std::size_t end = std::max(first_ + counts_.size(), other.first_ + other.counts_.size());
  const auto at = [](const QuantileSketch& sketch, std::size_t bucket) -> std::uint64_t {
    const bool within = bucket >= sketch.first_ && bucket < sketch.first_ + sketch.counts_.size();
    return within ? sketch.counts_[bucket - sketch.first_] : 0;
  };
  for (std::size_t i = std::min(first_, other.first_); i < end; ++i) {
    if (at(*this, i) != at(other, i)) return false;
  }
  return true;
}

}  // namespace penstock
