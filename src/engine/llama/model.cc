// Loading a model, and finding out what it is for.
#include "engine/llama/model.h"

#include <fmt/core.h>
#include <llama.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <exception>

#include "engine/llama/backend.h"

namespace penstock::engine {
namespace {

std::string Metadata(const llama_model* model, const std::string& key) {
  std::array<char, 256> buffer{};
  const int length = llama_model_meta_val_str(model, key.c_str(), buffer.data(), buffer.size());
  return length < 0 ? std::string() : std::string(buffer.data());
}

// Whether what a model gives is its vector as it is: the users of GTE v1.5 reckon with its length.
bool StaysAsItIs(const llama_model* model) {
  std::string name;
  for (const char* key : {"general.name", "general.basename", "general.version"}) {
    name += Metadata(model, key) + " ";
  }
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  return name.contains("gte") && name.contains("v1.5");
}

// A model is for embeddings when it names a pooling, or when its attention looks both ways.
void FindTask(const llama_model* model, const std::string& architecture, ModelInfo& info) {
  const std::string pooling = Metadata(model, architecture + ".pooling_type");
  const bool pools = !pooling.empty() && pooling != "0" && pooling != "-1";
  info.whole_prompts = Metadata(model, architecture + ".attention.causal") == "false";
  if (pools || info.whole_prompts) info.task = ModelTask::kEmbed;
  const bool score = pooling == "4";  // Rank.
  info.normalises = !score && !StaysAsItIs(model);
  info.embedding_size = score ? 1 : llama_model_n_embd_out(model);
}

ModelInfo Describe(const llama_model* model, const std::string& architecture) {
  ModelInfo info;
  std::array<char, 256> text{};
  llama_model_desc(model, text.data(), text.size());
  info.description = text.data();
  info.context_trained = llama_model_n_ctx_train(model);
  info.keeps_partial = !llama_model_is_recurrent(model) && !llama_model_is_hybrid(model) &&
                       llama_model_n_swa(model) == 0;
  info.parameters = llama_model_n_params(model);
  info.bytes = llama_model_size(model);
  if (const char* own = llama_model_chat_template(model, nullptr)) info.chat_template = own;
  FindTask(model, architecture, info);
  return info;
}

}  // namespace

void Model::Deleter::operator()(llama_model* model) const { llama_model_free(model); }

Model::Model(Handle model, GgufSummary summary, int gpu_layers)
    : model_(std::move(model)),
      summary_(std::move(summary)),
      gpu_layers_(gpu_layers),
      info_(Describe(model_.get(), summary_.architecture)),
      tokenizer_(llama_model_get_vocab(model_.get())) {}

Result<std::unique_ptr<Model>> Model::Load(const std::string& path, int gpu_layers) try {
  auto summary = CheckModelFile(path);
  if (!summary) return Fail(std::move(summary.error()));
  if (Status started = StartBackend(); !started) return Fail(started.error());
  llama_model_params parameters = llama_model_default_params();
  parameters.n_gpu_layers = gpu_layers;
  Handle handle(llama_model_load_from_file(path.c_str(), parameters));
  if (!handle) {
    return Fail(
        Code::kUnsupported,
        fmt::format("{}: llama.cpp {} cannot load this model of architecture '{}'; its reason "
                    "stands in the log above",
                    path, LlamaVersion(), summary->architecture),
        "model");
  }
  if (llama_model_has_encoder(handle.get()) || llama_model_is_diffusion(handle.get())) {
    return Fail(Code::kUnsupported,
                fmt::format("{}: architecture '{}' is no decoder and no embedding model", path,
                            summary->architecture),
                "model");
  }
  return std::unique_ptr<Model>(new Model(std::move(handle), std::move(*summary), gpu_layers));
} catch (const std::exception& error) {
  return Fail(Code::kCorrupt, fmt::format("{}: {}", path, error.what()), "model");
}

}  // namespace penstock::engine
