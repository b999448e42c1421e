#include "convert/ml_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>

namespace penstock::convert {
namespace {

constexpr std::array<std::string_view, 3> kServedTasks = {"llm/v1/chat", "llm/v1/completions",
                                                          "llm/v1/embeddings"};
constexpr std::size_t kEntriesMax = 1000;
constexpr std::size_t kNestingMax = 64;

// The text of a scalar, "" of anything else.
std::string Text(const YAML::Node& node) {
  return node.IsDefined() && node.IsScalar() ? node.Scalar() : std::string();
}

// yaml-cpp reads nested documents by recursion. Flow brackets and indentation are all that nests.
bool NestsTooDeep(std::string_view text) {
  std::size_t open = 0;
  std::size_t indent = 0;
  bool at_start = true;
  for (const char c : text) {
    if (c == '[' || c == '{') ++open;
    if ((c == ']' || c == '}') && open > 0) --open;
    if (open > kNestingMax) return true;
    if (c == '\n') {
      at_start = true;
      indent = 0;
    } else if (at_start && (c == ' ' || c == '-' || c == '?')) {
      // "- - - x" and "? ? x" nest within one line.
      indent += c == ' ' ? 1 : 4;
      if (indent > 8 * kNestingMax) return true;
    } else {
      at_start = false;
    }
  }
  return false;
}

void ReadTransformers(const YAML::Node& flavor, MlModel& model) {
  model.pipeline_task = Text(flavor["task"]);
  model.inference_task = Text(flavor["inference_task"]);
  model.pipeline_model_type = Text(flavor["pipeline_model_type"]);
  model.source_model_name = Text(flavor["source_model_name"]);
  model.source_model_revision = Text(flavor["source_model_revision"]);
  model.peft_adaptor = Text(flavor["peft_adaptor"]);
  if (const auto binary = flavor["model_binary"]; binary && binary.IsScalar()) {
    model.model_binary = binary.Scalar();
  }
  if (const auto components = flavor["components"]; components && components.IsSequence()) {
    for (const auto& component : components) model.components.push_back(Text(component));
  }
}

Result<MlModel> Read(const YAML::Node& root) {
  if (!root.IsMap()) return Fail(Code::kCorrupt, "MLmodel is not a YAML map");
  const YAML::Node flavors = root["flavors"];
  if (!flavors.IsDefined() || !flavors.IsMap() || flavors.size() > kEntriesMax) {
    return Fail(Code::kCorrupt, "MLmodel has no flavors");
  }
  MlModel model;
  for (const auto& flavor : flavors) model.flavors.push_back(Text(flavor.first));
  std::ranges::sort(model.flavors);
  model.mlflow_version = Text(root["mlflow_version"]);
  model.run_id = Text(root["run_id"]);
  model.model_uuid = Text(root["model_uuid"]);
  if (const auto flavor = flavors["transformers"]; flavor && flavor.IsMap()) {
    ReadTransformers(flavor, model);
  }
  if (const auto metadata = root["metadata"]; metadata && metadata.IsMap()) {
    for (const auto& entry : metadata) {
      if (model.metadata.size() >= kEntriesMax) break;
      if (entry.first.IsScalar() && entry.second.IsScalar()) {
        model.metadata[entry.first.Scalar()] = entry.second.Scalar();
      }
    }
  }
  return model;
}

}  // namespace

Result<MlModel> ParseMlModel(std::string_view text) {
  if (text.size() > kMlModelSizeMax) {
    return Fail(Code::kTooLarge, fmt::format("MLmodel has {} bytes, at most {} are read",
                                             text.size(), kMlModelSizeMax));
  }
  if (NestsTooDeep(text)) {
    return Fail(Code::kCorrupt, fmt::format("MLmodel nests more than {} levels", kNestingMax));
  }
  try {
    return Read(YAML::Load(std::string(text)));
  } catch (const YAML::Exception& exception) {
    return Fail(Code::kCorrupt, fmt::format("MLmodel is not YAML: {}", exception.what()));
  }
}

std::string TaskOf(const MlModel& model) {
  if (!model.inference_task.empty()) return model.inference_task;
  const auto found = model.metadata.find("task");
  return found == model.metadata.end() ? std::string() : found->second;
}

bool IsServedTask(std::string_view task) {
  return (std::ranges::find(kServedTasks, task) != kServedTasks.end());
}

Status CheckServable(const MlModel& model) {
  if (!std::ranges::binary_search(model.flavors, std::string("transformers"))) {
    return Fail(Code::kUnsupported,
                fmt::format("the model was logged with the flavors {}; only \"transformers\" can "
                            "be served",
                            fmt::join(model.flavors, ", ")));
  }
  const std::string task = TaskOf(model);
  if (task.empty()) {
    return Fail(Code::kUnsupported,
                "the model was logged without a task: log it with task=\"llm/v1/chat\", "
                "\"llm/v1/completions\" or \"llm/v1/embeddings\" (in metadata before MLflow 2.12)");
  }
  if (!IsServedTask(task)) {
    return Fail(Code::kUnsupported,
                fmt::format("task {} cannot be served; these can: {}", task.substr(0, 100),
                            fmt::join(kServedTasks, ", ")));
  }
  if (!model.peft_adaptor.empty()) {
    return Fail(Code::kUnsupported,
                fmt::format("the model is an adaptor ({}); merge it into its base model before "
                            "logging",
                            model.peft_adaptor.substr(0, 100)));
  }
  return {};
}

}  // namespace penstock::convert
