#include "convert/unigram.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <string_view>

#include "convert/json_fields.h"
#include "convert/pre_tokenizer.h"
#include "convert/sentencepiece.h"

namespace penstock::convert {
namespace {

using boost::json::object;

constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::optional<std::vector<std::uint8_t>> FromBase64(std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  std::vector<std::uint8_t> bytes;
  bytes.reserve(text.size() * 3 / 4);
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const std::size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes.push_back(static_cast<std::uint8_t>(bits >> count));
  }
  return bytes;
}

// llama.cpp takes the sizes in the table at their word.
Status ReadCharacterMap(const object& normalizer, Unigram& made) {
  const auto text = FindString(normalizer, "precompiled_charsmap");
  if (!text || text->empty()) return {};
  auto bytes = FromBase64(*text);
  const auto bad = [](const std::string& why) {
    return Fail(Code::kCorrupt,
                fmt::format("tokenizer.json: precompiled_charsmap is damaged: {}", why));
  };
  if (!bytes) return bad("it is no base64");
  std::uint32_t units_size = 0;
  if (bytes->size() < sizeof units_size) return bad("it is cut off");
  std::memcpy(&units_size, bytes->data(), sizeof units_size);
  const std::uint64_t end = sizeof units_size + std::uint64_t{units_size};
  if (units_size == 0 || units_size % sizeof units_size != 0 || end >= bytes->size()) {
    return bad(fmt::format("a table of {} bytes does not fit into {}", units_size, bytes->size()));
  }
  if (bytes->back() != 0) return bad("its last text does not end");
  made.character_map = std::move(*bytes);
  return {};
}

// A replacement of several blanks by one.
bool MergesBlanks(const object& replace) {
  const object* pattern = FindObject(replace, "pattern");
  const auto text = pattern == nullptr ? std::nullopt : FindString(*pattern, "Regex");
  return text == " {2,}" && FindString(replace, "content") == " ";
}

Status ReadNormalizers(const object& tokenizer, Unigram& made) {
  for (const object* part : PartsOf(tokenizer, "normalizer", "normalizers")) {
    const std::string type = FindString(*part, "type").value_or("");
    if (type == "Precompiled") {
      if (auto read = ReadCharacterMap(*part, made); !read) return read;
    } else if (type == "Strip" || (type == "Replace" && MergesBlanks(*part))) {
      made.merges_blanks = true;
    } else {
      return Fail(Code::kUnsupported,
                  fmt::format("the tokenizer changes texts by a step of type {}, which GGUF cannot "
                              "say: its tokens would be wrong",
                              type.substr(0, 60)));
    }
  }
  return {};
}

Status ReadPreTokenizers(const object& tokenizer, Unigram& made) {
  for (const object* part : PartsOf(tokenizer, "pre_tokenizer", "pretokenizers")) {
    const std::string type = FindString(*part, "type").value_or("");
    if (type == "WhitespaceSplit") {
      made.merges_blanks = true;
    } else if (type != "Metaspace") {
      return Fail(Code::kUnsupported,
                  fmt::format("the tokenizer cuts texts by a step of type {}, which GGUF cannot "
                              "say: its tokens would be wrong",
                              type.substr(0, 60)));
    }
  }
  made.blank_in_front = PutsBlankInFront(tokenizer);
  return {};
}

Status ReadPieces(const object& model, Unigram& made) {
  const auto* vocab = FindArray(model, "vocab");
  if (vocab == nullptr || vocab->empty() || vocab->size() > kPiecesMax) {
    return Fail(Code::kCorrupt, "tokenizer.json has no vocabulary");
  }
  for (const auto& entry : *vocab) {
    const auto* pair = entry.if_array();
    boost::json::error_code error;
    const bool sound = pair != nullptr && pair->size() == 2 && (*pair)[0].is_string();
    const double score = sound ? (*pair)[1].to_number<double>(error) : 0;
    if (!sound || error || !std::isfinite(score) || std::abs(score) > 1e6) {
      return Fail(Code::kCorrupt,
                  fmt::format("tokenizer.json: token {} is no pair of a text and a score",
                              made.pieces.size()));
    }
    made.pieces.push_back(
        {.text = std::string((*pair)[0].get_string()), .score = static_cast<float>(score)});
  }
  const auto unknown = FindInteger(model, "unk_id");
  if (!unknown || *unknown < 0 || *unknown >= std::ssize(made.pieces)) {
    return Fail(Code::kCorrupt, "tokenizer.json: unk_id is none of its tokens");
  }
  made.unknown_id = *unknown;
  return {};
}

}  // namespace

Result<Unigram> ReadUnigram(const object& tokenizer) {
  const object* model = FindObject(tokenizer, "model");
  if (model == nullptr) return Fail(Code::kCorrupt, "tokenizer.json has no model");
  if (FindBool(*model, "byte_fallback").value_or(false)) {
    return Fail(Code::kUnsupported,
                "a unigram tokenizer that falls back to bytes cannot be converted: its tokens "
                "would be wrong");
  }
  Unigram made;
  Status read = ReadPieces(*model, made);
  if (read) read = ReadNormalizers(tokenizer, made);
  if (read) read = ReadPreTokenizers(tokenizer, made);
  if (!read) return Fail(read.error());
  return made;
}

}  // namespace penstock::convert
