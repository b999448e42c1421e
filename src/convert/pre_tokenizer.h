// PreTokenizer: how a tokenizer.json cuts text before it merges byte pairs, by GGUF's names.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace penstock::convert {

// The steps at `key` of a tokenizer.json: the parts of a "Sequence", or the one that there is.
std::vector<const boost::json::object*> PartsOf(const boost::json::object& tokenizer,
                                                std::string_view key, std::string_view list);

// GGUF's name of a byte-pair tokenizer's pre-tokenizer: "llama-bpe", "qwen2", "tekken", "gpt-2".
// kUnsupported where its pattern is none that is known here: another one would give other tokens.
Result<std::string> PreTokenizerOf(const boost::json::object& tokenizer);

// Whether a SentencePiece tokenizer puts a blank in front of texts.
bool PutsBlankInFront(const boost::json::object& tokenizer);

}  // namespace penstock::convert
