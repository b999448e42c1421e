// Context: a model's working memory for several sequences, and the step that computes on it.
//
// Belongs to one thread. On a CPU, flash attention computes long prompts a third faster, but
// decodes more slowly for many a model; and how cells are kept depends on which is used. So there
// are two llama_contexts: `slots`, where sequences live and are decoded, without flash attention;
// and `lanes`, with it, where a long prompt is computed. When it is complete, its cells move over,
// which costs a hundredth of what computing them did. The caller sees sequences only.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "engine/llama/compute_context.h"
#include "engine/llama/model.h"
#include "engine/llama/thread_pool.h"

namespace penstock::engine {

// kPrompts: in lanes only. kAuto: that, or everywhere where it is measured to be no slower, or
// where a GPU computes.
enum class FlashAttention { kAuto, kOn, kOff, kPrompts };

struct ContextOptions {
  int sequences = 8;               // 1 to 256.
  int tokens_per_sequence = 4096;  // Prompt and output.
  int step_tokens_max = 512;       // Tokens that one Decode() takes.
  int micro_batch = 512;           // Tokens that one pass over the weights takes.
  int threads = 1;
  FlashAttention flash_attention = FlashAttention::kAuto;
};

class Context {
 public:
  // Sequences that may be in a lane at once, and the tokens of a prompt that are worth one.
  static constexpr int kLanesMax = 2;
  static constexpr int kLaneTokensMin = 96;

  // `model` outlives the context. kExhausted when memory does not suffice, with the numbers.
  static Result<std::unique_ptr<Context>> Create(const Model& model, const ContextOptions& options);

  // Computes one step. Each sequence appears at most once. After a failure (kInternal) the cells of
  // the sequences in `parts` are undefined: clear them.
  Status Decode(std::span<const SequencePart> parts);

  // At most `threads` of the options; from the next Decode() on.
  void UseThreads(int threads);

  // Results of the last Decode(), until the next; `part` is an index into its argument, of a part
  // that wanted output. Logits may be changed in place.
  std::span<float> Logits(int part);
  std::vector<float> Embedding(int part);

  // Keeps the first `length` cells of a sequence; 0 forgets it.
  void Truncate(int sequence, int length);
  void Clear(int sequence) { Truncate(sequence, 0); }

  // A prompt of so many more tokens follows in this sequence: computes it in a lane where that is
  // faster and one is free.
  void Expect(int sequence, int prompt_tokens);

  // Whether cells can be taken out and put back: not so for recurrent models, and where llama.cpp
  // lays its state out otherwise than we know.
  bool copies() const { return shape_.has_value(); }
  std::size_t cell_bytes() const { return shape_ ? shape_->cell_bytes() : 0; }
  // Its prompt is being computed in a lane.
  bool InLane(int sequence) const { return lane_of_[static_cast<std::size_t>(sequence)] >= 0; }
  bool has_lanes() const { return lanes_ != nullptr; }

  // Appends `blocks` times `count` cells of a sequence from `first` on, each block in our own
  // order. REQUIRES: copies().
  Status SaveBlocks(int sequence, int first, int blocks, int count,
                    std::vector<std::uint8_t>& cells);
  // Replaces the sequence's cells.
  Status Restore(int sequence, std::span<const CellPiece> pieces);

 private:
  Context(const ContextOptions& options, int threads);
  Status FindShape();
  Status MakeLanes(const Model& model);
  Status UnifyIfFaster(const Model& model);
  Result<Duration> TimeOfDecode(ComputeContext& context, std::span<const CellPiece> pieces);
  Status MoveToSlot(int sequence);

  ContextOptions options_;
  ThreadPool threads_;  // Outlives the contexts that compute on it.
  std::unique_ptr<ComputeContext> slots_;
  std::unique_ptr<ComputeContext> lanes_;  // Null: everything is computed in the slots.
  std::optional<CellShape> shape_;
  std::vector<int> lane_of_;  // Per sequence; -1: none.

  struct Place {
    bool in_lane;
    int part;  // Index in its context's last step.
  };
  std::vector<Place> places_;  // Per part of the last step.
  std::vector<SequencePart> slot_parts_;
  std::vector<SequencePart> lane_parts_;
  std::vector<std::uint8_t> moved_;
};

}  // namespace penstock::engine
