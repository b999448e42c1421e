// What /metrics of a replica shows.
#include "engine/face/face.h"

namespace penstock::engine {

void Face::AddMetrics() {
  const auto add = [this](const char* name, const char* help, auto value) {
    metrics_.AddSource(
        {name, help, {}, [this, value] { return static_cast<double>(value(engine_.Metrics())); }});
  };
  using Now = const EngineMetrics&;
  add("penstock_engine_queued", "Requests that wait for a slot.", [](Now m) { return m.queued; });
  add("penstock_engine_running", "Requests that hold a slot.", [](Now m) { return m.running; });
  add("penstock_engine_slots", "Slots: sequences that may run at once.",
      [](Now m) { return m.slots; });
  add("penstock_engine_cache_tokens", "Tokens in the key-value cache.",
      [](Now m) { return m.cells_used; });
  add("penstock_engine_cache_tokens_max", "Tokens that the key-value cache holds.",
      [](Now m) { return m.cells_total; });
  add("penstock_engine_requests_finished_total", "Requests that came to their end.",
      [](Now m) { return m.requests_finished; });
  add("penstock_engine_requests_cancelled_total", "Requests whose client left.",
      [](Now m) { return m.requests_cancelled; });
  add("penstock_engine_requests_failed_total", "Requests that the model failed.",
      [](Now m) { return m.requests_failed; });
  add("penstock_engine_requests_refused_total", "Requests refused: the queue was full.",
      [](Now m) { return m.requests_refused; });
  add("penstock_engine_prompt_tokens_total", "Prompt tokens computed.",
      [](Now m) { return m.prompt_tokens; });
  add("penstock_engine_completion_tokens_total", "Tokens drawn.",
      [](Now m) { return m.completion_tokens; });
  add("penstock_engine_steps_total", "Steps: calls of the model.", [](Now m) { return m.steps; });
  add("penstock_engine_step_seconds_total", "Time in steps.",
      [](Now m) { return Seconds(m.step_time); });
  add("penstock_engine_compute_seconds_total", "Time in steps that the model's kernels took.",
      [](Now m) { return Seconds(m.computing_time); });
  add("penstock_engine_decodes_total", "Tokens of running streams computed.",
      [](Now m) { return m.decodes; });
  add("penstock_engine_mixed_steps_total", "Steps that held both running streams and prompts.",
      [](Now m) { return m.mixed_steps; });
  add("penstock_engine_step_prompt_tokens_max",
      "Prompt tokens that the last step with prompts might have had, to keep its time.",
      [](Now m) { return m.step_budget; });
  add("penstock_engine_cached_tokens_total", "Prompt tokens that were not computed again.",
      [](Now m) { return m.prefixes.cached_tokens; });
  add("penstock_engine_prefix_copies_total", "Prefixes brought to another slot.",
      [](Now m) { return m.prefixes.copies; });
  add("penstock_engine_prefix_deferrals_total",
      "Steps in which a prompt waited for another that begins alike.",
      [](Now m) { return m.prefixes.deferrals; });
  add("penstock_engine_prefix_blocks_dropped_total", "Blocks that the prefix store let go.",
      [](Now m) { return m.prefixes.blocks_dropped; });
  add("penstock_engine_prefix_store_bytes", "Bytes in the prefix store.",
      [](Now m) { return m.prefixes.store_bytes; });
  add("penstock_engine_prefix_store_bytes_max", "Bytes that the prefix store may take.",
      [](Now m) { return m.prefixes.store_bytes_max; });
  add("penstock_engine_threads", "Threads that compute; fewer where other work wants the cores.",
      [](Now m) { return m.threads; });
  add("penstock_engine_thread_reductions_total", "Times that a thread was taken away.",
      [](Now m) { return m.thread_reductions; });
  add("penstock_engine_last_step_decodes", "Running streams in the last step.",
      [](Now m) { return m.last_step.decodes; });
  add("penstock_engine_last_step_prompt_tokens", "Prompt tokens in the last step.",
      [](Now m) { return m.last_step.shape.prefill_tokens; });
}

}  // namespace penstock::engine
