// Unigram: SentencePiece's other kind of tokenizer, as tokenizer.json has it (XLM-R, BGE-M3, E5).
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace penstock::convert {

struct UnigramPiece {
  std::string text{};
  float score = 0;  // Logarithm of its probability.
};

struct Unigram {
  std::vector<UnigramPiece> pieces{};  // In the order of their ids.
  std::int64_t unknown_id = 0;
  // How characters are made alike before: SentencePiece's table, sizes checked. Empty: they stay.
  std::vector<std::uint8_t> character_map{};
  bool blank_in_front = true;
  bool merges_blanks = false;  // Several blanks count as one, and those at the ends not at all.
};

// kCorrupt: no such vocabulary; kUnsupported: a step before it that GGUF cannot say.
Result<Unigram> ReadUnigram(const boost::json::object& tokenizer);

}  // namespace penstock::convert
