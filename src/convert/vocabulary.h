// Vocabulary: a tokenizer as GGUF holds it, made out of a Hugging Face model's tokenizer files.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "convert/sentencepiece.h"

namespace penstock::convert {

// What lies in the tokenizer's folder; what is absent is nullopt or "".
struct TokenizerFiles {
  std::optional<boost::json::object> tokenizer{};       // tokenizer.json
  std::optional<boost::json::object> config{};          // tokenizer_config.json
  std::optional<boost::json::object> special_tokens{};  // special_tokens_map.json
  std::optional<SentencePieceModel> sentencepiece{};    // tokenizer.model
  std::vector<std::string> word_list{};                 // vocab.txt, of BERT.
  std::string chat_template{};                          // chat_template.jinja
};

// Reads what is there in `folder`. kCorrupt, naming the file; kNotFound where there is no
// tokenizer.
Result<TokenizerFiles> ReadTokenizerFiles(const std::string& folder);

struct Vocabulary {
  std::string model{};  // GGUF's word: "llama" (SentencePiece), "gpt2" (byte pairs), "bert", "t5"
                        // (unigram).
  std::string pre{};    // How text is cut before byte pairs are merged: "llama-bpe", "qwen2", ...
  std::vector<std::string> tokens{};
  std::vector<TokenType> types{};
  std::vector<float> scores{};        // Of SentencePiece's kinds; else empty.
  std::vector<std::string> merges{};  // Of byte pairs; else empty.
  // "bos", "eos", "unknown", "seperator" (so GGUF spells it), "padding", "cls", "mask".
  std::map<std::string, std::uint32_t> special_ids{};
  std::optional<bool> add_bos{};
  std::optional<bool> add_eos{};
  std::optional<bool> add_space_prefix{};
  std::optional<bool> merges_blanks{};        // Of unigram ones, as the next.
  std::vector<std::uint8_t> character_map{};  // SentencePiece's table; empty: none.
  std::string chat_template{};
};

// `size`: the model's number of token embeddings; missing tokens become unused ones. Errors:
// kCorrupt (ids that are missing or beyond `size`), kUnsupported (a tokenizer of another kind, a
// pre-tokenizer that llama.cpp is not known to have).
Result<Vocabulary> MakeVocabulary(const TokenizerFiles& files, std::uint32_t size);

}  // namespace penstock::convert
