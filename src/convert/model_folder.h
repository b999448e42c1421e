// ModelFolder: a folder with a model in it, as Hugging Face or MLflow lays it out.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "convert/ml_model.h"

namespace penstock::convert {

// Pooling of an encoder's vectors; GGUF's numbers.
enum class Pooling : std::uint32_t { kMean = 1, kCls = 2, kLast = 3 };

struct ModelFolder {
  std::string path{};                       // As given.
  std::string weights{};                    // Folder of config.json and the weights.
  std::string tokenizer{};                  // Folder of the tokenizer.
  std::vector<std::string> weight_files{};  // Paths of the safetensors files, in order.
  std::optional<MlModel> ml_model{};        // Of a folder that MLflow logged.
  std::string task{};                       // "llm/v1/chat", ...; "" where nothing says.
  std::string model_type{};                 // metadata.model_type, else config.json's "model_type".
  std::string licence{};                    // Of README.md's or MLflow's card; "" unknown.
  std::string name{};                       // For general.name.
  std::optional<Pooling> pooling{};         // As sentence-transformers says.
};

// Where weights are that a folder only names: the repository's folder on this machine, or nullopt.
// For `save_pretrained=False`; `revision` may be "".
struct Mirror {
  std::string folder{};  // Holds ORG/NAME or ORG--NAME, each a model's folder; "" none.
};

// Looks what `path` holds. Errors name the file: kNotFound (no config.json, no weights),
// kUnsupported (see CheckServable; weights that were not saved and are in no mirror; weights in
// another format), kCorrupt.
Result<ModelFolder> OpenModelFolder(const std::string& path, const Mirror& mirror);

}  // namespace penstock::convert
