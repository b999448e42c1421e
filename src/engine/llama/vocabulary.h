// Vocabulary: a model file's tokenizer without its weights, for programs that only count tokens.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "engine/llama/tokenizer.h"

struct llama_model;

namespace penstock::engine {

// Safe from any thread once loaded.
class Vocabulary {
 public:
  // Of a model file, whole or with a vocabulary alone. kNotFound and kForbidden for the file,
  // kCorrupt when it is no GGUF file, kUnsupported when llama.cpp refuses it.
  static Result<std::unique_ptr<Vocabulary>> Load(const std::string& path);

  const Tokenizer& tokenizer() const { return tokenizer_; }

 private:
  struct Deleter {
    void operator()(llama_model* model) const;
  };
  using Handle = std::unique_ptr<llama_model, Deleter>;
  explicit Vocabulary(Handle model);

  Handle model_;
  Tokenizer tokenizer_;
};

}  // namespace penstock::engine
