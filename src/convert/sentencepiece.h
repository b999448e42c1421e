// SentencePiece: reads the pieces out of a tokenizer.model file.
//
// The file is a protocol buffer, of which three fields are of use: pieces (1: text 1, score 2,
// type 3), the trainer's model type (2: 3), and whether a blank is put in front of texts (3: 3).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace penstock::convert {

// Numbers as the file has them, which are also GGUF's.
enum class TokenType : std::int32_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

struct Piece {
  std::string text{};
  float score = 0;
  TokenType type = TokenType::kNormal;
};

struct SentencePieceModel {
  std::vector<Piece> pieces{};
  bool byte_pairs = false;   // Trained as BPE, not as a unigram model.
  bool dummy_prefix = true;  // A blank is put in front of texts.
};

inline constexpr std::size_t kPiecesMax = std::size_t{1} << 22;

// kCorrupt: not such a file, or cut off.
Result<SentencePieceModel> ParseSentencePiece(std::span<const std::uint8_t> file);

}  // namespace penstock::convert
