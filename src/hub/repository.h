// Repository: what a hub says of a model's repository, and which of its files are needed. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace penstock::hub {

inline constexpr std::size_t kFilesMax = 10'000;
inline constexpr std::int64_t kFileBytesMax = std::int64_t{1} << 40;

struct RemoteFile {
  std::string path{};     // Within the repository.
  std::int64_t size = 0;  // Bytes.
  std::string sha256{};   // Hex; of large files ("LFS").
  std::string blob_id{};  // Hex; git's hash of the others.
};

struct Repository {
  std::string commit{};  // What the revision stands for.
  std::string licence{};
  std::string pipeline_tag{};  // "text-generation", "feature-extraction", ...
  std::vector<RemoteFile> files{};
};

// The answer to GET /api/models/ORG/NAME/revision/REVISION?blobs=true. kUpstream, naming what is
// missing or wrong: paths that lead out of the folder, sizes and hashes that cannot be.
Result<Repository> ParseRepository(std::string_view answer);

// The files to pull: `file` alone if given; else safetensors with their configuration and
// tokenizer, or the one GGUF file that there is. kNotFound, kUnsupported and kInvalidArgument say
// what there is instead.
Result<std::vector<RemoteFile>> ChooseFiles(const Repository& repository, const std::string& file);

}  // namespace penstock::hub
