// OutputBound: how much of a stream is passed on at most, where its request names a limit or its
// model's context is known. An upstream that takes no notice of it, or never ends, is ended there.
// Pure.
//
// A delta is a token as a rule, but not by any standard: some servers cut a token into several, and
// some put several into one. So the bound is generous: it stops what has gone wrong, and does not
// keep an account.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "gateway/stream_filter.h"
#include "policy/cost.h"

namespace penstock::gateway {

class OutputBound {
 public:
  // Bytes of text that a token stands for at most, over the length of an answer: what bounds
  // servers that put many tokens into a delta.
  static constexpr std::uint64_t kTokenBytesMax = 64;
  // Deltas beyond the limit and its multiple, so that short answers have some room as well.
  static constexpr std::uint64_t kDeltasMore = 64;

  // None.
  OutputBound() = default;
  // `factor` times the highest token limit that the request names, or the model's context where
  // that is less, for each of its choices, and kDeltasMore. No bound where neither is there
  // (context 0: unknown), or `factor` is 0.
  OutputBound(const policy::RequestSize& size, std::int64_t context_tokens, std::uint32_t factor) {
    if ((!size.tokens_max && context_tokens <= 0) || factor == 0) return;
    std::int64_t most = size.tokens_max.value_or(context_tokens);
    if (context_tokens > 0) most = std::min(most, context_tokens);
    const auto tokens = static_cast<std::uint64_t>(std::max<std::int64_t>(most, 0));
    const auto choices = static_cast<std::uint64_t>(std::max<std::int64_t>(size.choices, 1));
    std::uint64_t deltas = 0;
    const bool vast = __builtin_mul_overflow(tokens, choices, &deltas) ||
                      __builtin_mul_overflow(deltas, std::uint64_t{factor}, &deltas);
    // Beyond what can be told apart there is no bound.
    if (vast || deltas > std::numeric_limits<std::uint32_t>::max() - kDeltasMore) return;
    deltas_max_ = static_cast<std::uint32_t>(deltas + kDeltasMore);
  }

  // What has passed is more than a server that keeps to the limit sends.
  bool Exceeded(const StreamCount& count) const {
    if (deltas_max_ == 0) return false;
    return count.text_events > deltas_max_ || count.text_bytes > deltas_max_ * kTokenBytesMax;
  }

  std::uint32_t deltas_max() const { return deltas_max_; }  // 0: no bound.

 private:
  std::uint32_t deltas_max_ = 0;
};

}  // namespace penstock::gateway
