// Stepper: what the model's thread does, one step at a time: plan, compute, draw, tell.
//
// Belongs to the model's thread; the Engine puts a thread and a lock around it.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "engine/generation.h"
#include "engine/llama/context.h"
#include "engine/llama/grammar.h"
#include "engine/prefix_cache.h"
#include "engine/request.h"
#include "engine/sampler.h"
#include "engine/scheduler.h"
#include "engine/slot_state.h"
#include "engine/thread_governor.h"

namespace penstock::engine {

// A request that was checked and has an id.
struct Admitted {
  RequestId id = 0;
  GenerationRequest request;  // For embeddings only the prompt counts.
  bool embeds = false;
  std::unique_ptr<Grammar> grammar{};  // Null: anything may be written.
  std::uint64_t seed = 0;              // Where the request gives none.
  TimePoint submitted;
};

// What one step did, for the metrics.
struct StepCounts {
  std::uint64_t prompt_tokens = 0;
  std::uint64_t completion_tokens = 0;
  std::uint64_t finished = 0;
  std::uint64_t failed = 0;
  StepPlan plan;         // What was computed together.
  Duration computing{};  // In llama.cpp, of the step's time.
};

class Stepper {
 public:
  // `prefix_bytes_max`: memory for prefixes that no slot has any more; 0: none is reused.
  Stepper(const Model& model, std::unique_ptr<Context> context, SchedulerLimits limits,
          std::size_t prefix_bytes_max, int threads);

  // A few batches, forgotten at once, so that the first request finds the weights in memory, the
  // compute buffers made, and a scheduler that knows how long steps take.
  Status WarmUp();

  // A request that cannot be scheduled ends with a failed event.
  void Admit(Admitted admitted, std::vector<Event>& events);
  void Cancel(RequestId id);

  // Computes one step that begins at `now`. False when there was nothing to do.
  bool Step(TimePoint now, std::vector<Event>& events, StepCounts& counts);

  const Scheduler& scheduler() const { return scheduler_; }
  void DescribeSlots(TimePoint now, std::vector<SlotState>& slots) const;
  const ThreadGovernor& threads() const { return threads_; }
  PrefixMetrics prefix_metrics() const { return prefixes_.Metrics(); }

 private:
  struct Sequence {
    Admitted admitted;
    Sampler sampler;
    Generation generation;
    TokenId next = 0;  // The token drawn last, to be computed in the next step.
    int cached = 0;    // Tokens of the prompt that were there.
    TimePoint started{};
    TimePoint first_token{};
  };

  Status WarmUpWith(int sequences, int tokens);
  void Gather(TimePoint now);
  void Draw(int part, Sequence& sequence, TimePoint now, std::vector<Event>& events,
            StepCounts& counts);
  std::optional<TokenId> Choose(int part, Sequence& sequence);
  void EndWithoutToken(Sequence& sequence, TimePoint now, Event& event, StepCounts& counts);
  std::string_view PieceOf(const Sequence& sequence, TokenId token);
  void Finish(Sequence& sequence, FinishReason reason, TimePoint now, Event& event);
  void FailRunning(const Error& error, std::vector<Event>& events, StepCounts& counts);
  void Remove(RequestId id, bool undefined = false);

  const Model& model_;
  std::unique_ptr<Context> context_;
  PrefixCache prefixes_;
  Scheduler scheduler_;
  ThreadGovernor threads_;
  std::unordered_map<RequestId, std::unique_ptr<Sequence>> sequences_;
  std::vector<Work> work_;           // This step's.
  std::vector<SequencePart> parts_;  // Likewise, for the context.
  std::vector<Sequence*> in_step_;   // Likewise.
  SamplerScratch scratch_;
  std::string special_;  // Scratch: how a special token is written.
  bool warm_ = false;
};

}  // namespace penstock::engine
