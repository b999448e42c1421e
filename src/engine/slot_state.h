// SlotState: what a slot is doing, for people.
#pragma once

#include "base/clock.h"
#include "engine/request.h"

namespace penstock::engine {

// One slot at the end of the last step.
struct SlotState {
  enum class Phase { kFree, kPrefill, kDecode } phase = Phase::kFree;
  RequestId id = 0;
  int prompt_tokens = 0;
  int cached_tokens = 0;
  int cells = 0;  // Tokens computed; of a free slot, those that are kept for the next prompt.
  int output_tokens = 0;
  int output_tokens_max = 0;
  Duration age{};  // Since the request was submitted.
};

}  // namespace penstock::engine
