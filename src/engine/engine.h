// Engine: one model, one thread that computes, many requests at once.
//
// Any thread submits and cancels; the model's thread decides, computes, draws, and hands what
// happened to the sink, once a step for all sequences together. The sink must not block: it moves
// the events to where they are awaited. See scheduler.h for who runs when.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/engine_options.h"
#include "engine/llama/chat_template.h"
#include "engine/llama/context.h"
#include "engine/llama/model.h"
#include "engine/llama/placement.h"
#include "engine/prefix_cache.h"
#include "engine/request.h"
#include "engine/scheduler.h"
#include "engine/slot_state.h"

namespace penstock::engine {

// What /metrics shows. Counters only grow.
struct EngineMetrics {
  int queued = 0;
  int running = 0;
  int slots = 0;
  int cells_used = 0;  // Tokens in the key-value cache.
  int cells_total = 0;
  std::uint64_t requests_finished = 0;
  std::uint64_t requests_cancelled = 0;
  std::uint64_t requests_failed = 0;
  std::uint64_t requests_refused = 0;  // The queue was full.
  std::uint64_t prompt_tokens = 0;     // Computed.
  std::uint64_t completion_tokens = 0;
  std::uint64_t steps = 0;
  Duration step_time{};           // Sum over steps.
  Duration computing_time{};      // Of it, in llama.cpp.
  std::uint64_t decodes = 0;      // Sum over steps: tokens of running streams.
  std::uint64_t mixed_steps = 0;  // With decodes and prompts.
  int step_budget = 0;            // Prompt tokens that the last step with prompts might have had.
  StepPlan last_step;
  int threads = 0;  // That compute: fewer than the option says where other work wants the cores.
  std::uint64_t thread_reductions = 0;
  PrefixMetrics prefixes;
};

// All events of one step. Called on the model's thread.
using EventSink = std::function<void(std::vector<Event> events)>;

class Engine {
 public:
  // Loads the model (seconds for a large one), computes a first batch to warm up, starts the
  // thread. kInvalidArgument naming the option; the errors of Model::Load and Context::Create.
  static Result<std::unique_ptr<Engine>> Start(EngineOptions options, EventSink sink);

  // Stops: requests that are under way get no more events. Joins the thread.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Takes a request; its events come through the sink until the one that ends it. The sink may see
  // the first event before Submit returns. kUnavailable: parallel + queued_max requests are under
  // way. kInvalidArgument: the message names field, value and limit, or this model's other task.
  Result<RequestId> Submit(GenerationRequest request);
  Result<RequestId> Embed(std::vector<TokenId> prompt);

  // Ends a request. Its slot is free within one step, and no event of it follows the batch that may
  // be under way. Unknown and finished ids are ignored.
  void Cancel(RequestId id);

  EngineMetrics Metrics() const;
  std::vector<SlotState> Slots() const;

  const Model& model() const;
  const ChatTemplate& chat_template() const;  // The model's own; ChatML where it has none.
  int context_tokens() const;                 // Limit for prompt and output together.
  const EngineOptions& options() const;       // With every 0 replaced by what it meant.

 private:
  class Core;
  explicit Engine(std::unique_ptr<Core> core);

  std::unique_ptr<Core> core_;
};

}  // namespace penstock::engine
