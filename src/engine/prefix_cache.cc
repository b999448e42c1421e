// Moving prefixes as planned.
#include "engine/prefix_cache.h"

#include <algorithm>

#include "base/check.h"
#include "engine/prefix_plan.h"

namespace penstock::engine {

PrefixCache::PrefixCache(Context& context, int slots, std::size_t store_bytes_max,
                         PromptOf prompt_of)
    : context_(context),
      slots_(static_cast<std::size_t>(slots)),
      store_(context.copies() ? store_bytes_max : 0, context.cell_bytes()),
      prompt_of_(std::move(prompt_of)) {}

std::optional<Placement> PrefixCache::Place(const Job& job, std::span<const bool> free) {
  if (!on()) {
    const auto slot = static_cast<int>(std::ranges::find(free, true) - free.begin());
    Start(job, slot, 0);
    return Placement{slot, 0};
  }
  const std::span<const TokenId> prompt = prompt_of_(job.id);
  std::vector<SlotView> views;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    SlotView view{.free = free[i], .cells = slot.cells};
    if (!free[i]) {
      view.prompt = prompt_of_(slot.id);
      view.prefilling = slot.cells.size() < view.prompt.size();
    }
    views.push_back(view);
  }
  const PrefixPlan plan = PlanPrefix(prompt, views, store_.Match(prompt));
  if (plan.source == PrefixPlan::Source::kDefer) {
    ++metrics_.deferrals;
    return std::nullopt;
  }
  int length = plan.length;
  Keep(plan.slot, plan.source == PrefixPlan::Source::kInPlace ? length : 0);
  const bool copies =
      plan.source == PrefixPlan::Source::kSlot || plan.source == PrefixPlan::Source::kStore;
  if (copies) {
    const int from = plan.source == PrefixPlan::Source::kSlot ? plan.from : -1;
    if (!Bring(plan.slot, from, length, prompt)) length = 0;
  }
  if (!copies || length == 0) context_.Truncate(plan.slot, length);
  Start(job, plan.slot, length);
  return Placement{plan.slot, length};
}

void PrefixCache::Start(const Job& job, int slot, int length) {
  Slot& state = slots_[static_cast<std::size_t>(slot)];
  state.id = job.id;
  const std::span<const TokenId> prompt = prompt_of_(job.id);
  state.cells.assign(prompt.begin(), prompt.begin() + length);
  metrics_.cached_tokens += static_cast<std::uint64_t>(length);
}

// What the slot has beyond `length` tokens will be written over: the store takes it.
void PrefixCache::Keep(int slot, int length) {
  const std::vector<TokenId>& tokens = slots_[static_cast<std::size_t>(slot)].cells;
  if (std::ssize(tokens) < length + PrefixStore::kBlockTokens) return;
  const int stored = store_.Match(tokens);
  const int blocks = (static_cast<int>(tokens.size()) - stored) / PrefixStore::kBlockTokens;
  if (blocks == 0) return;
  cells_.clear();
  if (context_.SaveBlocks(slot, stored, blocks, PrefixStore::kBlockTokens, cells_)) {
    store_.Insert(tokens, cells_);
  }
}

// From a slot, or from the store where `from` is -1. False: the slot is empty.
bool PrefixCache::Bring(int slot, int from, int length, std::span<const TokenId> prompt) {
  std::vector<CellPiece> pieces;
  if (from >= 0) {
    cells_.clear();
    if (!context_.SaveBlocks(from, 0, 1, length, cells_)) return false;
    pieces.push_back({cells_, length, length});
  } else {
    int left = length;
    for (const std::span<const std::uint8_t> block : store_.Find(prompt, store_.Match(prompt))) {
      const int used = std::min(left, PrefixStore::kBlockTokens);
      if (used == 0) break;
      pieces.push_back({block, PrefixStore::kBlockTokens, used});
      left -= used;
    }
    if (left > 0) return false;
  }
  ++metrics_.copies;
  return context_.Restore(slot, pieces).has_value();
}

void PrefixCache::Computed(int slot, std::span<const TokenId> tokens) {
  std::vector<TokenId>& cells = slots_[static_cast<std::size_t>(slot)].cells;
  cells.insert(cells.end(), tokens.begin(), tokens.end());
}

void PrefixCache::Ended(int slot) {
  slots_[static_cast<std::size_t>(slot)].id = 0;
  if (!on() || context_.InLane(slot)) Forget(slot);
}

void PrefixCache::Forget(int slot) {
  context_.Clear(slot);
  slots_[static_cast<std::size_t>(slot)] = {};
}

PrefixMetrics PrefixCache::Metrics() const {
  PrefixMetrics metrics = metrics_;
  metrics.blocks_dropped = store_.blocks_dropped();
  metrics.store_bytes = store_.blocks() * store_.block_bytes();
  metrics.store_bytes_max = store_.blocks_max() * store_.block_bytes();
  return metrics;
}

}  // namespace penstock::engine
