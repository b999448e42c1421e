// Usage and FinishReason: what a finished generation reports, in requests' and streams' own words.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace penstock {

// Tokens of one request. An embedding has no completion tokens.
struct Usage {
  std::uint64_t prompt_tokens = 0;
  std::uint64_t completion_tokens = 0;
  std::uint64_t cached_tokens = 0;  // Of prompt_tokens, those found in the prompt cache.

  std::uint64_t total_tokens() const { return prompt_tokens + completion_tokens; }
  bool operator==(const Usage&) const = default;
};

enum class FinishReason : std::uint8_t {
  kNone,    // Not finished: `null` on the wire.
  kStop,    // A stop token or stop string.
  kLength,  // The token limit, or the end of the context.
  kContentFilter,
  kToolCalls,
  kOther,  // Read only: a reason of a peer that we have no word for.
};

// The wire's word ("stop"), "" for kNone, "other" for kOther.
std::string_view ToWord(FinishReason reason);
// The other way. "" is kNone; an unknown word is kOther.
FinishReason FinishReasonOf(std::string_view word);

}  // namespace penstock
