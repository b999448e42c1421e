#include "base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

namespace penstock {
namespace {

Code CodeFor(int error_number) {
  switch (error_number) {
    case EACCES:
    case EPERM:
    case EROFS:
      return Code::kForbidden;
    case EINVAL:
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ENAMETOOLONG:
    case ELOOP:
      return Code::kInvalidArgument;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN:
      return Code::kExhausted;
    default:
      return Code::kInternal;
  }
}

// 0, or the errno of what failed.
int WriteAll(int descriptor, std::string_view content) {
  while (!content.empty()) {
    const ssize_t written = write(descriptor, content.data(), content.size());
    if (written < 0 && errno != EINTR) return errno;
    if (written > 0) content.remove_prefix(static_cast<std::size_t>(written));
  }
  return fsync(descriptor) == 0 ? 0 : errno;
}

// A rename is on disk only once its directory is.
int SyncDirectory(const std::string& path) {
  const Descriptor directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return errno;
  return fsync(directory.get()) == 0 ? 0 : errno;
}

}  // namespace

Descriptor::~Descriptor() {
  if (value_ >= 0) close(value_);
}

Error SystemError(std::string_view what, const std::string& path, int error_number) {
  return {
      CodeFor(error_number),
      fmt::format("cannot {} {}: {}", what, path, std::generic_category().message(error_number)),
      path};
}

Status WriteFileDurably(const std::string& path, std::string_view content, mode_t mode) {
  const std::string temporary = path + ".new";
  unlink(temporary.c_str());  // Left by a killed process: its permissions may be others.
  Descriptor file(
      open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
  if (!file) return Fail(SystemError("create", temporary, errno));
  int error = fchmod(file.get(), mode) == 0 ? 0 : errno;  // Whatever the umask is.
  if (error == 0) error = WriteAll(file.get(), content);
  if (error == 0 && rename(temporary.c_str(), path.c_str()) != 0) error = errno;
  if (error == 0) {
    const auto parent = std::filesystem::path(path).parent_path();
    error = SyncDirectory(parent.empty() ? "." : parent.string());
  }
  if (error == 0) return {};
  unlink(temporary.c_str());
  return Fail(SystemError("write", path, error));
}

Result<std::string> ReadSmallFile(const std::string& path, std::size_t size_max) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return Fail(SystemError("open", path, errno));
  // One byte more than allowed, grown as it fills: `size_max` may be far more than there is.
  constexpr std::size_t kFirstBytes = 64 * 1024;
  std::string content(std::min(size_max + 1, kFirstBytes), '\0');
  std::size_t size = 0;
  while (size <= size_max) {
    if (size == content.size()) content.resize(std::min(size_max + 1, 2 * size));
    const ssize_t got = read(file.get(), content.data() + size, content.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Fail(SystemError("read", path, errno));
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > size_max) {
    return Fail(Code::kTooLarge, fmt::format("{} is larger than {} bytes", path, size_max), path);
  }
  content.resize(size);
  return content;
}

}  // namespace penstock
