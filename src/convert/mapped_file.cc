#include "convert/mapped_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "base/file.h"

namespace penstock::convert {

Result<MappedFile> MappedFile::Open(const std::string& path) {
  // Not blocking: the path may be a pipe, which has to be looked at before it can be refused.
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return Fail(SystemError("open", path, errno));
  struct stat found{};
  if (fstat(file.get(), &found) != 0) return Fail(SystemError("look at", path, errno));
  if (!S_ISREG(found.st_mode)) {
    return Fail(Code::kInvalidArgument, fmt::format("{} is not a regular file", path));
  }
  if (found.st_size == 0) return Fail(Code::kCorrupt, fmt::format("{} is empty", path));
  const auto size = static_cast<std::size_t>(found.st_size);
  void* mapped = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (mapped == MAP_FAILED) return Fail(SystemError("map", path, errno));
  return MappedFile(path, static_cast<const std::uint8_t*>(mapped), size);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  // munmap takes a plain pointer, and changes nothing that it points to.
  if (data_ != nullptr) munmap(const_cast<std::uint8_t*>(data_), size_);
}

}  // namespace penstock::convert
