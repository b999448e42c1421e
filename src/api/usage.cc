// The words of finish reasons.
#include "api/usage.h"

namespace penstock {

std::string_view ToWord(FinishReason reason) {
  switch (reason) {
    case FinishReason::kNone:
      return "";
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kContentFilter:
      return "content_filter";
    case FinishReason::kToolCalls:
      return "tool_calls";
    case FinishReason::kOther:
      return "other";
  }
  return "other";
}

FinishReason FinishReasonOf(std::string_view word) {
  for (const FinishReason reason : {FinishReason::kNone, FinishReason::kStop, FinishReason::kLength,
                                    FinishReason::kContentFilter, FinishReason::kToolCalls}) {
    if (word == ToWord(reason)) return reason;
  }
  return FinishReason::kOther;
}

}  // namespace penstock
