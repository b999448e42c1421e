// Tokenizer: text to tokens and back, by the model's own vocabulary.
//
// Immutable after construction, so safe from any thread. Lives inside its Model.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/request.h"

struct llama_vocab;

namespace penstock::engine {

struct TokenizeOptions {
  bool add_special = true;  // Beginning-of-text and the like, as the model wants them.
  bool parse_special =
      false;  // "<|im_end|>" in the text becomes the special token, not its letters.
};

class Tokenizer {
 public:
  explicit Tokenizer(const llama_vocab* vocabulary);  // Borrowed; outlives the Tokenizer.

  Result<std::vector<TokenId>> Tokenize(std::string_view text, TokenizeOptions options) const;

  // Special tokens are written out. kInvalidArgument for a token that the vocabulary does not have.
  // The bytes need not be whole characters.
  Result<std::string> Detokenize(std::span<const TokenId> tokens) const;

  // A prompt for the text between `prefix` and `suffix`, by the model's fill-in-the-middle tokens.
  // kInvalidArgument for a model that has none.
  Result<std::vector<TokenId>> AroundGap(std::span<const TokenId> prefix,
                                         std::string_view suffix) const;

  // The special token that is written like this, where it is one.
  std::optional<TokenId> SpecialToken(std::string_view text) const;
  // How a special token is written.
  std::string SpecialPiece(TokenId token) const;

  // kInvalidArgument naming the first token that the vocabulary does not have.
  Status CheckTokens(std::span<const TokenId> tokens) const;

  // The bytes that a generated token adds to the text: none for special tokens, perhaps a part of a
  // character. `token` is in the vocabulary.
  std::string_view Piece(TokenId token) const {
    return std::string_view(pieces_).substr(piece_begins_[token],
                                            piece_begins_[token + 1] - piece_begins_[token]);
  }

  bool IsEndOfGeneration(TokenId token) const { return ends_generation_[token]; }
  std::span<const TokenId> end_of_generation_tokens() const { return end_tokens_; }
  int size() const { return size_; }
  const llama_vocab* get() const { return vocabulary_; }

 private:
  const llama_vocab* vocabulary_;
  int size_;
  std::string pieces_;  // All pieces in a row, so that a step looks nothing up.
  std::vector<std::uint32_t> piece_begins_;
  std::vector<bool> ends_generation_;
  std::vector<TokenId> end_tokens_;
};

}  // namespace penstock::engine
