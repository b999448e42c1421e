// Model: a GGUF model, loaded (mapped) and immutable.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "engine/llama/gguf_check.h"
#include "engine/llama/tokenizer.h"

struct llama_model;

namespace penstock::engine {

enum class ModelTask {
  kGenerate,  // Draws tokens.
  kEmbed,     // Gives one vector for a text.
};

struct ModelInfo {
  std::string description;  // "llama 15M Q8_0", as llama.cpp puts it.
  ModelTask task = ModelTask::kGenerate;
  int context_trained = 0;     // Tokens.
  int embedding_size = 0;      // Values of a vector.
  bool whole_prompts = false;  // Attention looks both ways: a prompt cannot be cut.
  bool keeps_partial = true;  // The end of a sequence can be removed (not so for recurrent models).
  bool normalises = true;     // Embeddings are brought to length 1: all but scores and GTE v1.5's.
  std::string chat_template;  // The model's own, "" if it has none.
  std::uint64_t parameters = 0;
  std::uint64_t bytes = 0;
};

// Safe from any thread once loaded.
class Model {
 public:
  // Checks the file (see gguf_check.h for errors), then loads it. kUnsupported or kCorrupt when
  // llama.cpp refuses it; its own words are in the log. `gpu_layers` go to GPUs (placement.h).
  static Result<std::unique_ptr<Model>> Load(const std::string& path, int gpu_layers = 0);

  const ModelInfo& info() const { return info_; }
  const GgufSummary& summary() const { return summary_; }
  int gpu_layers() const { return gpu_layers_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  llama_model* get() const { return model_.get(); }

 private:
  struct Deleter {
    void operator()(llama_model* model) const;
  };
  using Handle = std::unique_ptr<llama_model, Deleter>;
  Model(Handle model, GgufSummary summary, int gpu_layers);

  Handle model_;
  GgufSummary summary_;
  int gpu_layers_;
  ModelInfo info_;
  Tokenizer tokenizer_;
};

}  // namespace penstock::engine
