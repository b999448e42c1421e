// From tokens to text and a finish reason.
#include "engine/generation.h"

#include <fmt/core.h>

#include <algorithm>

namespace penstock::engine {

std::optional<FinishReason> Generation::Accept(std::string_view piece, bool end_of_generation,
                                               std::string& out) {
  ++tokens_;
  unmatched_.clear();
  std::optional<FinishReason> reason;
  // In this order: a token that ends the text is not fed to the stop strings.
  if ((end_of_generation && !MustContinue()) || stops_.Feed(piece, unmatched_)) {
    reason = FinishReason::kStop;
  } else if (tokens_ >= limits_.output_tokens_max) {
    reason = FinishReason::kLength;
  }
  if (reason && !stops_.stopped()) stops_.Flush(unmatched_);
  utf8_.Feed(unmatched_, out);
  if (reason) utf8_.Flush(out);
  return reason;
}

void Generation::End(std::string& out) {
  unmatched_.clear();
  stops_.Flush(unmatched_);
  utf8_.Feed(unmatched_, out);
  utf8_.Flush(out);
}

Result<int> OutputLimit(int prompt_tokens, int requested, int context_tokens) {
  if (prompt_tokens < 1) return Fail(Code::kInvalidArgument, "the prompt has no tokens", "prompt");
  if (requested < 0) {
    return Fail(Code::kInvalidArgument,
                fmt::format("max_tokens is {}; it must be positive", requested), "max_tokens");
  }
  if (prompt_tokens >= context_tokens) {
    return Fail(
        Code::kInvalidArgument,
        fmt::format("the prompt has {} tokens; the context holds {}, of which at least 1 is "
                    "needed for the output",
                    prompt_tokens, context_tokens),
        "prompt");
  }
  const int room = context_tokens - prompt_tokens;
  if (requested > room) {
    return Fail(
        Code::kInvalidArgument,
        fmt::format("the prompt has {} tokens and max_tokens is {}; together they must not be "
                    "more than the context holds: {}",
                    prompt_tokens, requested, context_tokens),
        "max_tokens");
  }
  return requested == 0 ? room : requested;
}

}  // namespace penstock::engine
