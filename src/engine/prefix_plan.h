// PrefixPlan: where a prompt starts, so that least of it need be computed. Pure: no cell is moved
// here.
//
// What was computed lies in the slots (of running sequences, and of those that ended and were not
// yet written over) and in the store. A prompt continues in the slot that has its beginning, or a
// copy of that beginning is brought to another; which one, is a matter of cost. Slots that run
// should lie side by side, because every slot in between computes a token for nothing in each step.
#pragma once

#include <span>

#include "engine/request.h"

namespace penstock::engine {

struct SlotView {
  bool free = true;
  bool prefilling = false;
  std::span<const TokenId> cells{};   // Tokens whose cells are there.
  std::span<const TokenId> prompt{};  // Of one that is prefilling: all that will be there.
};

struct PrefixPlan {
  enum class Source {
    kNone,     // Nothing worth it: start with the first token.
    kInPlace,  // The slot has it already.
    kSlot,     // A copy out of slot `from`.
    kStore,    // A copy out of the store.
    kDefer,    // Another slot is computing it: wait for that.
  };
  Source source = Source::kNone;
  int slot = 0;
  int from = 0;
  int length = 0;  // Tokens of the prompt that need not be computed; less than it has.
};

// `stored`: how many of the prompt's tokens the store has. At least one slot is free.
PrefixPlan PlanPrefix(std::span<const TokenId> prompt, std::span<const SlotView> slots, int stored);

}  // namespace penstock::engine
