// PrefixCache: places prompts so that what was computed before is not computed again.
//
// The scheduler's Placer: plans (prefix_plan.h), and moves cells between slots and the store as
// planned. Belongs to the model's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "engine/llama/context.h"
#include "engine/prefix_store.h"
#include "engine/scheduler.h"

namespace penstock::engine {

struct PrefixMetrics {
  std::uint64_t cached_tokens = 0;  // Of prompts, not computed again.
  std::uint64_t copies = 0;         // Prefixes brought to another slot.
  std::uint64_t deferrals = 0;      // Steps in which a prompt waited for its prefix.
  std::uint64_t blocks_dropped = 0;
  std::size_t store_bytes = 0;
  std::size_t store_bytes_max = 0;
};

class PrefixCache : public Placer {
 public:
  using PromptOf = std::function<std::span<const TokenId>(RequestId)>;

  // `store_bytes_max` 0 switches it off: every prompt is computed. `context` outlives the cache.
  PrefixCache(Context& context, int slots, std::size_t store_bytes_max, PromptOf prompt_of);

  std::optional<Placement> Place(const Job& job, std::span<const bool> free) override;

  // These tokens were computed in the slot, after those that it had.
  void Computed(int slot, std::span<const TokenId> tokens);
  // The slot's job ended. Its cells stay, where the cache is on and they can.
  void Ended(int slot);
  // The slot's cells are undefined.
  void Forget(int slot);

  bool on() const { return store_.blocks_max() > 0; }
  int Cells(int slot) const { return static_cast<int>(slots_[slot].cells.size()); }
  PrefixMetrics Metrics() const;

 private:
  struct Slot {
    RequestId id = 0;  // 0: free.
    std::vector<TokenId> cells;
  };

  void Start(const Job& job, int slot, int length);
  void Keep(int slot, int length);
  bool Bring(int slot, int from, int length, std::span<const TokenId> prompt);

  Context& context_;
  std::vector<Slot> slots_;
  PrefixStore store_;
  PromptOf prompt_of_;
  std::vector<std::uint8_t> cells_;  // Scratch.
  PrefixMetrics metrics_;
};

}  // namespace penstock::engine
