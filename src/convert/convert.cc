#include "convert/convert.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "convert/gguf_writer.h"
#include "convert/json_fields.h"
#include "convert/mapped_file.h"
#include "convert/tensor_plan.h"
#include "convert/vocabulary.h"

namespace penstock::convert {
namespace {

constexpr std::int64_t kElementsAtOnce = 1 << 20;  // Bounds the memory that a conversion takes.

struct Weights {
  std::vector<MappedFile> files;  // The table points into these.
  TensorTable table;
};

Result<Weights> OpenWeights(const std::vector<std::string>& paths) {
  Weights weights;
  for (const std::string& path : paths) {
    auto file = MappedFile::Open(path);
    if (!file) return Fail(file.error());
    auto table = ParseSafetensors(file->bytes());
    if (!table) return Fail(table.error().code, fmt::format("{}: {}", path, table.error().message));
    for (auto& [name, view] : *table) {
      if (weights.table.emplace(name, std::move(view)).second) continue;
      return Fail(Code::kCorrupt, fmt::format("{}: tensor '{}' is in another file, too", path,
                                              name.substr(0, 120)));
    }
    weights.files.push_back(std::move(*file));
  }
  return weights;
}

void AddRopeScaling(const std::string& prefix, const RopeScaling& scaling, GgufHead& head) {
  if (scaling.type != "linear" && scaling.type != "yarn") return;  // llama3's is a tensor.
  head.Add(prefix + "rope.scaling.type", scaling.type);
  head.Add(prefix + "rope.scaling.factor", static_cast<float>(scaling.factor));
  if (scaling.type == "yarn") {
    head.Add(prefix + "rope.scaling.original_context_length", scaling.original_context);
  }
}

// What MLflow's folders do not say: BGE takes the first token's vector, GTE the mean of all.
Pooling PoolingOf(const ModelFolder& folder) {
  if (folder.pooling) return *folder.pooling;
  std::string hints = folder.model_type + " " + folder.name;
  std::ranges::transform(hints, hints.begin(), [](unsigned char c) { return std::tolower(c); });
  return hints.find("bge") != std::string::npos ? Pooling::kCls : Pooling::kMean;
}

void AddArchitecture(const ModelFolder& folder, const ModelConfig& config, OutputType type,
                     GgufHead& head) {
  const std::string architecture(ArchitectureOf(config.family));
  const std::string prefix = architecture + ".";
  head.Add("general.architecture", architecture);
  head.Add("general.type", "model");
  head.Add("general.name", folder.name);
  if (!folder.licence.empty()) head.Add("general.license", folder.licence);
  head.Add("general.file_type", GgufFileTypeOf(type));
  head.Add("general.quantization_version", std::uint32_t{2});
  head.Add(prefix + "block_count", config.layers);
  head.Add(prefix + "context_length", config.context_length);
  head.Add(prefix + "embedding_length", config.embedding_length);
  head.Add(prefix + "feed_forward_length", config.feed_forward_length);
  head.Add(prefix + "attention.head_count", config.heads);
  if (config.encoder()) {
    head.Add(prefix + "attention.layer_norm_epsilon", static_cast<float>(config.norm_epsilon));
    head.Add(prefix + "attention.causal", false);
    head.Add(prefix + "pooling_type", static_cast<std::uint32_t>(PoolingOf(folder)));
    head.Add("tokenizer.ggml.token_type_count", config.token_types);
    return;
  }
  head.Add(prefix + "attention.head_count_kv", config.heads_kv);
  head.Add(prefix + "attention.layer_norm_rms_epsilon", static_cast<float>(config.norm_epsilon));
  head.Add(prefix + "rope.freq_base", static_cast<float>(config.rope_base));
  head.Add(prefix + "rope.dimension_count", config.head_size);
  if (config.head_size_given) {
    head.Add(prefix + "attention.key_length", config.head_size);
    head.Add(prefix + "attention.value_length", config.head_size);
  }
  if (config.family == Family::kLlama) head.Add(prefix + "vocab_size", config.vocabulary_size);
  AddRopeScaling(prefix, config.rope_scaling, head);
}

void AddVocabulary(const Vocabulary& vocabulary, GgufHead& head) {
  head.Add("tokenizer.ggml.model", vocabulary.model);
  head.Add("tokenizer.ggml.pre", vocabulary.pre);
  head.Add("tokenizer.ggml.tokens", vocabulary.tokens);
  if (!vocabulary.scores.empty()) head.Add("tokenizer.ggml.scores", vocabulary.scores);
  std::vector<std::int32_t> types;
  for (const TokenType type : vocabulary.types) types.push_back(static_cast<std::int32_t>(type));
  head.Add("tokenizer.ggml.token_type", types);
  if (!vocabulary.merges.empty()) head.Add("tokenizer.ggml.merges", vocabulary.merges);
  for (const auto& [name, id] : vocabulary.special_ids) {
    head.Add(fmt::format("tokenizer.ggml.{}_token_id", name), id);
  }
  if (vocabulary.add_bos) head.Add("tokenizer.ggml.add_bos_token", *vocabulary.add_bos);
  if (vocabulary.add_eos) head.Add("tokenizer.ggml.add_eos_token", *vocabulary.add_eos);
  if (vocabulary.add_space_prefix) {
    head.Add("tokenizer.ggml.add_space_prefix", *vocabulary.add_space_prefix);
  }
  if (vocabulary.merges_blanks) {
    head.Add("tokenizer.ggml.remove_extra_whitespaces", *vocabulary.merges_blanks);
  }
  if (!vocabulary.character_map.empty()) {
    head.Add("tokenizer.ggml.precompiled_charsmap", vocabulary.character_map);
  }
  if (!vocabulary.chat_template.empty()) {
    head.Add("tokenizer.chat_template", vocabulary.chat_template);
  }
}

Status WriteTensor(const PlannedTensor& tensor, const ConvertOptions& options, std::uint64_t all,
                   GgufFile& file) {
  const std::int64_t rows = tensor.shape.size() > 1 ? tensor.shape[1] : 1;
  const std::int64_t width = tensor.elements() / rows;
  const std::int64_t at_once = std::max<std::int64_t>(1, kElementsAtOnce / width);
  std::vector<std::uint8_t> bytes;
  for (std::int64_t row = 0; row < rows; row += at_once) {
    bytes.clear();
    AppendAs(tensor.type, ReadRows(tensor, row, std::min(at_once, rows - row)), bytes);
    if (auto written = file.Write(bytes); !written) return written;
    if (options.on_progress && !options.on_progress(file.written(), all)) {
      return Fail(Code::kCancelled, "the conversion was stopped");
    }
  }
  return file.EndTensor();
}

}  // namespace

Result<ConvertReport> ConvertFolder(const ModelFolder& folder, const std::string& output,
                                    const ConvertOptions& options) {
  const std::string config_path = folder.weights + "/config.json";
  const auto json = ReadObject(config_path);
  if (!json) return Fail(json.error());
  const auto config = ParseModelConfig(*json);
  if (!config)
    return Fail(config.error().code, fmt::format("{}: {}", config_path, config.error().message));
  const auto files = ReadTokenizerFiles(folder.tokenizer);
  if (!files) return Fail(files.error());
  const auto vocabulary = MakeVocabulary(*files, config->vocabulary_size);
  if (!vocabulary) {
    return Fail(vocabulary.error().code,
                fmt::format("{}: {}", folder.tokenizer, vocabulary.error().message));
  }
  const auto weights = OpenWeights(folder.weight_files);
  if (!weights) return Fail(weights.error());
  const auto plan = PlanTensors(*config, weights->table, options.type);
  if (!plan) {
    return Fail(plan.error().code, fmt::format("{}: {}", folder.weights, plan.error().message));
  }

  GgufHead head;
  AddArchitecture(folder, *config, options.type, head);
  AddVocabulary(*vocabulary, head);
  ConvertReport report{.architecture = std::string(ArchitectureOf(config->family)),
                       .tensors = plan->size(),
                       .context_length = config->context_length};
  for (const PlannedTensor& tensor : *plan) {
    head.AddTensor(tensor.name, tensor.shape, GgufTypeOf(tensor.type), tensor.bytes());
    report.parameters += static_cast<std::uint64_t>(tensor.elements());
  }
  auto file = GgufFile::Create(output, head);
  if (!file) return Fail(file.error());
  const std::uint64_t all = file->written() + head.data_bytes();
  for (const PlannedTensor& tensor : *plan) {
    if (auto written = WriteTensor(tensor, options, all, *file); !written) {
      return Fail(written.error());
    }
  }
  report.bytes = file->written();
  if (auto finished = file->Finish(); !finished) return Fail(finished.error());
  return report;
}

}  // namespace penstock::convert
