// Tokenizing through llama.cpp's vocabulary.
#include "engine/llama/tokenizer.h"

#include <fmt/core.h>
#include <llama.h>

#include <algorithm>
#include <exception>
#include <limits>

namespace penstock::engine {

Tokenizer::Tokenizer(const llama_vocab* vocabulary)
    : vocabulary_(vocabulary), size_(llama_vocab_n_tokens(vocabulary)) {
  piece_begins_.reserve(size_ + 1);
  ends_generation_.resize(size_);
  std::string buffer(256, '\0');
  for (TokenId token = 0; token < size_; ++token) {
    piece_begins_.push_back(static_cast<std::uint32_t>(pieces_.size()));
    int length = llama_token_to_piece(vocabulary_, token, buffer.data(),
                                      static_cast<int>(buffer.size()), 0, false);
    if (length < 0) {
      buffer.resize(static_cast<std::size_t>(-length));
      length = llama_token_to_piece(vocabulary_, token, buffer.data(),
                                    static_cast<int>(buffer.size()), 0, false);
    }
    if (length > 0) pieces_.append(buffer, 0, static_cast<std::size_t>(length));
    if (llama_vocab_is_eog(vocabulary_, token)) {
      ends_generation_[token] = true;
      end_tokens_.push_back(token);
    }
  }
  piece_begins_.push_back(static_cast<std::uint32_t>(pieces_.size()));
}

Result<std::vector<TokenId>> Tokenizer::Tokenize(std::string_view text,
                                                 TokenizeOptions options) const try {
  if (text.size() > static_cast<std::size_t>(std::numeric_limits<int>::max() / 2)) {
    return Fail(Code::kTooLarge,
                fmt::format("a text of {} bytes cannot be tokenized", text.size()));
  }
  const int bytes = static_cast<int>(text.size());
  std::vector<TokenId> tokens(text.size() + 16);
  const auto tokenize = [&] {
    return llama_tokenize(vocabulary_, text.data(), bytes, tokens.data(),
                          static_cast<int>(tokens.size()), options.add_special,
                          options.parse_special);
  };
  int count = tokenize();
  if (count == std::numeric_limits<int>::min()) {
    return Fail(Code::kTooLarge,
                fmt::format("a text of {} bytes has too many tokens", text.size()));
  }
  if (count < 0) {
    tokens.resize(static_cast<std::size_t>(-count));
    count = tokenize();
  }
  tokens.resize(static_cast<std::size_t>(count));
  return tokens;
} catch (const std::exception& error) {
  return Fail(Code::kInvalidArgument,
              fmt::format("the text cannot be tokenized: {}", error.what()));
}

Result<std::string> Tokenizer::Detokenize(std::span<const TokenId> tokens) const {
  if (Status ok = CheckTokens(tokens); !ok) return Fail(ok.error());
  std::string text(tokens.size() * 8 + 16, '\0');
  const auto detokenize = [&] {
    return llama_detokenize(vocabulary_, tokens.data(), static_cast<int>(tokens.size()),
                            text.data(), static_cast<int>(text.size()), false, true);
  };
  int length = detokenize();
  if (length < 0) {
    text.resize(static_cast<std::size_t>(-length));
    length = detokenize();
  }
  text.resize(static_cast<std::size_t>(length));
  return text;
}

Result<std::vector<TokenId>> Tokenizer::AroundGap(std::span<const TokenId> prefix,
                                                  std::string_view suffix) const {
  const TokenId before = llama_vocab_fim_pre(vocabulary_);
  const TokenId behind = llama_vocab_fim_suf(vocabulary_);
  const TokenId middle = llama_vocab_fim_mid(vocabulary_);
  if (before < 0 || behind < 0 || middle < 0) {
    return Fail(Code::kInvalidArgument,
                "`suffix` is not supported by this model: its vocabulary has no tokens for filling "
                "a gap (fill in the middle)",
                "suffix");
  }
  auto after = Tokenize(suffix, {.add_special = false});
  if (!after) return after;
  std::vector<TokenId> prompt;
  const TokenId begin = llama_vocab_bos(vocabulary_);
  const bool begun = !prefix.empty() && prefix.front() == begin;
  if (begun || (begin >= 0 && llama_vocab_get_add_bos(vocabulary_))) prompt.push_back(begin);
  prompt.push_back(before);
  const std::span<const TokenId> rest = prefix.subspan(begun ? 1 : 0);
  prompt.insert(prompt.end(), rest.begin(), rest.end());
  prompt.push_back(behind);
  prompt.insert(prompt.end(), after->begin(), after->end());
  prompt.push_back(middle);
  return prompt;
}

std::optional<TokenId> Tokenizer::SpecialToken(std::string_view text) const {
  const auto tokens = Tokenize(text, {.add_special = false, .parse_special = true});
  if (!tokens || tokens->size() != 1 || !Piece(tokens->front()).empty()) return std::nullopt;
  return tokens->front();
}

std::string Tokenizer::SpecialPiece(TokenId token) const {
  std::string text(256, '\0');
  const int length =
      llama_token_to_piece(vocabulary_, token, text.data(), static_cast<int>(text.size()), 0, true);
  text.resize(static_cast<std::size_t>(std::max(length, 0)));
  return text;
}

Status Tokenizer::CheckTokens(std::span<const TokenId> tokens) const {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] < 0 || tokens[i] >= size_) {
      return Fail(
          Code::kInvalidArgument,
          fmt::format("token {} at position {} is not in the vocabulary, which has {} tokens",
                      tokens[i], i, size_),
          "tokens");
    }
  }
  return {};
}

}  // namespace penstock::engine
