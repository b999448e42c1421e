#include "store/data_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

namespace penstock::store {
namespace {

Status MakeDirectory(const std::string& path) {
  if (mkdir(path.c_str(), 0700) == 0) return {};
  if (errno != EEXIST) return Fail(SystemError("create directory", path, errno));
  struct stat found{};
  if (stat(path.c_str(), &found) != 0) return Fail(SystemError("look at", path, errno));
  if (!S_ISDIR(found.st_mode)) return Fail(SystemError("use", path, ENOTDIR));
  return {};
}

// The text of the lock file, for a message; "an unknown process" while its holder is just starting.
std::string Holder(const std::string& lock_path) {
  constexpr std::size_t kSizeMax = 64;
  const auto content = ReadSmallFile(lock_path, kSizeMax);
  std::string digits;
  if (content) digits = content->substr(0, content->find_first_not_of("0123456789"));
  return digits.empty() ? "an unknown process" : "process " + digits;
}

Result<Descriptor> Lock(const std::string& directory) {
  const std::string path = directory + "/penstock.lock";
  Descriptor lock(open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!lock) return Fail(SystemError("write to data directory", directory, errno));
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return Fail(SystemError("lock", path, errno));
    return Fail(Code::kConflict,
                fmt::format("data directory {} is in use by {}", directory, Holder(path)),
                directory);
  }
  const std::string process = fmt::format("{}\n", getpid());
  if (ftruncate(lock.get(), 0) != 0 ||
      pwrite(lock.get(), process.data(), process.size(), 0) != std::ssize(process)) {
    return Fail(SystemError("write to data directory", directory, errno));
  }
  return lock;
}

}  // namespace

Result<DataDirectory> DataDirectory::Open(const std::string& path) {
  if (path.empty()) {
    return Fail(Code::kInvalidArgument, "the data directory's path is empty", "data");
  }
  std::error_code failure;
  auto absolute = std::filesystem::absolute(path, failure).lexically_normal();
  if (!absolute.has_filename()) absolute = absolute.parent_path();  // "data/" is "data".
  if (failure) return Fail(SystemError("use", path, failure.value()));
  std::filesystem::create_directories(absolute.parent_path(), failure);
  if (failure) return Fail(SystemError("create directory", absolute.string(), failure.value()));

  const std::string directory = absolute.string();
  if (auto made = MakeDirectory(directory); !made) return Fail(made.error());
  auto lock = Lock(directory);
  if (!lock) return Fail(lock.error());
  DataDirectory data(directory, std::move(*lock));
  for (const std::string& inner :
       {data.run_path(), data.log_path(), data.models_path(), data.converted_path(),
        data.hub_path(), data.calibration_path(), data.secrets_path()}) {
    if (auto made = MakeDirectory(inner); !made) return Fail(made.error());
  }
  return data;
}

}  // namespace penstock::store
