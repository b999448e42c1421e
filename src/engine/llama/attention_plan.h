// How an attention's work is shared out among threads. Pure.
#pragma once

#include <cstdint>

#include "engine/llama/attention_kernel.h"

namespace penstock::engine {

inline constexpr std::int64_t kAttentionRowsMax = 32;
inline constexpr std::int64_t kAttentionTileKeys = 64;

// By streams, heads and rows; and by keys where `splits_keys`.
struct AttentionPlan {
  std::int64_t together = 1;  // Heads of keys that a part takes.
  bool splits_keys = false;
};

// Rows `first` to `first + rows` of each of some heads of keys in one stream, against every
// `step`th tile of keys from `tile` on. A row is a query of a head: the heads that share their keys
// follow each other. Several heads, where they have few rows: what lies side by side in the cache
// is then read at one time, which is twice as fast.
struct AttentionPart {
  std::int64_t stream = 0, key_head = 0, key_heads = 1, first = 0, rows = 1, tile = 0, step = 1;
};

// Heads that share a head of keys.
inline std::int64_t HeadsOnKey(const AttentionTask& task) { return task.heads / task.key_heads; }

// Floats of what one thread knows of a stream before threads are joined.
std::int64_t AttentionPartialFloats(const AttentionTask& task);

AttentionPlan PlanAttention(const AttentionTask& task, const AttentionTeam& team);
// With keys split, every thread does every part.
std::int64_t AttentionPartCount(const AttentionTask& task, const AttentionPlan& plan);
AttentionPart AttentionPartAt(const AttentionTask& task, const AttentionPlan& plan,
                              std::int64_t index);

}  // namespace penstock::engine
