// Presets, metadata and tensors of synthetic models.
#include "engine/llama/synth_layout.h"

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <gguf.h>

#include <string_view>

namespace penstock::engine {
namespace {

// ChatML, written so that llama.cpp's own list of templates recognises it too.
constexpr const char* kChatTemplate =
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

std::vector<SynthSpec> Presets() {
  return {
      {.name = "toy",
       .embedding_length = 64,
       .layers = 2,
       .heads = 4,
       .heads_kv = 2,
       .feed_forward_length = 128,
       .vocabulary = "bytes"},
      {.name = "15m",
       .embedding_length = 288,
       .layers = 6,
       .heads = 6,
       .heads_kv = 6,
       .feed_forward_length = 768},
      {.name = "bge-small",
       .architecture = "bert",
       .embedding_length = 384,
       .layers = 12,
       .heads = 12,
       .heads_kv = 12,
       .feed_forward_length = 1536,
       .context_length = 512,
       .vocabulary = "bert-bge"},
      {.name = "110m",
       .embedding_length = 768,
       .layers = 12,
       .heads = 12,
       .heads_kv = 12,
       .feed_forward_length = 2048},
      {.name = "0.5b",
       .embedding_length = 1024,
       .layers = 24,
       .heads = 16,
       .heads_kv = 4,
       .feed_forward_length = 3584,
       .tied = true,
       .vocabulary = "llama-bpe"},
      {.name = "1.1b",
       .embedding_length = 2048,
       .layers = 22,
       .heads = 32,
       .heads_kv = 4,
       .feed_forward_length = 5632},
  };
}

Status CheckRange(const char* field, int value, int low, int high) {
  if (value >= low && value <= high) return {};
  return Fail(Code::kInvalidArgument,
              fmt::format("{} is {}, and must lie between {} and {}", field, value, low, high),
              field);
}

Status CheckMultiple(const char* field, int value, int of) {
  if (of > 0 && value % of == 0) return {};
  return Fail(Code::kInvalidArgument,
              fmt::format("{} is {}, not a multiple of {}", field, value, of), field);
}

void PlanLlama(const SynthSpec& spec, std::vector<TensorPlan>& tensors) {
  const std::int64_t size = spec.embedding_length;
  const std::int64_t cache = size / spec.heads * spec.heads_kv;
  const std::int64_t hidden = spec.feed_forward_length;
  for (int layer = 0; layer < spec.layers; ++layer) {
    const auto add = [&](const char* name, std::int64_t row, std::int64_t rows) {
      const bool norm = rows == 0;
      tensors.push_back({fmt::format("blk.{}.{}.weight", layer, name),
                         {row, rows},
                         norm ? TensorFill::kOnes : TensorFill::kRandom,
                         !norm});
    };
    add("attn_norm", size, 0);
    add("attn_q", size, size);
    add("attn_k", size, cache);
    add("attn_v", size, cache);
    add("attn_output", size, size);
    add("ffn_norm", size, 0);
    add("ffn_gate", size, hidden);
    add("ffn_up", size, hidden);
    add("ffn_down", hidden, size);
  }
  tensors.push_back({"output_norm.weight", {size, 0}, TensorFill::kOnes});
}

void PlanBert(const SynthSpec& spec, std::vector<TensorPlan>& tensors) {
  const std::int64_t size = spec.embedding_length;
  const std::int64_t hidden = spec.feed_forward_length;
  const auto normal = [&](const std::string& name) {
    tensors.push_back({name + ".weight", {size, 0}, TensorFill::kOnes});
    tensors.push_back({name + ".bias", {size, 0}, TensorFill::kZeros});
  };
  tensors.push_back({"token_types.weight", {size, 2}});
  tensors.push_back({"position_embd.weight", {size, spec.context_length}});
  normal("token_embd_norm");
  for (int layer = 0; layer < spec.layers; ++layer) {
    const std::string block = fmt::format("blk.{}.", layer);
    const auto linear = [&](const char* name, std::int64_t row, std::int64_t rows) {
      tensors.push_back({block + name + ".weight", {row, rows}, TensorFill::kRandom, true});
      tensors.push_back({block + name + ".bias", {rows, 0}, TensorFill::kZeros});
    };
    linear("attn_q", size, size);
    linear("attn_k", size, size);
    linear("attn_v", size, size);
    linear("attn_output", size, size);
    normal(block + "attn_output_norm");
    linear("ffn_up", size, hidden);
    linear("ffn_down", hidden, size);
    normal(block + "layer_output_norm");
  }
}

int FileType(Quantization quantization) {
  switch (quantization) {
    case Quantization::kF32:
      return 0;
    case Quantization::kF16:
      return 1;
    case Quantization::kQ4_0:
      return 2;
    case Quantization::kQ8_0:
      break;
  }
  return 7;
}

}  // namespace

void GgufDeleter::operator()(gguf_context* context) const { gguf_free(context); }

Result<Quantization> QuantizationFromName(std::string_view name) {
  if (name == "f32") return Quantization::kF32;
  if (name == "f16") return Quantization::kF16;
  if (name == "q8_0") return Quantization::kQ8_0;
  if (name == "q4_0") return Quantization::kQ4_0;
  return Fail(Code::kInvalidArgument,
              fmt::format("quantization '{}' is none of f32, f16, q8_0, q4_0", name),
              "quantization");
}

std::vector<std::string_view> SynthPresetNames() {
  return {"toy", "15m", "bge-small", "110m", "0.5b", "1.1b"};
}

Result<SynthSpec> SynthPreset(std::string_view name) {
  for (SynthSpec& spec : Presets()) {
    if (spec.name == name) return std::move(spec);
  }
  return Fail(Code::kInvalidArgument,
              fmt::format("size '{}' is none of {}", name, fmt::join(SynthPresetNames(), ", ")),
              "size");
}

Status ValidateSpec(const SynthSpec& spec) {
  if (spec.architecture != "llama" && spec.architecture != "bert") {
    return Fail(Code::kInvalidArgument,
                fmt::format("architecture '{}' is none of llama, bert", spec.architecture),
                "architecture");
  }
  const int per_head = spec.heads > 0 ? spec.embedding_length / spec.heads : 0;
  for (const Status& status : {
           CheckRange("embedding_length", spec.embedding_length, 32, 1 << 16),
           CheckRange("layers", spec.layers, 1, 512),
           CheckRange("heads", spec.heads, 1, 1024),
           CheckRange("heads_kv", spec.heads_kv, 1, 1024),
           CheckRange("feed_forward_length", spec.feed_forward_length, 32, 1 << 18),
           CheckRange("context_length", spec.context_length, 32, 1 << 20),
           CheckMultiple("embedding_length", spec.embedding_length, 32),
           CheckMultiple("embedding_length", spec.embedding_length, spec.heads),
           CheckMultiple("embedding_length / heads", per_head, 2),
           CheckMultiple("heads", spec.heads, spec.heads_kv),
           CheckMultiple("feed_forward_length", spec.feed_forward_length, 32),
       }) {
    if (!status) return status;
  }
  if (spec.architecture == "bert" && spec.heads_kv != spec.heads) {
    return Fail(
        Code::kInvalidArgument,
        fmt::format("heads_kv is {}; bert wants as many as heads, {}", spec.heads_kv, spec.heads),
        "heads_kv");
  }
  return {};
}

void SetArchitectureKeys(const SynthSpec& spec, int vocabulary_size, gguf_context* target) {
  const auto text = [&](const std::string& key, const std::string& value) {
    gguf_set_val_str(target, key.c_str(), value.c_str());
  };
  const auto number = [&](const std::string& key, std::int64_t value) {
    gguf_set_val_u32(target, key.c_str(), static_cast<std::uint32_t>(value));
  };
  const std::string& prefix = spec.architecture;
  text("general.architecture", prefix);
  text("general.type", "model");
  text("general.name", spec.name);
  number("general.file_type", FileType(spec.quantization));
  number("general.quantization_version", 2);
  number(prefix + ".context_length", spec.context_length);
  number(prefix + ".embedding_length", spec.embedding_length);
  number(prefix + ".block_count", spec.layers);
  number(prefix + ".feed_forward_length", spec.feed_forward_length);
  number(prefix + ".attention.head_count", spec.heads);
  if (spec.architecture == "bert") {
    gguf_set_val_f32(target, "bert.attention.layer_norm_epsilon", 1e-12F);
    gguf_set_val_bool(target, "bert.attention.causal", false);
    number("bert.pooling_type", 2);  // The vector of the first token.
    number("tokenizer.ggml.token_type_count", 2);
    return;
  }
  number("llama.vocab_size", vocabulary_size);
  number("llama.attention.head_count_kv", spec.heads_kv);
  number("llama.rope.dimension_count", spec.embedding_length / spec.heads);
  gguf_set_val_f32(target, "llama.rope.freq_base", 10000.0F);
  gguf_set_val_f32(target, "llama.attention.layer_norm_rms_epsilon", 1e-5F);
  text("tokenizer.chat_template", kChatTemplate);
}

std::vector<TensorPlan> PlanTensors(const SynthSpec& spec, int vocabulary_size) {
  const bool bert = spec.architecture == "bert";
  std::vector<TensorPlan> tensors;
  tensors.push_back({"token_embd.weight",
                     {spec.embedding_length, vocabulary_size},
                     bert ? TensorFill::kRandom : TensorFill::kEmbedding,
                     true});
  if (bert) {
    PlanBert(spec, tensors);
    return tensors;
  }
  PlanLlama(spec, tensors);
  if (!spec.tied) {
    tensors.push_back(
        {"output.weight", {spec.embedding_length, vocabulary_size}, TensorFill::kOutput, true});
  }
  return tensors;
}

}  // namespace penstock::engine
