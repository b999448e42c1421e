// The vocabulary of a synthetic model: that of a vocabulary-only GGUF, or one of the 256 bytes.
#include <fmt/core.h>
#include <gguf.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "engine/llama/backend.h"
#include "engine/llama/synth_layout.h"

namespace penstock::engine {
namespace {

// Types of tokens, as GGUF stores them.
constexpr std::int32_t kUnknown = 2;
constexpr std::int32_t kControl = 3;
constexpr std::int32_t kByte = 6;

SynthVocabulary Judge(const std::int32_t* types, std::size_t count, std::size_t size) {
  SynthVocabulary vocabulary{static_cast<int>(size), std::vector<bool>(size)};
  for (std::size_t i = 0; i < count && i < size; ++i) {
    vocabulary.no_text[i] = types[i] == kUnknown || types[i] == kControl;
  }
  return vocabulary;
}

void CopyArray(const gguf_context* source, std::int64_t index, gguf_context* target) {
  const char* key = gguf_get_key(source, index);
  const std::size_t size = gguf_get_arr_n(source, index);
  const gguf_type type = gguf_get_arr_type(source, index);
  if (type != GGUF_TYPE_STRING) {
    gguf_set_arr_data(target, key, type, gguf_get_arr_data(source, index), size);
    return;
  }
  std::vector<const char*> strings(size);
  for (std::size_t i = 0; i < size; ++i) strings[i] = gguf_get_arr_str(source, index, i);
  gguf_set_arr_str(target, key, strings.data(), size);
}

void CopyValue(const gguf_context* source, std::int64_t index, gguf_context* target) {
  const char* key = gguf_get_key(source, index);
  switch (gguf_get_kv_type(source, index)) {
    case GGUF_TYPE_ARRAY:
      return CopyArray(source, index, target);
    case GGUF_TYPE_STRING:
      return gguf_set_val_str(target, key, gguf_get_val_str(source, index));
    case GGUF_TYPE_UINT32:
      return gguf_set_val_u32(target, key, gguf_get_val_u32(source, index));
    case GGUF_TYPE_INT32:
      return gguf_set_val_i32(target, key, gguf_get_val_i32(source, index));
    case GGUF_TYPE_BOOL:
      return gguf_set_val_bool(target, key, gguf_get_val_bool(source, index));
    case GGUF_TYPE_FLOAT32:
      return gguf_set_val_f32(target, key, gguf_get_val_f32(source, index));
    default:
      return;  // No tokenizer key is of another type.
  }
}

// The control tokens of "bytes-chat" that llama.cpp is told of by their places.
constexpr std::string_view kGapTokens[] = {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"};
constexpr const char* kGapKeys[] = {"tokenizer.ggml.fim_pre_token_id",
                                    "tokenizer.ggml.fim_suf_token_id",
                                    "tokenizer.ggml.fim_mid_token_id"};

// A SentencePiece vocabulary of nothing but control tokens and the bytes.
SynthVocabulary SetBytes(gguf_context* target, bool chat) {
  std::vector<std::string> names = {"<unk>", "<s>", "</s>"};
  std::vector<std::int32_t> types = {kUnknown, kControl, kControl};
  if (chat) {
    for (std::size_t i = 0; i < std::size(kGapTokens); ++i) {
      gguf_set_val_u32(target, kGapKeys[i], static_cast<std::uint32_t>(names.size()));
      names.emplace_back(kGapTokens[i]);
    }
    for (const char* name : {"<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>"}) {
      names.emplace_back(name);
    }
    types.resize(names.size(), kControl);
  }
  for (int byte = 0; byte < 256; ++byte) {
    names.push_back(fmt::format("<0x{:02X}>", byte));
    types.push_back(kByte);
  }
  std::vector<const char*> pointers;
  for (const std::string& name : names) pointers.push_back(name.c_str());
  const std::vector<float> scores(names.size(), 0.0F);
  gguf_set_val_str(target, "tokenizer.ggml.model", "llama");
  gguf_set_arr_str(target, "tokenizer.ggml.tokens", pointers.data(), pointers.size());
  gguf_set_arr_data(target, "tokenizer.ggml.scores", GGUF_TYPE_FLOAT32, scores.data(),
                    scores.size());
  gguf_set_arr_data(target, "tokenizer.ggml.token_type", GGUF_TYPE_INT32, types.data(),
                    types.size());
  gguf_set_val_u32(target, "tokenizer.ggml.unknown_token_id", 0);
  gguf_set_val_u32(target, "tokenizer.ggml.bos_token_id", 1);
  gguf_set_val_u32(target, "tokenizer.ggml.eos_token_id", 2);
  gguf_set_val_bool(target, "tokenizer.ggml.add_space_prefix", false);
  return Judge(types.data(), types.size(), names.size());
}

}  // namespace

Result<SynthVocabulary> CopyVocabulary(const std::string& name, gguf_context* target) {
  if (name == "bytes" || name == "bytes-chat") return SetBytes(target, name != "bytes");
  const std::string path = fmt::format("{}/ggml-vocab-{}.gguf", VocabularyDirectory(), name);
  std::error_code ignored;
  const bool plain = name.find('/') == std::string::npos;
  if (!plain || !std::filesystem::is_regular_file(path, ignored)) {
    return Fail(Code::kNotFound,
                fmt::format("vocabulary '{}' is not there: no file {}", name, path), "vocabulary");
  }
  const GgufHandle source(gguf_init_from_file(path.c_str(), {.no_alloc = true, .ctx = nullptr}));
  if (!source) return Fail(Code::kCorrupt, fmt::format("{}: not a GGUF file", path), "vocabulary");
  for (std::int64_t i = 0; i < gguf_get_n_kv(source.get()); ++i) {
    if (std::string_view(gguf_get_key(source.get(), i)).starts_with("tokenizer.")) {
      CopyValue(source.get(), i, target);
    }
  }
  const std::int64_t tokens = gguf_find_key(source.get(), "tokenizer.ggml.tokens");
  const std::int64_t types = gguf_find_key(source.get(), "tokenizer.ggml.token_type");
  if (tokens < 0) return Fail(Code::kCorrupt, fmt::format("{}: has no tokens", path), "vocabulary");
  const std::size_t size = gguf_get_arr_n(source.get(), tokens);
  if (types < 0) return Judge(nullptr, 0, size);
  return Judge(static_cast<const std::int32_t*>(gguf_get_arr_data(source.get(), types)),
               gguf_get_arr_n(source.get(), types), size);
}

}  // namespace penstock::engine
