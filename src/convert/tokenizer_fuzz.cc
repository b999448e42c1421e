// Property: whatever a tokenizer.json or a tokenizer.model says, a vocabulary that is made of it
// has as many tokens as were asked for, a type for each, and special tokens among them; and the
// sizes in its table of characters, which llama.cpp believes, hold.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "convert/json_fields.h"
#include "convert/vocabulary.h"

namespace {

void Check(const penstock::convert::TokenizerFiles& files) {
  constexpr std::uint32_t kSize = 64;
  const auto made = penstock::convert::MakeVocabulary(files, kSize);
  if (!made) return;
  if (made->tokens.size() != kSize || made->types.size() != kSize) std::abort();
  if (!made->scores.empty() && made->scores.size() != kSize) std::abort();
  const auto& map = made->character_map;
  if (!map.empty()) {
    std::uint32_t units_size = 0;
    if (map.size() <= sizeof units_size) std::abort();
    std::memcpy(&units_size, map.data(), sizeof units_size);
    if (units_size % 4 != 0 || units_size >= map.size() - 4 || map.back() != 0) std::abort();
  }
  for (const auto& [name, id] : made->special_ids) {
    if (id >= kSize) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  penstock::convert::TokenizerFiles files;
  if (auto pieces = penstock::convert::ParseSentencePiece({bytes, size})) {
    files.sentencepiece = std::move(*pieces);
    Check(files);
    files.sentencepiece.reset();
  }
  auto json = penstock::convert::ParseObject(
      std::string_view(reinterpret_cast<const char*>(bytes), size), "tokenizer.json");
  if (!json) return 0;
  files.config = *json;
  files.tokenizer = std::move(*json);
  Check(files);
  return 0;
}
