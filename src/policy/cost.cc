#include "policy/cost.h"

#include <algorithm>
#include <cmath>

namespace penstock::policy {
namespace {

// Bounds of the learned ratio: one odd tokenizer or a lying upstream must not make prompts free.
constexpr double kBytesPerTokenMin = 0.5;
constexpr double kBytesPerTokenMax = 16;
constexpr double kKept = 0.98;  // Of the past, at each new request.

}  // namespace

double CostEstimator::bytes_per_token() const {
  if (tokens_ < 1) return kBytesPerToken;
  return std::clamp(bytes_ / tokens_, kBytesPerTokenMin, kBytesPerTokenMax);
}

std::int64_t CostEstimator::output_tokens() const {
  return outputs_.count() < kLearnedMin ? kOutputTokens : outputs_.value();
}

double CostEstimator::output_tokens_per_s() const {
  return timed_seconds_ > 0 ? timed_tokens_ / timed_seconds_ : 0;
}

Estimate CostEstimator::Guess(const RequestSize& size, const LanePolicy& policy) const {
  Estimate estimate;
  const double text = std::ceil(static_cast<double>(size.prompt_bytes) / bytes_per_token());
  estimate.input_tokens =
      static_cast<std::int64_t>(size.prompt_token_ids) + static_cast<std::int64_t>(text);
  if (size.generates) {
    const std::int64_t limit = size.tokens_max.value_or(INT32_MAX);
    const bool whole_limit = policy.reserve == Reserve::kLimit && size.tokens_max.has_value();
    const std::int64_t one = whole_limit ? limit : std::min(limit, output_tokens());
    estimate.output_tokens =
        std::max<std::int64_t>(1, one) * std::max<std::int64_t>(1, size.choices);
  }
  estimate.cost =
      Cost({.input = estimate.input_tokens, .output = estimate.output_tokens}, policy.weights);
  return estimate;
}

void CostEstimator::Learn(const RequestSize& size, const TokenCounts& actual) {
  if (size.generates) outputs_.Add(actual.output / std::max<std::int64_t>(1, size.choices));
  const std::int64_t text_tokens = actual.input - static_cast<std::int64_t>(size.prompt_token_ids);
  if (size.prompt_bytes == 0 || text_tokens <= 0) return;
  bytes_ = kKept * bytes_ + static_cast<double>(size.prompt_bytes);
  tokens_ = kKept * tokens_ + static_cast<double>(text_tokens);
}

void CostEstimator::LearnTime(const RequestSize& size, const TokenCounts& actual, Duration took) {
  if (!size.generates || actual.output <= 0 || took <= Duration{}) return;
  const auto choices = static_cast<double>(std::max<std::int64_t>(1, size.choices));
  timed_tokens_ = kKept * timed_tokens_ + static_cast<double>(actual.output) / choices;
  timed_seconds_ = kKept * timed_seconds_ + Seconds(took);
}

}  // namespace penstock::policy
