#include "plan/sim_slots.h"

#include <algorithm>
#include <iterator>
#include <limits>

namespace penstock::plan {
namespace {

// As in the engine (engine/prefix_plan.cc).
constexpr double kHoleCost = 200;
constexpr double kCopyCost = 0.015;

}  // namespace

int SimSlots::Take() {
  if (slots_.empty()) return -1;
  const auto taken = [](const Slot& slot) { return slot.taken; };
  const auto count = static_cast<int>(slots_.size());
  const int running = static_cast<int>(std::ranges::count_if(slots_, taken));
  const auto first = std::ranges::find_if(slots_, taken) - slots_.begin();
  const auto behind = std::find_if(slots_.rbegin(), slots_.rend(), taken) - slots_.rbegin();
  int best = -1;
  double least = std::numeric_limits<double>::infinity();
  for (int i = 0; i < count; ++i) {
    const Slot& slot = slots_[static_cast<std::size_t>(i)];
    if (slot.taken) continue;
    const int low = std::min(i, running > 0 ? static_cast<int>(first) : i);
    const int high = std::max(i, running > 0 ? count - 1 - static_cast<int>(behind) : i);
    const double cost = kHoleCost * (high - low - running) + kCopyCost * slot.cells;
    if (cost >= least) continue;
    least = cost;
    best = i;
  }
  slots_[static_cast<std::size_t>(best)].taken = true;
  return best;
}

void SimSlots::Free(int slot, double cells) {
  if (slot < 0) return;
  slots_[static_cast<std::size_t>(slot)] = {.cells = cells};
}

SimSlots::Holes SimSlots::Between(int first, int last) const {
  Holes holes;
  if (slots_.empty()) return holes;
  for (int i = first; i <= last; ++i) {
    const Slot& slot = slots_[static_cast<std::size_t>(i)];
    if (slot.taken) continue;
    ++holes.count;
    holes.cells = std::max(holes.cells, slot.cells);
  }
  return holes;
}

}  // namespace penstock::plan
