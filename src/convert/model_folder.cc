#include "convert/model_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <utility>

#include "base/file.h"
#include "convert/json_fields.h"

namespace penstock::convert {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kCardMax = std::size_t{4} << 20;
constexpr std::size_t kWeightFilesMax = 1000;

bool IsFile(const std::string& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

bool IsFolder(const std::string& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

// A path inside the folder that a file of it names: not an absolute one, and not upward.
bool StaysInside(const std::string& name) {
  const fs::path path(name);
  return !name.empty() && path.is_relative() &&
         std::ranges::none_of(path, [](const fs::path& part) { return part == ".."; });
}

// "licence: apache-2.0" in the head of a README.md, which is YAML between two lines of dashes.
std::string LicenceOf(const std::string& folder) {
  const auto card = ReadSmallFile(folder + "/README.md", kCardMax);
  if (!card || !card->starts_with("---")) return {};
  const std::string head = card->substr(0, card->find("\n---", 3));
  constexpr std::string_view kKey = "\nlicense:";
  const auto at = head.find(kKey);
  if (at == std::string::npos) return {};
  std::string value = head.substr(at + kKey.size());
  value = value.substr(0, std::min<std::size_t>(value.find('\n'), 100));
  std::erase_if(value, [](char c) { return c == ' ' || c == '"' || c == '\'' || c == '\r'; });
  return value;
}

// The files that an index names, each once; else those that lie there.
Result<std::vector<std::string>> FindWeightFiles(const std::string& folder) {
  if (IsFile(folder + "/model.safetensors")) {
    return std::vector<std::string>{folder + "/model.safetensors"};
  }
  const std::string index_path = folder + "/model.safetensors.index.json";
  if (!IsFile(index_path)) {
    if (IsFile(folder + "/pytorch_model.bin") || IsFile(folder + "/pytorch_model.bin.index.json")) {
      return Fail(Code::kUnsupported,
                  fmt::format("{} holds its weights as pickled PyTorch files, which may run any "
                              "code: save them as safetensors",
                              folder));
    }
    return Fail(Code::kNotFound, fmt::format("{} has no model.safetensors", folder));
  }
  const auto index = ReadObject(index_path);
  if (!index) return Fail(index.error());
  const auto* map = FindObject(*index, "weight_map");
  if (map == nullptr) return Fail(Code::kCorrupt, fmt::format("{}: no weight_map", index_path));
  std::set<std::string> names;
  for (const auto& entry : *map) {
    if (entry.value().is_string()) names.emplace(entry.value().get_string());
  }
  if (names.empty() || names.size() > kWeightFilesMax || !std::ranges::all_of(names, StaysInside)) {
    return Fail(Code::kCorrupt, fmt::format("{}: its files are not in its folder", index_path));
  }
  std::vector<std::string> paths;
  for (const std::string& name : names) {
    paths.push_back(folder + "/" + name);
    if (!IsFile(paths.back())) {
      return Fail(Code::kNotFound, fmt::format("{} is missing; the index names it", paths.back()));
    }
  }
  return paths;
}

// Where sentence-transformers says how vectors are pooled.
Result<std::optional<Pooling>> ReadPooling(const std::string& folder) {
  const std::string path = folder + "/1_Pooling/config.json";
  if (!IsFile(path)) return std::nullopt;
  const auto pooling = ReadObject(path);
  if (!pooling) return Fail(pooling.error());
  const std::pair<const char*, Pooling> rows[] = {{"pooling_mode_mean_tokens", Pooling::kMean},
                                                  {"pooling_mode_cls_token", Pooling::kCls},
                                                  {"pooling_mode_lasttoken", Pooling::kLast}};
  for (const auto& [key, value] : rows) {
    if (FindBool(*pooling, key).value_or(false)) return value;
  }
  return Fail(Code::kUnsupported,
              fmt::format("{}: vectors can be pooled by mean, first or last token only", path));
}

// The folder of a repository in the mirror.
std::optional<std::string> InMirror(const Mirror& mirror, const std::string& repository) {
  if (mirror.folder.empty() || !StaysInside(repository)) return std::nullopt;
  std::string flat = repository;
  if (const auto slash = flat.find('/'); slash != std::string::npos) flat.replace(slash, 1, "--");
  for (const std::string& name : {repository, flat}) {
    std::string folder = mirror.folder + "/" + name;
    if (IsFolder(folder)) return folder;
  }
  return std::nullopt;
}

Result<MlModel> ReadMlModel(const std::string& path) {
  const auto text = ReadSmallFile(path, kMlModelSizeMax);
  if (!text) return Fail(text.error());
  auto model = ParseMlModel(*text);
  if (!model) return Fail(model.error().code, fmt::format("{}: {}", path, model.error().message));
  return model;
}

// Weights that MLflow only named ("save_pretrained=False").
Result<std::string> NamedWeights(const MlModel& model, const Mirror& mirror) {
  if (auto found = InMirror(mirror, model.source_model_name)) return std::move(*found);
  return Fail(
      Code::kUnsupported,
      fmt::format("the model was logged with save_pretrained=False, so its weights are not in the "
                  "folder; they are {}{} on the hub, and {}",
                  model.source_model_name.substr(0, 200),
                  model.source_model_revision.empty()
                      ? ""
                      : fmt::format(" at {}", model.source_model_revision.substr(0, 60)),
                  mirror.folder.empty()
                      ? "no folder of mirrored models is configured"
                      : fmt::format("{} does not hold them: pull them there", mirror.folder)));
}

Status ReadMlflow(const Mirror& mirror, ModelFolder& folder) {
  auto model = ReadMlModel(folder.path + "/MLmodel");
  if (!model) return Fail(model.error());
  if (auto servable = CheckServable(*model); !servable) return servable;
  folder.task = TaskOf(*model);
  if (const auto type = model->metadata.find("model_type"); type != model->metadata.end()) {
    folder.model_type = type->second;
  }
  folder.name = model->source_model_name;
  // Before MLflow 2.4.1 the folder was called "pipeline", and no key named it.
  std::string binary = model->model_binary.value_or("");
  if (binary.empty() && IsFolder(folder.path + "/pipeline")) binary = "pipeline";
  if (binary.empty()) {
    auto named = NamedWeights(*model, mirror);
    if (!named) return Fail(named.error());
    folder.weights = std::move(*named);
  } else if (!StaysInside(binary)) {
    return Fail(Code::kCorrupt,
                fmt::format("{}/MLmodel: model_binary is outside of the folder", folder.path));
  } else {
    folder.weights = folder.path + "/" + binary;
  }
  folder.tokenizer = folder.path + "/components/tokenizer";
  if (!IsFolder(folder.tokenizer)) folder.tokenizer = folder.weights;
  folder.ml_model = std::move(*model);
  return {};
}

}  // namespace

Result<ModelFolder> OpenModelFolder(const std::string& path, const Mirror& mirror) {
  if (!IsFolder(path)) return Fail(Code::kNotFound, fmt::format("{} is not a folder", path));
  ModelFolder folder{.path = path, .weights = path, .tokenizer = path};
  if (IsFile(path + "/MLmodel")) {
    if (auto read = ReadMlflow(mirror, folder); !read) return Fail(read.error());
  }
  if (!IsFile(folder.weights + "/config.json")) {
    return Fail(Code::kNotFound, fmt::format("{} has no config.json", folder.weights));
  }
  const auto config = ReadObject(folder.weights + "/config.json");
  if (!config) return Fail(config.error());
  if (folder.model_type.empty()) {
    folder.model_type = FindString(*config, "model_type").value_or("");
  }
  if (folder.name.empty()) folder.name = FindString(*config, "_name_or_path").value_or("");
  if (folder.name.empty() || folder.name.starts_with('/')) {
    folder.name = fs::path(path).lexically_normal().filename().string();
  }
  auto files = FindWeightFiles(folder.weights);
  if (!files) return Fail(files.error());
  folder.weight_files = std::move(*files);
  auto pooling = ReadPooling(folder.weights);
  if (!pooling) return Fail(pooling.error());
  folder.pooling = *pooling;
  folder.licence = LicenceOf(folder.weights);
  if (folder.licence.empty()) folder.licence = LicenceOf(path);
  return folder;
}

}  // namespace penstock::convert
