#include "convert/model_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "convert/json_fields.h"

namespace penstock::convert {
namespace {

constexpr std::int64_t kSizeMax = 1 << 24;  // Of any one number below; no model comes near.

struct FamilyRow {
  std::string_view architecture;
  Family family;
};
constexpr std::array kFamilies = {
    FamilyRow{"LlamaForCausalLM", Family::kLlama},
    FamilyRow{"LLaMAForCausalLM", Family::kLlama},
    FamilyRow{"MistralForCausalLM", Family::kLlama},
    FamilyRow{"Qwen2ForCausalLM", Family::kQwen2},
    FamilyRow{"Qwen3ForCausalLM", Family::kQwen3},
    FamilyRow{"BertModel", Family::kBert},
    FamilyRow{"BertForMaskedLM", Family::kBert},
    FamilyRow{"XLMRobertaModel", Family::kBert},
    FamilyRow{"XLMRobertaForMaskedLM", Family::kBert},
};

// Reads positive whole numbers; the first that is missing or out of range is kept.
class Reader {
 public:
  explicit Reader(const boost::json::object& json) : json_(json) {}

  std::uint32_t Size(std::string_view key) {
    const auto number = FindInteger(json_, key);
    if (number && *number >= 1 && *number <= kSizeMax) return static_cast<std::uint32_t>(*number);
    if (!failure_) {
      failure_ = {Code::kCorrupt,
                  number ? fmt::format("config.json: {} is {}, it must be from 1 to {}", key,
                                       *number, kSizeMax)
                         : fmt::format("config.json: {} is missing", key),
                  {}};
    }
    return 1;
  }
  std::uint32_t SizeOr(std::string_view key, std::uint32_t otherwise) {
    return Find(json_, key) == nullptr ? otherwise : Size(key);
  }
  double Positive(std::string_view key, double otherwise) {
    const auto number = FindNumber(json_, key);
    if (!number) return otherwise;
    if (std::isfinite(*number) && *number > 0) return *number;
    if (!failure_) {
      failure_ = {Code::kCorrupt,
                  fmt::format("config.json: {} is {}, it must be more than 0", key, *number),
                  {}};
    }
    return otherwise;
  }
  const std::optional<Error>& failure() const { return failure_; }

 private:
  const boost::json::object& json_;
  std::optional<Error> failure_;
};

Result<FamilyRow> FamilyOf(const boost::json::object& json) {
  std::string named;
  if (const auto* list = FindArray(json, "architectures"); list != nullptr) {
    for (const auto& one : *list) {
      if (!one.is_string()) continue;
      named = one.get_string();
      const auto* found = std::ranges::find(kFamilies, named, &FamilyRow::architecture);
      if (found != kFamilies.end()) return *found;
    }
  }
  if (named.empty()) return Fail(Code::kCorrupt, "config.json names no architecture");
  if (named == "NewModel" || named == "NewForTextEmbeddings") {
    return Fail(
        Code::kUnsupported,
        "GTE v1.5 (NewModel: rotary positions, gated GELU) cannot be converted: llama.cpp "
        "has no such model; run it on another server (Text Embeddings Inference, vLLM), and "
        "register that as an external model, which a relay passes requests on to");
  }
  std::string known;
  for (const FamilyRow& row : kFamilies) {
    known += fmt::format("{}{}", known.empty() ? "" : ", ", row.architecture);
  }
  return Fail(Code::kUnsupported,
              fmt::format("architecture {} cannot be converted to GGUF here; these can: {}",
                          named.substr(0, 100), known));
}

// `rope_scaling` of older files, `rope_parameters` of newer ones.
Result<RopeScaling> ReadRopeScaling(const boost::json::object& json) {
  const auto* scaling = FindObject(json, "rope_scaling");
  if (scaling == nullptr) scaling = FindObject(json, "rope_parameters");
  if (scaling == nullptr) return RopeScaling{};
  auto type = FindString(*scaling, "rope_type");
  if (!type) type = FindString(*scaling, "type");
  if (!type || *type == "default") return RopeScaling{};
  if (*type != "linear" && *type != "yarn" && *type != "llama3") {
    return Fail(Code::kUnsupported,
                fmt::format("rope scaling of type {} cannot be converted; linear, yarn and llama3 "
                            "can",
                            type->substr(0, 60)));
  }
  RopeScaling read{.type = *type};
  Reader reader(*scaling);
  read.factor = reader.Positive("factor", 1);
  read.low_frequency_factor = reader.Positive("low_freq_factor", 1);
  read.high_frequency_factor = reader.Positive("high_freq_factor", 4);
  const auto fallback = FindInteger(json, "max_position_embeddings").value_or(1);
  read.original_context =
      reader.SizeOr("original_max_position_embeddings",
                    static_cast<std::uint32_t>(std::clamp<std::int64_t>(fallback, 1, kSizeMax)));
  if (read.high_frequency_factor <= read.low_frequency_factor) {
    return Fail(Code::kCorrupt, "config.json: high_freq_factor must exceed low_freq_factor");
  }
  if (reader.failure()) return Fail(*reader.failure());
  return read;
}

double RopeBase(const boost::json::object& json, Reader& reader) {
  const auto* parameters = FindObject(json, "rope_parameters");
  if (parameters != nullptr && Find(*parameters, "rope_theta") != nullptr) {
    return FindNumber(*parameters, "rope_theta").value_or(10000);
  }
  return reader.Positive("rope_theta", 10000);
}

Status CheckShape(const ModelConfig& config) {
  if (config.heads % config.heads_kv != 0) {
    return Fail(Code::kCorrupt, fmt::format("config.json: {} heads cannot share {} key-value heads",
                                            config.heads, config.heads_kv));
  }
  if (!config.head_size_given && config.embedding_length % config.heads != 0) {
    return Fail(Code::kCorrupt,
                fmt::format("config.json: hidden_size {} is no multiple of {} heads",
                            config.embedding_length, config.heads));
  }
  if (!config.encoder() && config.head_size % 2 != 0) {
    return Fail(Code::kCorrupt,
                fmt::format("config.json: heads of {} cannot be rotated", config.head_size));
  }
  return {};
}

}  // namespace

std::string_view ArchitectureOf(Family family) {
  switch (family) {
    case Family::kLlama:
      return "llama";
    case Family::kQwen2:
      return "qwen2";
    case Family::kQwen3:
      return "qwen3";
    case Family::kBert:
      return "bert";
  }
  return "";
}

Result<ModelConfig> ParseModelConfig(const boost::json::object& json) {
  const auto family = FamilyOf(json);
  if (!family) return Fail(family.error());
  ModelConfig config{.family = family->family, .architecture = std::string(family->architecture)};
  Reader reader(json);
  config.layers = reader.Size("num_hidden_layers");
  config.embedding_length = reader.Size("hidden_size");
  config.feed_forward_length = reader.Size("intermediate_size");
  config.heads = reader.Size("num_attention_heads");
  config.heads_kv =
      config.encoder() ? config.heads : reader.SizeOr("num_key_value_heads", config.heads);
  config.context_length = reader.Size("max_position_embeddings");
  config.vocabulary_size = reader.Size("vocab_size");
  config.head_size_given = Find(json, "head_dim") != nullptr;
  config.head_size =
      config.head_size_given ? reader.Size("head_dim") : config.embedding_length / config.heads;
  config.token_types = config.encoder() ? reader.SizeOr("type_vocab_size", 1) : 0;
  config.norm_epsilon = config.encoder() ? reader.Positive("layer_norm_eps", 1e-12)
                                         : reader.Positive("rms_norm_eps", 1e-5);
  config.rope_base = RopeBase(json, reader);
  config.tied_embeddings = FindBool(json, "tie_word_embeddings").value_or(false);
  if (config.architecture.starts_with("XLMRoberta")) {
    const auto padding = FindInteger(json, "pad_token_id").value_or(1);
    if (padding < 0 || padding + 1 >= config.context_length) {
      return Fail(Code::kCorrupt,
                  fmt::format("config.json: pad_token_id {} leaves none of {} positions", padding,
                              config.context_length));
    }
    config.first_position = static_cast<std::uint32_t>(padding) + 1;
    config.context_length -= config.first_position;
  }
  if (reader.failure()) return Fail(*reader.failure());
  if (FindObject(json, "quantization_config") != nullptr) {
    return Fail(Code::kUnsupported,
                "the weights are quantised already (quantization_config); convert the original "
                "16-bit weights");
  }
  auto scaling = ReadRopeScaling(json);
  if (!scaling) return Fail(scaling.error());
  config.rope_scaling = std::move(*scaling);
  const auto position = FindString(json, "position_embedding_type").value_or("absolute");
  if (config.encoder() && position != "absolute") {
    return Fail(Code::kUnsupported, fmt::format("BERT with position embeddings of type {} cannot "
                                                "be converted; absolute can",
                                                position.substr(0, 60)));
  }
  if (auto good = CheckShape(config); !good) return Fail(good.error());
  return config;
}

std::vector<float> RopeFactors(const ModelConfig& config) {
  const RopeScaling& scaling = config.rope_scaling;
  if (scaling.type != "llama3") return {};
  const double original = scaling.original_context;
  const double low_wavelength = original / scaling.low_frequency_factor;
  const double high_wavelength = original / scaling.high_frequency_factor;
  std::vector<float> factors;
  for (std::uint32_t i = 0; i < config.head_size; i += 2) {
    const double wavelength =
        2 * std::numbers::pi * std::pow(config.rope_base, double(i) / config.head_size);
    double factor = 1;
    if (wavelength > low_wavelength) {
      factor = scaling.factor;
    } else if (wavelength >= high_wavelength) {
      const double smooth = (original / wavelength - scaling.low_frequency_factor) /
                            (scaling.high_frequency_factor - scaling.low_frequency_factor);
      factor = 1 / ((1 - smooth) / scaling.factor + smooth);
    }
    factors.push_back(static_cast<float>(factor));
  }
  return factors;
}

}  // namespace penstock::convert
