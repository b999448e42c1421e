#include "convert/pre_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "convert/json_fields.h"

namespace penstock::convert {
namespace {

using boost::json::object;

// Patterns as the tokenizers' files have them.
struct PatternRow {
  std::string_view pattern;
  std::string_view name;
};
constexpr std::array kPatterns = {
    PatternRow{R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?)"
               R"([^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
               "llama-bpe"},
    PatternRow{R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?)"
               R"([^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
               "qwen2"},
    PatternRow{R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
               R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|)"
               R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
               "tekken"},
};

}  // namespace

std::vector<const object*> PartsOf(const object& tokenizer, std::string_view key,
                                   std::string_view list) {
  std::vector<const object*> parts;
  const object* whole = FindObject(tokenizer, key);
  if (whole == nullptr) return parts;
  const auto* several = FindArray(*whole, list);
  if (several == nullptr) return {whole};
  for (const auto& part : *several) {
    if (part.is_object()) parts.push_back(&part.get_object());
  }
  return parts;
}

Result<std::string> PreTokenizerOf(const object& tokenizer) {
  bool bytes = false;
  bool bytes_split = false;
  std::vector<std::string> patterns;
  for (const object* part : PartsOf(tokenizer, "pre_tokenizer", "pretokenizers")) {
    const std::string type = FindString(*part, "type").value_or("");
    if (type == "ByteLevel") {
      bytes = true;
      bytes_split = FindBool(*part, "use_regex").value_or(true);
    } else if (type == "Split") {
      const object* pattern = FindObject(*part, "pattern");
      const auto text = pattern == nullptr ? std::nullopt : FindString(*pattern, "Regex");
      patterns.push_back(text.value_or("(not a regular expression)"));
    } else {
      patterns.push_back(type);
    }
  }
  if (bytes && patterns.empty() && bytes_split) return "gpt-2";
  if (bytes && patterns.size() == 1 && !bytes_split) {
    const auto* found = std::ranges::find(kPatterns, patterns[0], &PatternRow::pattern);
    if (found != kPatterns.end()) return std::string(found->name);
  }
  return Fail(
      Code::kUnsupported,
      fmt::format("the tokenizer cuts text by a pattern that is not known here, so that its "
                  "tokens would be wrong: {}",
                  patterns.empty() ? "no pattern" : patterns[0].substr(0, 200)));
}

bool PutsBlankInFront(const object& tokenizer) {
  for (const object* part : PartsOf(tokenizer, "normalizer", "normalizers")) {
    if (FindString(*part, "type") == "Prepend") return true;
  }
  for (const object* part : PartsOf(tokenizer, "pre_tokenizer", "pretokenizers")) {
    if (FindString(*part, "type") != "Metaspace") continue;
    return FindString(*part, "prepend_scheme").value_or("always") != "never" &&
           FindBool(*part, "add_prefix_space").value_or(true);
  }
  return false;
}

}  // namespace penstock::convert
