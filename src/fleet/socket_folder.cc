#include "fleet/socket_folder.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <functional>
#include <system_error>

#include "base/check.h"
#include "base/file.h"

namespace penstock::fleet {
namespace {

constexpr std::string_view kSuffix = ".sock";

std::string PathIn(const std::string& folder, std::string_view name) {
  return fmt::format("{}/{}{}", folder, name, kSuffix);
}

bool Fits(const std::string& folder) {
  return PathIn(folder, std::string(SocketFolder::kNameSizeMax, 'x')).size() <=
         SocketFolder::kPathSizeMax;
}

// In a folder that everybody may write to, the name may have been taken by somebody else.
Status MakePrivate(const std::string& path) {
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return Fail(SystemError("create directory", path, errno));
  }
  struct stat found{};
  if (lstat(path.c_str(), &found) != 0) return Fail(SystemError("look at", path, errno));
  const bool ours = S_ISDIR(found.st_mode) && found.st_uid == geteuid() &&
                    (found.st_mode & (S_IRWXG | S_IRWXO)) == 0;
  if (ours) return {};
  return Fail(
      Code::kForbidden,
      fmt::format("{} must be a directory of user {} with mode 0700, and is not", path, geteuid()),
      path);
}

Status RemoveSockets(const std::string& folder) {
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator(folder, failure)) {
    if (entry.path().extension() != kSuffix) continue;
    if (unlink(entry.path().c_str()) != 0 && errno != ENOENT) {
      return Fail(SystemError("remove", entry.path().string(), errno));
    }
  }
  if (failure) return Fail(SystemError("list", folder, failure.value()));
  return {};
}

}  // namespace

Result<SocketFolder> SocketFolder::Open(const std::string& preferred,
                                        const std::string& fallback_parent) {
  SocketFolder folder(preferred);
  if (!Fits(preferred)) {
    folder.path_ = fmt::format("{}/penstock-{}-{:016x}", fallback_parent, geteuid(),
                               std::hash<std::string>{}(preferred));
    if (!Fits(folder.path_)) {
      return Fail(Code::kInvalidArgument,
                  fmt::format("sockets need paths of at most {} bytes: neither {} nor {} is short "
                              "enough",
                              kPathSizeMax, preferred, folder.path_),
                  preferred);
    }
    if (auto made = MakePrivate(folder.path_); !made) return Fail(made.error());
  }
  if (auto removed = RemoveSockets(folder.path_); !removed) return Fail(removed.error());
  return folder;
}

std::string SocketFolder::SocketPath(std::string_view name) const {
  CHECK(name.size() <= kNameSizeMax, "a socket's name is too long");
  return PathIn(path_, name);
}

}  // namespace penstock::fleet
