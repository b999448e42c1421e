// Reading the tokenizer's files from a folder.
#include <filesystem>
#include <sstream>

#include <fmt/format.h>

#include "base/file.h"
#include "convert/json_fields.h"
#include "convert/mapped_file.h"
#include "convert/vocabulary.h"

namespace penstock::convert {
namespace {

constexpr std::size_t kTextFileMax = std::size_t{32} << 20;

bool IsThere(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored);
}

Status ReadIfThere(const std::string& path, std::optional<boost::json::object>& to) {
  if (!IsThere(path)) return {};
  auto object = ReadObject(path);
  if (!object) return Fail(object.error());
  to = std::move(*object);
  return {};
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace

Result<TokenizerFiles> ReadTokenizerFiles(const std::string& folder) {
  TokenizerFiles files;
  Status read = ReadIfThere(folder + "/tokenizer.json", files.tokenizer);
  if (read) read = ReadIfThere(folder + "/tokenizer_config.json", files.config);
  if (read) read = ReadIfThere(folder + "/special_tokens_map.json", files.special_tokens);
  if (!read) return Fail(read.error());
  if (const std::string path = folder + "/tokenizer.model"; IsThere(path)) {
    const auto file = MappedFile::Open(path);
    if (!file) return Fail(file.error());
    auto model = ParseSentencePiece(file->bytes());
    // Llama 3 has a file of this name in another format, beside its tokenizer.json.
    if (!model && !files.tokenizer) {
      return Fail(model.error().code, fmt::format("{}: {}", path, model.error().message));
    }
    if (model) files.sentencepiece = std::move(*model);
  }
  if (const std::string path = folder + "/vocab.txt"; IsThere(path)) {
    const auto text = ReadSmallFile(path, kTextFileMax);
    if (!text) return Fail(text.error());
    files.word_list = Lines(*text);
  }
  if (const std::string path = folder + "/chat_template.jinja"; IsThere(path)) {
    auto text = ReadSmallFile(path, kTextFileMax);
    if (!text) return Fail(text.error());
    files.chat_template = std::move(*text);
  }
  if (!files.tokenizer && !files.sentencepiece && files.word_list.empty()) {
    return Fail(Code::kNotFound,
                fmt::format("{} has no tokenizer.json, tokenizer.model or vocab.txt", folder));
  }
  return files;
}

}  // namespace penstock::convert
