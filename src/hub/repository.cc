#include "hub/repository.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <optional>

namespace penstock::hub {
namespace {

using boost::json::object;

std::unexpected<Error> Wrong(std::string what) {
  return Fail(Code::kUpstream, fmt::format("the hub's answer {}", what));
}

std::string TextOf(const object& json, std::string_view key) {
  const auto* value = json.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

bool IsHex(std::string_view text, std::size_t size) {
  return text.size() == size && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

// Stays within the repository's folder, whatever the hub says.
bool IsSafePath(std::string_view path) {
  if (path.empty() || path.size() > 500 || path.front() == '/' || path.back() == '/') return false;
  std::string_view rest = path;
  while (!rest.empty()) {
    const auto slash = rest.find('/');
    const std::string_view part = rest.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
  }
  return std::ranges::all_of(path, [](char c) { return c >= ' ' && c != 0x7F && c != '\\'; });
}

// A size in bytes; nullopt if it is missing or impossible.
std::optional<std::int64_t> SizeOf(const object& json) {
  const auto* value = json.if_contains("size");
  if (value == nullptr || !value->is_number()) return std::nullopt;
  boost::json::error_code error;
  const auto size = value->to_number<std::int64_t>(error);
  if (error || size < 0 || size > kFileBytesMax) return std::nullopt;
  return size;
}

Result<RemoteFile> ReadFile(const boost::json::value& json) {
  const auto* entry = json.if_object();
  if (entry == nullptr) return Wrong("lists something that is no file");
  RemoteFile file{.path = TextOf(*entry, "rfilename"), .blob_id = TextOf(*entry, "blobId")};
  if (!IsSafePath(file.path)) return Wrong("lists a file with an impossible path");
  auto size = SizeOf(*entry);
  const auto* lfs_value = entry->if_contains("lfs");
  if (const auto* lfs = lfs_value == nullptr ? nullptr : lfs_value->if_object()) {
    file.sha256 = TextOf(*lfs, "sha256");
    if (!IsHex(file.sha256, 64)) return Wrong(fmt::format("has no SHA-256 of {}", file.path));
    size = SizeOf(*lfs);
  }
  if (!size) return Wrong(fmt::format("has no size of {}", file.path));
  if (file.sha256.empty() && !file.blob_id.empty() && !IsHex(file.blob_id, 40)) {
    return Wrong(fmt::format("has a hash of {} that is none", file.path));
  }
  file.size = *size;
  return file;
}

bool EndsWith(const RemoteFile& file, std::string_view ending) {
  return file.path.ends_with(ending);
}

// What a model needs beside its weights.
bool IsCompanion(std::string_view path) {
  constexpr std::array<std::string_view, 13> kNames = {"config.json",
                                                       "generation_config.json",
                                                       "tokenizer.json",
                                                       "tokenizer_config.json",
                                                       "special_tokens_map.json",
                                                       "added_tokens.json",
                                                       "tokenizer.model",
                                                       "vocab.txt",
                                                       "chat_template.jinja",
                                                       "model.safetensors.index.json",
                                                       "modules.json",
                                                       "1_Pooling/config.json",
                                                       "README.md"};
  return (std::ranges::find(kNames, path) != kNames.end());
}

// The names of the GGUF files, for a message.
std::string Listed(const std::vector<RemoteFile>& files) {
  std::string list;
  constexpr std::size_t kShown = 12;
  for (std::size_t i = 0; i < files.size() && i < kShown; ++i) {
    list += fmt::format("{}{}", i == 0 ? "" : ", ", files[i].path);
  }
  if (files.size() > kShown) list += fmt::format(" and {} more", files.size() - kShown);
  return list;
}

}  // namespace

Result<Repository> ParseRepository(std::string_view answer) {
  boost::json::parse_options options;
  options.max_depth = 32;
  boost::json::error_code error;
  const auto json = boost::json::parse({answer.data(), answer.size()}, error, {}, options);
  if (error || !json.is_object()) return Wrong("is not a JSON object");
  const object& root = json.get_object();
  Repository repository{.commit = TextOf(root, "sha"),
                        .pipeline_tag = TextOf(root, "pipeline_tag")};
  if (!IsHex(repository.commit, 40)) return Wrong("names no commit");
  const auto* card = root.if_contains("cardData");
  if (card != nullptr && card->is_object()) {
    repository.licence = TextOf(card->get_object(), "license").substr(0, 100);
  }
  const auto* files = root.if_contains("siblings");
  if (files == nullptr || !files->is_array()) return Wrong("lists no files");
  if (files->get_array().size() > kFilesMax) {
    return Wrong(
        fmt::format("lists {} files, at most {} are taken", files->get_array().size(), kFilesMax));
  }
  for (const auto& entry : files->get_array()) {
    auto file = ReadFile(entry);
    if (!file) return Fail(std::move(file.error()));
    repository.files.push_back(std::move(*file));
  }
  return repository;
}

Result<std::vector<RemoteFile>> ChooseFiles(const Repository& repository, const std::string& file) {
  std::vector<RemoteFile> gguf;
  std::vector<RemoteFile> weights;
  std::vector<RemoteFile> companions;
  for (const RemoteFile& one : repository.files) {
    if (!file.empty() && one.path == file) return std::vector<RemoteFile>{one};
    if (EndsWith(one, ".gguf")) gguf.push_back(one);
    // Folders within a repository hold other forms of the same weights ("original/", "onnx/").
    const bool top = one.path.find('/') == std::string::npos;
    if (top && EndsWith(one, ".safetensors")) weights.push_back(one);
    if (IsCompanion(one.path)) companions.push_back(one);
  }
  if (!file.empty()) {
    return Fail(Code::kNotFound,
                fmt::format("the repository has no file {}{}", file.substr(0, 200),
                            gguf.empty() ? "" : "; its GGUF files: " + Listed(gguf)));
  }
  if (!weights.empty()) {
    companions.insert(companions.end(), weights.begin(), weights.end());
    return companions;
  }
  if (gguf.size() == 1) return gguf;
  if (!gguf.empty()) {
    return Fail(Code::kInvalidArgument,
                fmt::format("the repository has {} GGUF files, name one (hf:ORG/NAME:FILE): {}",
                            gguf.size(), Listed(gguf)));
  }
  return Fail(Code::kUnsupported,
              "the repository has neither safetensors nor GGUF files: its weights cannot be read");
}

}  // namespace penstock::hub
