// One step of llama.cpp over many sequences.
#include "engine/llama/compute_context.h"

#include <fmt/core.h>
#include <llama.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <numeric>

#include "base/check.h"

namespace penstock::engine {
namespace {

llama_context_params Parameters(const Model& model, const ComputeOptions& options) {
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
  parameters.flash_attn_type =
      options.flash_attention ? LLAMA_FLASH_ATTN_TYPE_ENABLED : LLAMA_FLASH_ATTN_TYPE_DISABLED;
  parameters.embeddings = embeds;
  parameters.kv_unified = false;
  parameters.no_perf = true;
  if (embeds) parameters.n_ubatch = parameters.n_batch;
  return parameters;
}

}  // namespace

void ComputeContext::Free::operator()(llama_context* context) const {
  llama_detach_threadpool(context);
  llama_free(context);
}

ComputeContext::ComputeContext(const Model& model, const ComputeOptions& options)
    : model_(model), options_(options), embeds_(model.info().task == ModelTask::kEmbed) {
  const auto sequences = static_cast<std::size_t>(options.sequences);
  const std::size_t room = static_cast<std::size_t>(options.step_tokens_max) + sequences;
  tokens_.resize(room);
  positions_.resize(room);
  sequence_counts_.assign(room, 1);
  sequence_pointers_.resize(room);
  outputs_.resize(room);
  sequence_ids_.resize(sequences);
  std::iota(sequence_ids_.begin(), sequence_ids_.end(), 0);
  lengths_.assign(sequences, 0);
}

ComputeContext::~ComputeContext() = default;

Result<std::unique_ptr<ComputeContext>> ComputeContext::Create(const Model& model,
                                                               const ComputeOptions& options,
                                                               const ThreadPool& threads) try {
  std::unique_ptr<ComputeContext> made(new ComputeContext(model, options));
  made->context_.reset(llama_init_from_model(model.get(), Parameters(model, options)));
  if (!made->context_) {
    return Fail(
        Code::kExhausted,
        fmt::format("llama.cpp cannot make a context of {} sequences of {} tokens; its reason "
                    "stands in the log above",
                    options.sequences, options.tokens_per_sequence),
        "context");
  }
  threads.AttachTo(made->context_.get());
  return made;
} catch (const std::exception& error) {
  return Fail(Code::kInternal, fmt::format("llama.cpp: {}", error.what()));
}

void ComputeContext::UseThreads(int threads) {
  llama_set_n_threads(context_.get(), threads, threads);
}

void ComputeContext::Push(TokenId token, int position, int sequence, bool output) {
  tokens_[size_] = token;
  positions_[size_] = position;
  sequence_pointers_[size_] = &sequence_ids_[sequence];
  outputs_[size_] = output ? 1 : 0;
  ++size_;
}

// llama.cpp computes sequences together only while their ids follow each other without a gap; a gap
// splits the step into two passes over the weights. One idle token in each sequence of the gap,
// taken back after the step, costs a row of a matrix instead.
void ComputeContext::FillGap(int after, int before) {
  if (embeds_ || !model_.info().keeps_partial) return;
  for (int sequence = after + 1; sequence < before; ++sequence) {
    if (lengths_[sequence] >= options_.tokens_per_sequence) return;
    Push(0, lengths_[sequence], sequence, false);
    idle_.push_back(sequence);
  }
}

void ComputeContext::Assemble(std::span<const SequencePart> parts) {
  size_ = 0;
  idle_.clear();
  order_.resize(parts.size());
  std::iota(order_.begin(), order_.end(), 0);
  std::ranges::sort(order_, {}, [&](int i) { return parts[i].sequence; });
  output_index_.resize(parts.size());
  part_sequence_.resize(parts.size());
  int previous = -1;
  for (const int i : order_) {
    const SequencePart& part = parts[i];
    CHECK(part.sequence >= 0 && part.sequence < options_.sequences && !part.tokens.empty(),
          "a part names one of the context's sequences");
    CHECK(size_ + part.tokens.size() <= tokens_.size(), "a step is at most step_tokens_max");
    if (previous >= 0 && size_ + (part.sequence - previous) < options_.step_tokens_max) {
      FillGap(previous, part.sequence);
    }
    for (std::size_t j = 0; j < part.tokens.size(); ++j) {
      const bool last = j + 1 == part.tokens.size();
      Push(part.tokens[j], part.position + static_cast<int>(j), part.sequence,
           embeds_ || (last && part.wants_output));
    }
    output_index_[i] = size_ - 1;
    part_sequence_[i] = part.sequence;
    lengths_[part.sequence] = part.position + static_cast<int>(part.tokens.size());
    previous = part.sequence;
  }
}

Status ComputeContext::Compute(std::span<const SequencePart> parts) try {
  Assemble(parts);
  const llama_batch batch{.n_tokens = size_,
                          .token = tokens_.data(),
                          .embd = nullptr,
                          .pos = positions_.data(),
                          .n_seq_id = sequence_counts_.data(),
                          .seq_id = sequence_pointers_.data(),
                          .logits = outputs_.data()};
  const int answer = llama_decode(context_.get(), batch);
  const llama_memory_t memory = llama_get_memory(context_.get());
  for (const int sequence : idle_) llama_memory_seq_rm(memory, sequence, lengths_[sequence], -1);
  if (answer == 0) return {};
  return Fail(Code::kInternal, fmt::format("llama_decode of {} tokens in {} sequences answered {}",
                                           size_, parts.size(), answer));
} catch (const std::exception& error) {
  return Fail(Code::kInternal, fmt::format("llama_decode: {}", error.what()));
}

std::span<float> ComputeContext::Logits(int part) {
  float* logits = llama_get_logits_ith(context_.get(), output_index_[part]);
  CHECK(logits != nullptr, "the part wanted output");
  return {logits, static_cast<std::size_t>(model_.tokenizer().size())};
}

std::vector<float> ComputeContext::Embedding(int part) {
  const float* values = llama_get_embeddings_seq(context_.get(), part_sequence_[part]);
  if (values == nullptr) values = llama_get_embeddings_ith(context_.get(), output_index_[part]);
  CHECK(values != nullptr, "the part wanted output");
  const auto size = static_cast<std::size_t>(model_.info().embedding_size);
  std::vector<float> result(values, values + size);
  if (!model_.info().normalises) return result;
  double squares = 0;
  for (const float value : result) squares += static_cast<double>(value) * value;
  const auto scale = static_cast<float>(squares > 0 ? 1 / std::sqrt(squares) : 0);
  for (float& value : result) value *= scale;
  return result;
}

void ComputeContext::Truncate(int sequence, int length) {
  lengths_[sequence] = std::min(lengths_[sequence], length);
  if (const llama_memory_t memory = llama_get_memory(context_.get())) {
    llama_memory_seq_rm(memory, sequence, length, -1);
  }
}

Result<StateView> ComputeContext::Read(int sequence) {
  const std::size_t size = llama_state_seq_get_size(context_.get(), sequence);
  if (state_.size() < size) state_.resize(size);
  const std::size_t got = llama_state_seq_get_data(context_.get(), state_.data(), size, sequence);
  if (got != size) {
    return Fail(Code::kInternal,
                fmt::format("llama.cpp gave {} of {} bytes of a sequence", got, size));
  }
  return ReadState({state_.data(), size});
}

Status ComputeContext::Write(int sequence, const CellShape& shape,
                             std::span<const CellPiece> pieces) {
  WriteState(shape,
             {.streams = static_cast<std::uint32_t>(options_.sequences),
              .values_transposed = !options_.flash_attention},
             pieces, state_);
  Truncate(sequence, 0);
  if (llama_state_seq_set_data(context_.get(), state_.data(), state_.size(), sequence) !=
      state_.size()) {
    Truncate(sequence, 0);
    return Fail(Code::kInternal, "llama.cpp did not take a sequence's state back");
  }
  lengths_[sequence] = 0;
  for (const CellPiece& piece : pieces) lengths_[sequence] += piece.used;
  return {};
}

}  // namespace penstock::engine
