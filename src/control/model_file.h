// ModelFile: what is known of a model file before an engine loads it.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <string>

#include "base/result.h"

namespace penstock::control {

struct ModelFile {
  std::string path;  // Absolute, links resolved.
  std::int64_t size_bytes = 0;
  // SHA-256 in hex over the size, the first and the last MiB, and 64 KiB at 64 places between:
  // tells files apart in the same short time whatever their size. Not a proof that nothing was
  // changed.
  std::string fingerprint;
  std::string architecture;    // "llama", "bert", …; "" unknown.
  boost::json::object format;  // {"format":"gguf", "version", "tensors", "architecture", …}
};

// Looks at the file. Blocks. Errors name the path: kInvalidArgument (no such file, not a regular
// file), kForbidden (not readable), kCorrupt (not GGUF, or truncated), kUnsupported (GGUF of
// another version).
Result<ModelFile> InspectModelFile(const std::string& path);

// The API that a model of this architecture answers: "llm/v1/embeddings" for encoders, else
// "llm/v1/chat".
std::string TaskOf(const std::string& architecture);

}  // namespace penstock::control
