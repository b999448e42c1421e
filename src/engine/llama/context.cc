// One step of llama.cpp over many sequences.
#include "engine/llama/context.h"

#include <fmt/core.h>
#include <ggml-backend.h>
#include <llama.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <numeric>

#include "base/check.h"
#include "engine/llama/thread_pool.h"

namespace penstock::engine {
namespace {

struct ContextDeleter {
  void operator()(llama_context* context) const { llama_free(context); }
};

llama_flash_attn_type FlashAttentionType(FlashAttention choice) {
  switch (choice) {
    case FlashAttention::kOn:
      return LLAMA_FLASH_ATTN_TYPE_ENABLED;
    case FlashAttention::kOff:
      return LLAMA_FLASH_ATTN_TYPE_DISABLED;
    case FlashAttention::kAuto:
      break;
  }
  return ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_GPU) != nullptr
             ? LLAMA_FLASH_ATTN_TYPE_AUTO
             : LLAMA_FLASH_ATTN_TYPE_DISABLED;
}

llama_context_params Parameters(const Model& model, const ContextOptions& options) {
  const bool embeds = model.info().task == ModelTask::kEmbed;
  llama_context_params parameters = llama_context_default_params();
  const auto sequences = static_cast<std::uint32_t>(options.sequences);
  // llama.cpp rounds each sequence's cells up to 256.
  parameters.n_ctx =
      sequences * ((static_cast<std::uint32_t>(options.tokens_per_sequence) + 255) / 256 * 256);
  // Room for one idle token in each sequence beside the step's own: see Assemble().
  parameters.n_batch = static_cast<std::uint32_t>(options.step_tokens_max) + sequences;
  parameters.n_ubatch = static_cast<std::uint32_t>(options.micro_batch);
  parameters.n_seq_max = sequences;
  parameters.n_threads = options.threads;
  parameters.n_threads_batch = options.threads;
  parameters.flash_attn_type = FlashAttentionType(options.flash_attention);
  parameters.embeddings = embeds;
  parameters.kv_unified = false;
  parameters.no_perf = true;
  if (embeds) parameters.n_ubatch = parameters.n_batch;
  return parameters;
}

}  // namespace

struct Context::State {
  const Model* model;  // Borrowed.
  ContextOptions options;
  ThreadPool threads;  // Outlives the context that computes on it.
  std::unique_ptr<llama_context, ContextDeleter> context;
  bool embeds = false;

  // The batch, as llama.cpp wants it: parallel arrays.
  std::vector<llama_token> tokens;
  std::vector<llama_pos> positions;
  std::vector<llama_seq_id> sequence_ids;  // [s] = s, for pointers into it.
  std::vector<std::int32_t> sequence_counts;
  std::vector<llama_seq_id*> sequence_pointers;
  std::vector<std::int8_t> outputs;
  int size = 0;

  std::vector<int> lengths;       // Of each sequence.
  std::vector<int> order;         // Parts by sequence.
  std::vector<int> output_index;  // Of each part: its last token's place in the batch.
  std::vector<int> part_sequence;
  std::vector<int> idle;  // Sequences that got an idle token in this step.

  State(const Model& of, const ContextOptions& chosen)
      : model(&of), options(chosen), threads(chosen.threads) {}

  void Reserve();
  void Push(llama_token token, int position, int sequence, bool output);
  void Assemble(std::span<const SequencePart> parts);
  void FillGap(int after, int before);
};

void Context::State::Reserve() {
  const auto room = static_cast<std::size_t>(options.step_tokens_max) +
                    static_cast<std::size_t>(options.sequences);
  tokens.resize(room);
  positions.resize(room);
  sequence_counts.assign(room, 1);
  sequence_pointers.resize(room);
  outputs.resize(room);
  sequence_ids.resize(static_cast<std::size_t>(options.sequences));
  std::iota(sequence_ids.begin(), sequence_ids.end(), 0);
  lengths.assign(static_cast<std::size_t>(options.sequences), 0);
}

void Context::State::Push(llama_token token, int position, int sequence, bool output) {
  tokens[size] = token;
  positions[size] = position;
  sequence_pointers[size] = &sequence_ids[sequence];
  outputs[size] = output ? 1 : 0;
  ++size;
}

// llama.cpp computes sequences together only while their ids follow each other without a gap; a gap
// splits the step into two passes over the weights. One idle token in each sequence of the gap,
// taken back after the step, costs a row of a matrix instead.
void Context::State::FillGap(int after, int before) {
  if (embeds || !model->info().keeps_partial) return;
  for (int sequence = after + 1; sequence < before; ++sequence) {
    if (lengths[sequence] >= options.tokens_per_sequence) return;
    Push(0, lengths[sequence], sequence, false);
    idle.push_back(sequence);
  }
}

void Context::State::Assemble(std::span<const SequencePart> parts) {
  size = 0;
  idle.clear();
  order.resize(parts.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, {}, [&](int i) { return parts[i].sequence; });
  output_index.resize(parts.size());
  part_sequence.resize(parts.size());
  int previous = -1;
  for (const int i : order) {
    const SequencePart& part = parts[i];
    CHECK(part.sequence >= 0 && part.sequence < options.sequences && !part.tokens.empty(),
          "a part names one of the context's sequences");
    CHECK(size + part.tokens.size() <= tokens.size(), "a step is at most step_tokens_max");
    if (previous >= 0 && size + (part.sequence - previous) < options.step_tokens_max) {
      FillGap(previous, part.sequence);
    }
    for (std::size_t j = 0; j < part.tokens.size(); ++j) {
      const bool last = j + 1 == part.tokens.size();
      Push(part.tokens[j], part.position + static_cast<int>(j), part.sequence,
           embeds || (last && part.wants_output));
    }
    output_index[i] = size - 1;
    part_sequence[i] = part.sequence;
    lengths[part.sequence] = part.position + static_cast<int>(part.tokens.size());
    previous = part.sequence;
  }
}

Context::Context(std::unique_ptr<State> state) : state_(std::move(state)) {}

Context::~Context() {
  if (state_->context) llama_detach_threadpool(state_->context.get());
}

Result<std::unique_ptr<Context>> Context::Create(const Model& model,
                                                 const ContextOptions& options) try {
  if (const auto available = AvailableMemoryBytes()) {
    Status fits = CheckMemory(model.summary(), static_cast<std::uint64_t>(options.sequences),
                              static_cast<std::uint64_t>(options.tokens_per_sequence), *available);
    if (!fits) return Fail(fits.error());
  }
  auto state = std::make_unique<State>(model, options);
  state->embeds = model.info().task == ModelTask::kEmbed;
  state->Reserve();
  state->context.reset(llama_init_from_model(model.get(), Parameters(model, options)));
  if (!state->context) {
    return Fail(
        Code::kExhausted,
        fmt::format("llama.cpp cannot make a context of {} sequences of {} tokens; its reason "
                    "stands in the log above",
                    options.sequences, options.tokens_per_sequence),
        "context");
  }
  state->threads.AttachTo(state->context.get());
  return std::unique_ptr<Context>(new Context(std::move(state)));
} catch (const std::exception& error) {
  return Fail(Code::kInternal, fmt::format("llama.cpp: {}", error.what()));
}

Status Context::Decode(std::span<const SequencePart> parts) try {
  State& state = *state_;
  state.Assemble(parts);
  const llama_batch batch{.n_tokens = state.size,
                          .token = state.tokens.data(),
                          .embd = nullptr,
                          .pos = state.positions.data(),
                          .n_seq_id = state.sequence_counts.data(),
                          .seq_id = state.sequence_pointers.data(),
                          .logits = state.outputs.data()};
  const int answer = llama_decode(state.context.get(), batch);
  const llama_memory_t memory = llama_get_memory(state.context.get());
  for (const int sequence : state.idle) {
    llama_memory_seq_rm(memory, sequence, state.lengths[sequence], -1);
  }
  if (answer == 0) return {};
  return Fail(Code::kInternal, fmt::format("llama_decode of {} tokens in {} sequences answered {}",
                                           state.size, parts.size(), answer));
} catch (const std::exception& error) {
  return Fail(Code::kInternal, fmt::format("llama_decode: {}", error.what()));
}

std::span<float> Context::Logits(int part) {
  float* logits = llama_get_logits_ith(state_->context.get(), state_->output_index[part]);
  CHECK(logits != nullptr, "the part wanted output");
  return {logits, static_cast<std::size_t>(state_->model->tokenizer().size())};
}

std::vector<float> Context::Embedding(int part) {
  const float* values =
      llama_get_embeddings_seq(state_->context.get(), state_->part_sequence[part]);
  if (values == nullptr) {
    values = llama_get_embeddings_ith(state_->context.get(), state_->output_index[part]);
  }
  CHECK(values != nullptr, "the part wanted output");
  const bool score = !state_->model->info().normalises;
  const auto size = static_cast<std::size_t>(score ? 1 : state_->model->info().embedding_size);
  std::vector<float> result(values, values + size);
  if (score) return result;
  double squares = 0;
  for (const float value : result) squares += static_cast<double>(value) * value;
  const auto scale = static_cast<float>(squares > 0 ? 1 / std::sqrt(squares) : 0);
  for (float& value : result) value *= scale;
  return result;
}

void Context::Clear(int sequence) {
  state_->lengths[sequence] = 0;
  if (const llama_memory_t memory = llama_get_memory(state_->context.get())) {
    llama_memory_seq_rm(memory, sequence, -1, -1);
  }
}

}  // namespace penstock::engine
