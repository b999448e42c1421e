#include "control/model_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <iterator>
#include <system_error>
#include <utility>

#include "base/file.h"
#include "control/gguf_head.h"
#include "control/gguf_tensors.h"
#include "policy/key_table.h"

namespace penstock::control {
namespace {

constexpr std::int64_t kEndSize = 1024 * 1024;
constexpr std::int64_t kSampleSize = 64 * 1024;
constexpr int kSamples = 64;
// The vocabulary stands in front of the list of tensors: at most so much is read to find its end.
constexpr std::int64_t kListEndMax = 256 * kEndSize;

// Appends the `wanted` bytes at `offset` to `to`.
Status ReadAt(const Descriptor& file, std::int64_t offset, std::int64_t wanted, std::string& to) {
  const auto size = static_cast<std::size_t>(wanted);
  const std::size_t start = to.size();
  to.resize(start + size);
  std::size_t filled = 0;
  while (filled < size) {
    const ssize_t got = pread(file.get(), to.data() + start + filled, size - filled,
                              offset + static_cast<std::int64_t>(filled));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Fail(SystemError("read", "model file", errno));
    if (got == 0) break;  // Became shorter meanwhile.
    filled += static_cast<std::size_t>(got);
  }
  to.resize(start + filled);
  return {};
}

// The bytes that the fingerprint is made of, the file's first MiB in front.
Result<std::string> ReadSamples(const Descriptor& file, std::int64_t size) {
  std::string samples;
  constexpr std::int64_t kAll = 2 * kEndSize + kSamples * kSampleSize;
  if (size <= kAll) {
    if (auto read = ReadAt(file, 0, size, samples); !read) {
      return Fail(read.error());
    }
    return samples;
  }
  samples.reserve(static_cast<std::size_t>(kAll));
  auto read = ReadAt(file, 0, kEndSize, samples);
  const auto stride = (size - kAll) / kSamples + kSampleSize;
  for (int i = 0; i < kSamples && read; ++i) {
    read = ReadAt(file, kEndSize + i * stride, kSampleSize, samples);
  }
  if (read) read = ReadAt(file, size - kEndSize, kEndSize, samples);
  if (!read) return Fail(read.error());
  return samples;
}

// Whether all tensors that the file lists lie within it. `first`: its first bytes.
Status CheckTensors(const Descriptor& file, std::int64_t size, std::string first) {
  for (;;) {
    const auto end = FindGgufTensorsEnd(first);
    if (!end) return Fail(end.error());
    if (*end && (*end)->at > static_cast<std::uint64_t>(size)) {
      return Fail(
          Code::kCorrupt,
          fmt::format("the GGUF file is truncated within its tensors: '{}' ends at byte {}, "
                      "the file at {}",
                      (*end)->tensor, (*end)->at, size));
    }
    if (*end) return {};
    const std::int64_t read = std::ssize(first);
    if (read >= size) {
      return Fail(Code::kCorrupt, "the GGUF file is truncated within its list of tensors");
    }
    if (read >= kListEndMax) return {};  // Nobody's vocabulary is so long: let the engine judge.
    const std::int64_t more = std::min({3 * read, size - read, kListEndMax - read});
    if (auto got = ReadAt(file, read, more, first); !got) return got;
    if (std::ssize(first) == read) return {};  // Became shorter meanwhile.
  }
}

boost::json::object FormatJson(const GgufHead& head) {
  boost::json::object json{
      {"format", "gguf"}, {"version", head.version}, {"tensors", head.tensors}};
  if (!head.architecture.empty()) json["architecture"] = head.architecture;
  if (!head.model_name.empty()) json["model_name"] = head.model_name;
  if (head.context_length) json["context_length"] = *head.context_length;
  return json;
}

}  // namespace

Result<ModelFile> InspectModelFile(const std::string& path) {
  std::error_code failure;
  const auto real = std::filesystem::canonical(path, failure);
  if (failure) return Fail(SystemError("open model file", path, failure.value()));
  // Not blocking: the path may be a pipe, which has to be looked at before it can be refused.
  const Descriptor file(open(real.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return Fail(SystemError("open model file", path, errno));
  struct stat found{};
  if (fstat(file.get(), &found) != 0) return Fail(SystemError("look at", path, errno));
  if (!S_ISREG(found.st_mode)) {
    return Fail(Code::kInvalidArgument, fmt::format("model file {} is not a regular file", path),
                path);
  }
  const auto samples = ReadSamples(file, found.st_size);
  if (!samples) return Fail(samples.error());
  const std::string_view first = std::string_view(*samples).substr(0, kEndSize);
  const auto refuse = [&path](const Error& error) {
    return Fail(error.code, fmt::format("model file {}: {}", path, error.message), path);
  };
  const auto head = ParseGgufHead(first, std::cmp_equal(first.size(), found.st_size));
  if (!head) return refuse(head.error());
  const auto whole = CheckTensors(file, found.st_size, std::string(first));
  if (!whole) return refuse(whole.error());
  return ModelFile{
      .path = real.string(),
      .size_bytes = found.st_size,
      .fingerprint = policy::Hex(policy::HashSecret(fmt::format("{} ", found.st_size) + *samples)),
      .architecture = head->architecture,
      .format = FormatJson(*head)};
}

std::string TaskOf(const std::string& architecture) {
  const bool encoder = architecture == "t5encoder" || architecture.ends_with("bert") ||
                       architecture.starts_with("nomic-bert");
  return encoder ? "llm/v1/embeddings" : "llm/v1/chat";
}

}  // namespace penstock::control
