// The shell of the GGUF check: maps a file, and asks the kernel how much memory there is.
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "engine/llama/gguf_check.h"

namespace penstock::engine {
namespace {

std::unexpected<Error> FileError(const std::string& path, int error) {
  const Code code = error == ENOENT || error == ENOTDIR ? Code::kNotFound
                    : error == EACCES || error == EPERM ? Code::kForbidden
                                                        : Code::kInternal;
  return Fail(code, fmt::format("{}: {}", path, std::strerror(error)), "model");
}

std::optional<std::uint64_t> NumberIn(const char* path) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  return file >> number ? std::optional(number) : std::nullopt;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

Result<GgufSummary> CheckModelFile(const std::string& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return FileError(path, errno);
  struct stat status{};
  if (fstat(file.get(), &status) != 0) return FileError(path, errno);
  if (!S_ISREG(status.st_mode)) {
    return Fail(Code::kInvalidArgument, fmt::format("{}: not a regular file", path), "model");
  }
  const auto bytes = static_cast<std::size_t>(status.st_size);
  if (bytes == 0) return Fail(Code::kCorrupt, fmt::format("{}: the file is empty", path), "model");
  void* mapped = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (mapped == MAP_FAILED) return FileError(path, errno);
  auto summary = ParseGguf({static_cast<const std::uint8_t*>(mapped), bytes}, bytes);
  munmap(mapped, bytes);
  if (!summary) {
    Error error = std::move(summary.error());
    return Fail(error.code, fmt::format("{}: {}", path, error.message), "model");
  }
  return summary;
}

std::optional<std::uint64_t> AvailableMemoryBytes() {
  std::ifstream file("/proc/meminfo");
  std::string word;
  std::uint64_t kibibytes = 0;
  std::optional<std::uint64_t> available;
  while (file >> word) {
    if (word == "MemAvailable:" && file >> kibibytes) {
      available = kibibytes * 1024;
      break;
    }
  }
  const auto limit = NumberIn("/sys/fs/cgroup/memory.max");
  const auto used = NumberIn("/sys/fs/cgroup/memory.current");
  if (limit && used) {
    const std::uint64_t room = *limit > *used ? *limit - *used : 0;
    available = available ? std::min(*available, room) : room;
  }
  return available;
}

}  // namespace penstock::engine
