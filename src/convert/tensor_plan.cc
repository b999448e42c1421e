#include "convert/tensor_plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/check.h"

namespace penstock::convert {
namespace {

using Shape = std::vector<std::int64_t>;  // Outermost first, as in the weights files.

// A tensor that a model has.
struct Wanted {
  std::string source;
  std::string name;
  Shape shape;
  bool optional = false;
  std::uint32_t permuted_heads = 0;
  std::uint32_t skipped_rows = 0;  // At the front of the source, beyond `shape`.
};

class List {
 public:
  void Add(std::string source, std::string name, Shape shape, bool optional = false,
           std::uint32_t permuted_heads = 0) {
    wanted_.push_back({.source = std::move(source),
                       .name = std::move(name),
                       .shape = std::move(shape),
                       .optional = optional,
                       .permuted_heads = permuted_heads});
  }
  // Weights, and a bias of as many numbers as they have rows.
  void AddLinear(const std::string& source, const std::string& name, const Shape& shape, bool bias,
                 bool bias_optional, std::uint32_t permuted_heads = 0) {
    Add(source + ".weight", name + ".weight", shape, false, permuted_heads);
    if (bias) Add(source + ".bias", name + ".bias", {shape[0]}, bias_optional, permuted_heads);
  }
  void Skip(std::uint32_t rows) { wanted_.back().skipped_rows = rows; }
  std::vector<Wanted> Take() { return std::move(wanted_); }

 private:
  std::vector<Wanted> wanted_;
};

std::vector<Wanted> WantedOfDecoder(const ModelConfig& config) {
  List list;
  const std::int64_t width = config.embedding_length;
  const std::int64_t inner = config.feed_forward_length;
  const std::int64_t queries = std::int64_t{config.heads} * config.head_size;
  const std::int64_t keys = std::int64_t{config.heads_kv} * config.head_size;
  const bool llama = config.family == Family::kLlama;
  const bool biased = config.family == Family::kQwen2 || llama;
  list.Add("model.embed_tokens.weight", "token_embd.weight", {config.vocabulary_size, width});
  for (std::uint32_t i = 0; i < config.layers; ++i) {
    const std::string from = fmt::format("model.layers.{}.", i);
    const std::string to = fmt::format("blk.{}.", i);
    list.Add(from + "input_layernorm.weight", to + "attn_norm.weight", {width});
    list.AddLinear(from + "self_attn.q_proj", to + "attn_q", {queries, width}, biased, llama,
                   llama ? config.heads : 0);
    list.AddLinear(from + "self_attn.k_proj", to + "attn_k", {keys, width}, biased, llama,
                   llama ? config.heads_kv : 0);
    list.AddLinear(from + "self_attn.v_proj", to + "attn_v", {keys, width}, biased, llama);
    list.AddLinear(from + "self_attn.o_proj", to + "attn_output", {width, queries}, llama, llama);
    if (config.family == Family::kQwen3) {
      list.Add(from + "self_attn.q_norm.weight", to + "attn_q_norm.weight", {config.head_size});
      list.Add(from + "self_attn.k_norm.weight", to + "attn_k_norm.weight", {config.head_size});
    }
    list.Add(from + "post_attention_layernorm.weight", to + "ffn_norm.weight", {width});
    list.AddLinear(from + "mlp.gate_proj", to + "ffn_gate", {inner, width}, llama, llama);
    list.AddLinear(from + "mlp.up_proj", to + "ffn_up", {inner, width}, llama, llama);
    list.AddLinear(from + "mlp.down_proj", to + "ffn_down", {width, inner}, llama, llama);
  }
  list.Add("model.norm.weight", "output_norm.weight", {width});
  // With tied embeddings the file may have the matrix twice all the same.
  if (!config.tied_embeddings) {
    list.Add("lm_head.weight", "output.weight", {config.vocabulary_size, width});
  }
  return list.Take();
}

std::vector<Wanted> WantedOfEncoder(const ModelConfig& config) {
  List list;
  const std::int64_t width = config.embedding_length;
  const std::int64_t inner = config.feed_forward_length;
  const auto norm = [&](const std::string& source, const std::string& name) {
    list.Add(source + ".weight", name + ".weight", {width});
    list.Add(source + ".bias", name + ".bias", {width});
  };
  list.Add("embeddings.word_embeddings.weight", "token_embd.weight",
           {config.vocabulary_size, width});
  list.Add("embeddings.position_embeddings.weight", "position_embd.weight",
           {config.context_length, width});
  list.Skip(config.first_position);
  list.Add("embeddings.token_type_embeddings.weight", "token_types.weight",
           {config.token_types, width});
  norm("embeddings.LayerNorm", "token_embd_norm");
  for (std::uint32_t i = 0; i < config.layers; ++i) {
    const std::string from = fmt::format("encoder.layer.{}.", i);
    const std::string to = fmt::format("blk.{}.", i);
    const Shape square = {width, width};
    list.AddLinear(from + "attention.self.query", to + "attn_q", square, true, false);
    list.AddLinear(from + "attention.self.key", to + "attn_k", square, true, false);
    list.AddLinear(from + "attention.self.value", to + "attn_v", square, true, false);
    list.AddLinear(from + "attention.output.dense", to + "attn_output", square, true, false);
    norm(from + "attention.output.LayerNorm", to + "attn_output_norm");
    list.AddLinear(from + "intermediate.dense", to + "ffn_up", {inner, width}, true, false);
    list.AddLinear(from + "output.dense", to + "ffn_down", {width, inner}, true, false);
    norm(from + "output.LayerNorm", to + "layer_output_norm");
  }
  return list.Take();
}

// Tensors that a model works without: heads of other tasks, and buffers that follow from the rest.
bool IsOfNoUse(const ModelConfig& config, std::string_view name) {
  return name == "embeddings.position_ids" || name.starts_with("pooler.") ||
         (config.encoder() && name.starts_with("lm_head.")) || name.starts_with("cls.") ||
         name == "lm_head.weight" || name.ends_with(".rotary_emb.inv_freq") ||
         name.ends_with(".attention.bias") || name.ends_with(".masked_bias");
}

// Names of BERT differ by writer: a prefix, and two old words for the norms.
std::string Normalised(const ModelConfig& config, std::string_view name) {
  if (!config.encoder()) return std::string(name);
  if (name.starts_with("bert.")) name.remove_prefix(5);
  if (name.starts_with("roberta.")) name.remove_prefix(8);
  std::string text(name);
  if (text.ends_with(".gamma")) text.replace(text.size() - 6, 6, ".weight");
  if (text.ends_with(".beta")) text.replace(text.size() - 5, 5, ".bias");
  return text;
}

OutputType TypeFor(const Wanted& wanted, OutputType type) {
  const bool small = wanted.shape.size() < 2 || wanted.name == "position_embd.weight" ||
                     wanted.name == "token_types.weight";
  if (small) return OutputType::kF32;
  if (type == OutputType::kQ8_0 && wanted.shape.back() % kQ8Block != 0) return OutputType::kF16;
  return type;
}

PlannedTensor RopeTensor(std::vector<float> factors) {
  PlannedTensor tensor{.name = "rope_freqs.weight", .values = std::move(factors)};
  tensor.shape = {std::ssize(tensor.values)};
  return tensor;
}

}  // namespace

std::int64_t PlannedTensor::elements() const {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  return count;
}

std::uint64_t PlannedTensor::bytes() const { return BytesOf(type, elements()); }

Result<std::vector<PlannedTensor>> PlanTensors(const ModelConfig& config, const TensorTable& table,
                                               OutputType type) {
  std::map<std::string, std::string, std::less<>> sources;  // Normalised name to that in the file.
  for (const auto& [name, view] : table) sources.emplace(Normalised(config, name), name);
  std::vector<PlannedTensor> plan;
  if (auto factors = RopeFactors(config); !factors.empty()) {
    plan.push_back(RopeTensor(std::move(factors)));
  }
  const auto wanted_all = config.encoder() ? WantedOfEncoder(config) : WantedOfDecoder(config);
  for (const Wanted& wanted : wanted_all) {
    const auto found = sources.find(wanted.source);
    if (found == sources.end()) {
      if (wanted.optional) continue;
      return Fail(Code::kCorrupt,
                  fmt::format("tensor '{}' is missing from the weights", wanted.source));
    }
    const TensorView& view = table.find(found->second)->second;
    Shape needed = wanted.shape;
    needed.front() += wanted.skipped_rows;
    if (view.shape != needed) {
      return Fail(Code::kCorrupt,
                  fmt::format("tensor '{}' has the shape [{}], config.json needs [{}]",
                              found->second, fmt::join(view.shape, ", "), fmt::join(needed, ", ")));
    }
    if (!IsFloating(view.type)) {
      return Fail(Code::kUnsupported,
                  fmt::format("tensor '{}' has elements of type {}; F32, F16, BF16 and F64 can be "
                              "converted",
                              found->second, Name(view.type)));
    }
    plan.push_back({.name = wanted.name,
                    .source = found->second,
                    .view = view,
                    .shape = Shape(wanted.shape.rbegin(), wanted.shape.rend()),
                    .type = TypeFor(wanted, type),
                    .permuted_heads = wanted.permuted_heads,
                    .skipped_rows = wanted.skipped_rows});
    sources.erase(found);
  }
  for (const auto& [name, source] : sources) {
    if (IsOfNoUse(config, name)) continue;
    return Fail(Code::kUnsupported,
                fmt::format("tensor '{}' is not one of {}'s: the model would be wrong without it",
                            source.substr(0, 120), config.architecture));
  }
  return plan;
}

std::vector<float> ReadRows(const PlannedTensor& tensor, std::int64_t first_row,
                            std::int64_t rows) {
  const bool vector = tensor.shape.size() == 1;
  if (!tensor.values.empty()) return tensor.values;
  const std::int64_t all = vector ? tensor.shape[0] : tensor.shape[1];  // What is regrouped.
  const std::int64_t width = vector ? 1 : tensor.shape[0];
  // A vector is one row to the caller; regrouped it is as many rows of one number.
  if (vector) {
    first_row = 0;
    rows = all;
  }
  CHECK(first_row >= 0 && first_row + rows <= all, "rows are there");
  std::vector<float> floats(static_cast<std::size_t>(rows * width));
  const std::size_t row_bytes = static_cast<std::size_t>(width) * SizeOf(tensor.view.type);
  for (std::int64_t i = 0; i < rows; ++i) {
    std::int64_t from = tensor.skipped_rows + first_row + i;
    if (tensor.permuted_heads != 0) {
      const std::int64_t head_size = all / tensor.permuted_heads;
      const std::int64_t within = from % head_size;
      // Pairs (j, j + half) become neighbours (2j, 2j + 1).
      from = from - within + within % 2 * (head_size / 2) + within / 2;
    }
    ToFloats(tensor.view.type,
             tensor.view.bytes.subspan(static_cast<std::size_t>(from) * row_bytes, row_bytes),
             std::span(floats).subspan(static_cast<std::size_t>(i * width),
                                       static_cast<std::size_t>(width)));
  }
  return floats;
}

}  // namespace penstock::convert
