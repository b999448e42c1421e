#include "engine/llama/attention_plan.h"

#include <algorithm>

namespace penstock::engine {
namespace {

std::int64_t RowsOfHead(const AttentionTask& task) { return HeadsOnKey(task) * task.queries; }

std::int64_t TilesOfHead(const AttentionTask& task) {
  return (RowsOfHead(task) + kAttentionRowsMax - 1) / kAttentionRowsMax;
}

std::int64_t Spans(const AttentionTask& task, const AttentionPlan& plan) {
  return (task.key_heads + plan.together - 1) / plan.together;
}

}  // namespace

std::int64_t AttentionPartialFloats(const AttentionTask& task) {
  return task.heads * task.queries * (task.size + 2);
}

std::int64_t AttentionParts(const AttentionTask& task) {
  return task.streams * task.key_heads * TilesOfHead(task);
}

AttentionPlan PlanAttention(const AttentionTask& task, const AttentionTeam& team) {
  const std::int64_t fit = std::max<std::int64_t>(1, kAttentionRowsMax / RowsOfHead(task));
  // Whole streams, where they come out even.
  if (task.streams % team.threads == 0 || task.streams >= 4 * team.threads) {
    return {std::min(fit, task.key_heads), false};
  }
  const bool can_split = team.wait != nullptr && task.keys > kAttentionTileKeys &&
                         task.heads * task.queries <= kAttentionRowsMax &&
                         task.streams * team.threads * AttentionPartialFloats(task) <=
                             static_cast<std::int64_t>(team.shared_floats);
  if (can_split) return {task.key_heads, true};
  return {std::clamp<std::int64_t>(task.key_heads / team.threads, 1, fit), false};
}

std::int64_t AttentionPartCount(const AttentionTask& task, const AttentionPlan& plan) {
  return task.streams * Spans(task, plan) * TilesOfHead(task);
}

AttentionPart AttentionPartAt(const AttentionTask& task, const AttentionPlan& plan,
                              std::int64_t index) {
  const std::int64_t tiles = TilesOfHead(task);
  const std::int64_t spans = Spans(task, plan);
  const std::int64_t first = index % tiles * kAttentionRowsMax;
  const std::int64_t head = index / tiles % spans * plan.together;
  return {.stream = index / tiles / spans,
          .key_head = head,
          .key_heads = std::min(plan.together, task.key_heads - head),
          .first = first,
          .rows = std::min(kAttentionRowsMax, RowsOfHead(task) - first)};
}

}  // namespace penstock::engine
