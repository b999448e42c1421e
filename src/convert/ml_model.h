// MlModel: the MLmodel file of a folder that MLflow logged, and whether it can be served.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace penstock::convert {

struct MlModel {
  std::vector<std::string> flavors{};  // Names, sorted.
  std::string mlflow_version{};
  std::string run_id{};
  std::string model_uuid{};

  // Of the flavor "transformers".
  std::string pipeline_task{};        // "text-generation", ...
  std::string inference_task{};       // "llm/v1/chat", ...; MLflow 2.12 and later.
  std::string pipeline_model_type{};  // "LlamaForCausalLM", ...
  std::string source_model_name{};    // Repository on the hub.
  std::string source_model_revision{};
  std::optional<std::string> model_binary{};  // Folder of the weights; none: they were not saved.
  std::string peft_adaptor{};
  std::vector<std::string> components{};

  std::map<std::string, std::string> metadata{};  // Scalars only.
};

inline constexpr std::size_t kMlModelSizeMax = std::size_t{1} << 20;

// Parses the file's text. kCorrupt: not YAML, or not what MLflow writes.
Result<MlModel> ParseMlModel(std::string_view text);

// The task that the model was logged with: inference_task, else metadata.task. "" if none.
std::string TaskOf(const MlModel& model);

// "llm/v1/chat", "llm/v1/completions" or "llm/v1/embeddings".
bool IsServedTask(std::string_view task);

// kUnsupported, with the reason: another flavor, no task or another one, an adaptor on its own.
// Weights that were not saved are the caller's matter: it may have them elsewhere.
Status CheckServable(const MlModel& model);

}  // namespace penstock::convert
