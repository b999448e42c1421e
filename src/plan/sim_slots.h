// SimSlots: which of an engine's slots a simulated replica's sequences hold, and what the holes
// between them cost.
//
// The engine computes the sequences of a step together, from the lowest slot to the highest: a free
// slot in between costs a row of its own, which looks at what was left there (engine/llama,
// FillGap). A request takes the slot by which fewest such holes arise, then the one that holds
// least (engine/prefix_plan.cc). Pure.
#pragma once

#include <vector>

namespace penstock::plan {

class SimSlots {
 public:
  // 0: there are none, and nothing is kept.
  explicit SimSlots(int count) : slots_(static_cast<std::size_t>(count)) {}

  // A free slot, taken; -1 where there are no slots. REQUIRES: one is free.
  int Take();
  // The sequence in it has ended, with so many cells. Nothing for -1.
  void Free(int slot, double cells);

  // Free slots from `first` to `last`, and the most cells that one of them holds.
  struct Holes {
    int count = 0;
    double cells = 0;
  };
  Holes Between(int first, int last) const;

 private:
  struct Slot {
    bool taken = false;
    double cells = 0;  // That its last sequence left.
  };
  std::vector<Slot> slots_;
};

}  // namespace penstock::plan
