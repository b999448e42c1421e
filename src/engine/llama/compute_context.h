// ComputeContext: one llama_context: cells for several sequences, and the step that computes on
// them.
//
// Belongs to one thread. Each sequence has cells of its own (no unified cache: see README).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/llama/model.h"
#include "engine/llama/sequence_state.h"
#include "engine/llama/thread_pool.h"

struct llama_context;

namespace penstock::engine {

struct ComputeOptions {
  int sequences = 8;               // 1 to 256.
  int tokens_per_sequence = 4096;  // Prompt and output.
  int step_tokens_max = 512;       // Tokens that one Compute() takes.
  int micro_batch = 512;           // Tokens that one pass over the weights takes.
  int threads = 1;
  bool flash_attention = false;
};

// Tokens to append to one sequence.
struct SequencePart {
  int sequence;
  int position;  // Where the first token goes: the sequence's present length.
  std::span<const TokenId> tokens;
  bool wants_output;  // Logits after the last token; for embedding models, the sequence's vector.
};

class ComputeContext {
 public:
  // `model` and `threads` outlive the context. kExhausted when llama.cpp cannot make it.
  static Result<std::unique_ptr<ComputeContext>> Create(const Model& model,
                                                        const ComputeOptions& options,
                                                        const ThreadPool& threads);
  ~ComputeContext();

  void UseThreads(int threads);

  // Computes one step. Each sequence appears at most once. After a failure (kInternal) the cells of
  // the sequences in `parts` are undefined: clear them.
  Status Compute(std::span<const SequencePart> parts);

  // Results of the last Compute(), until the next; `part` is an index into its argument, of a part
  // that wanted output. Logits may be changed in place.
  std::span<float> Logits(int part);
  std::vector<float> Embedding(int part);

  // Keeps the first `length` cells of a sequence.
  void Truncate(int sequence, int length);
  int Length(int sequence) const { return lengths_[static_cast<std::size_t>(sequence)]; }

  // The sequence's state, into memory of the context: good until the next call of any kind.
  // kUnsupported: see sequence_state.h.
  Result<StateView> Read(int sequence);
  // Replaces the sequence's cells.
  Status Write(int sequence, const CellShape& shape, std::span<const CellPiece> pieces);

 private:
  struct Free {
    void operator()(llama_context* context) const;
  };

  ComputeContext(const Model& model, const ComputeOptions& options);
  void Push(TokenId token, int position, int sequence, bool output);
  void Assemble(std::span<const SequencePart> parts);
  void FillGap(int after, int before);

  const Model& model_;
  ComputeOptions options_;
  bool embeds_;
  std::unique_ptr<llama_context, Free> context_;

  // The batch, as llama.cpp wants it: parallel arrays.
  std::vector<std::int32_t> tokens_;
  std::vector<std::int32_t> positions_;
  std::vector<std::int32_t> sequence_ids_;  // [s] = s, for pointers into it.
  std::vector<std::int32_t> sequence_counts_;
  std::vector<std::int32_t*> sequence_pointers_;
  std::vector<std::int8_t> outputs_;
  int size_ = 0;

  std::vector<int> lengths_;       // Of each sequence.
  std::vector<int> order_;         // Parts by sequence.
  std::vector<int> output_index_;  // Of each part: its last token's place in the batch.
  std::vector<int> part_sequence_;
  std::vector<int> idle_;  // Sequences that got an idle token in this step.
  std::vector<std::uint8_t> state_;
};

}  // namespace penstock::engine
