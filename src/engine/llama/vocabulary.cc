#include "engine/llama/vocabulary.h"

#include <fmt/core.h>
#include <llama.h>

#include <exception>
#include <utility>

#include "engine/llama/backend.h"
#include "engine/llama/gguf_check.h"

namespace penstock::engine {

void Vocabulary::Deleter::operator()(llama_model* model) const { llama_model_free(model); }

Vocabulary::Vocabulary(Handle model)
    : model_(std::move(model)), tokenizer_(llama_model_get_vocab(model_.get())) {}

Result<std::unique_ptr<Vocabulary>> Vocabulary::Load(const std::string& path) try {
  // A file with a vocabulary alone is sound, though no model that can run.
  if (auto summary = CheckModelFile(path); !summary && summary.error().code != Code::kUnsupported) {
    return Fail(std::move(summary.error()));
  }
  if (Status started = StartBackend(); !started) return Fail(started.error());
  llama_model_params parameters = llama_model_default_params();
  parameters.vocab_only = true;
  Handle handle(llama_model_load_from_file(path.c_str(), parameters));
  if (!handle) {
    return Fail(Code::kUnsupported,
                fmt::format("{}: llama.cpp {} cannot load this vocabulary; its reason stands in "
                            "the log above",
                            path, LlamaVersion()),
                "tokenizer");
  }
  return std::unique_ptr<Vocabulary>(new Vocabulary(std::move(handle)));
} catch (const std::exception& error) {
  return Fail(Code::kCorrupt, fmt::format("{}: {}", path, error.what()), "tokenizer");
}

}  // namespace penstock::engine
