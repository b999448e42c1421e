// Context: a model's working memory for several sequences, and the step that computes on it.
//
// Belongs to one thread. Each sequence has cells of its own (no unified cache: see README).
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/llama/model.h"

struct llama_context;

namespace penstock::engine {

// Flash attention on a CPU speeds long prefills by a third and slows decoding at depth by as much
// or more; kAuto takes it where a GPU computes and leaves it where only CPUs do.
enum class FlashAttention { kAuto, kOn, kOff };

struct ContextOptions {
  int sequences = 8;               // 1 to 256.
  int tokens_per_sequence = 4096;  // Prompt and output.
  int step_tokens_max = 512;       // Tokens that one Decode() takes.
  int micro_batch = 512;           // Tokens that one pass over the weights takes.
  int threads = 1;
  FlashAttention flash_attention = FlashAttention::kAuto;
};

// Tokens to append to one sequence.
struct SequencePart {
  int sequence;
  int position;  // Where the first token goes: the sequence's present length.
  std::span<const TokenId> tokens;
  bool wants_output;  // Logits after the last token; for embedding models, the sequence's vector.
};

class Context {
 public:
  // `model` outlives the context. kExhausted when memory does not suffice, with the numbers.
  static Result<std::unique_ptr<Context>> Create(const Model& model, const ContextOptions& options);
  ~Context();

  // Computes one step. Each sequence appears at most once. After a failure (kInternal) the cells of
  // the sequences in `parts` are undefined: clear them.
  Status Decode(std::span<const SequencePart> parts);

  // Results of the last Decode(), until the next; `part` is an index into its argument, of a part
  // that wanted output. Logits may be changed in place.
  std::span<float> Logits(int part);
  std::vector<float> Embedding(int part);

  // Forgets a sequence.
  void Clear(int sequence);

 private:
  struct State;
  explicit Context(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace penstock::engine
