#include "hub/download.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "base/file.h"
#include "hub/checksum.h"
#include "hub/fetch.h"

namespace penstock::hub {
namespace {

constexpr std::size_t kReadSize = std::size_t{1} << 20;

std::int64_t SizeOf(const std::string& path) {
  struct stat found{};
  return stat(path.c_str(), &found) == 0 && S_ISREG(found.st_mode) ? found.st_size : -1;
}

// Whether the file at `path` is what the hub promised.
Status Check(const RemoteFile& file, const std::string& path) {
  if (const std::int64_t size = SizeOf(path); size != file.size) {
    return Fail(Code::kCorrupt,
                fmt::format("{} has {} bytes, the hub promised {}", file.path, size, file.size));
  }
  const std::string& wanted = file.sha256.empty() ? file.blob_id : file.sha256;
  if (wanted.empty()) return {};
  const Descriptor input(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!input) return Fail(SystemError("read", path, errno));
  Checksum checksum = file.sha256.empty() ? Checksum::GitBlob(file.size) : Checksum::Sha256();
  std::string buffer(kReadSize, '\0');
  for (;;) {
    const ssize_t got = read(input.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Fail(SystemError("read", path, errno));
    if (got == 0) break;
    checksum.Update({buffer.data(), static_cast<std::size_t>(got)});
  }
  const std::string is = checksum.Hex();
  if (is == wanted) return {};
  return Fail(Code::kCorrupt,
              fmt::format("{} has the {} {}, the hub promised {}", file.path,
                          file.sha256.empty() ? "git hash" : "SHA-256", is, wanted));
}

// Writes what arrives at the end of the part file.
class PartFile {
 public:
  PartFile(const RemoteFile& file, std::string path, const DownloadOptions& options)
      : file_(file), path_(std::move(path)), options_(options) {}

  Status Open() {
    output_ = Descriptor(open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    if (!output_) return Fail(SystemError("create", path_, errno));
    size_ = std::max<std::int64_t>(0, SizeOf(path_));
    if (size_ > file_.size) return StartAt(0);  // Of another file.
    return {};
  }
  Status StartAt(std::int64_t offset) {
    size_ = offset;
    if (ftruncate(output_.get(), offset) != 0) return Fail(SystemError("write", path_, errno));
    return {};
  }
  Status Append(std::string_view bytes) {
    if (size_ + static_cast<std::int64_t>(bytes.size()) > file_.size) {
      return Fail(Code::kCorrupt,
                  fmt::format("{} is longer than the {} bytes that the hub promised", file_.path,
                              file_.size));
    }
    while (!bytes.empty()) {
      const ssize_t put = pwrite(output_.get(), bytes.data(), bytes.size(), size_);
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return Fail(SystemError("write", path_, errno));
      bytes.remove_prefix(static_cast<std::size_t>(put));
      size_ += put;
    }
    if (options_.on_progress && !options_.on_progress(size_)) {
      return Fail(Code::kCancelled, "the pull was stopped");
    }
    return {};
  }
  Status Finish(const std::string& path) {
    if (fsync(output_.get()) != 0) return Fail(SystemError("write", path_, errno));
    if (auto good = Check(file_, path_); !good) {
      std::error_code ignored;
      std::filesystem::remove(path_, ignored);  // To go on with it would never end well.
      return good;
    }
    if (std::rename(path_.c_str(), path.c_str()) != 0) {
      return Fail(SystemError("put in place", path, errno));
    }
    return {};
  }
  std::int64_t size() const { return size_; }
  bool whole() const { return size_ == file_.size; }

 private:
  const RemoteFile& file_;
  std::string path_;
  const DownloadOptions& options_;
  Descriptor output_;
  std::int64_t size_ = 0;
};

bool MayPass(Code code) {
  return code == Code::kUnavailable || code == Code::kDeadline || code == Code::kUpstream ||
         code == Code::kClosed || code == Code::kRateLimited || code == Code::kInternal;
}

void Pause(Duration pause) {
  // Nothing to wait for but the time: this thread is the pull's own.
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(pause).count();
  poll(nullptr, 0, static_cast<int>(std::min<long long>(ms, 60'000)));
}

Status FetchRest(PartFile& part, const DownloadOptions& options) {
  return Fetch({.url = options.url,
                .token = options.token,
                .from = part.size(),
                .insecure = options.insecure,
                .stall_max = options.stall_max,
                .on_start = [&part](bool resumed) { return resumed ? Status() : part.StartAt(0); },
                .on_bytes = [&part](std::string_view bytes) { return part.Append(bytes); }});
}

}  // namespace

Status Download(const RemoteFile& file, const std::string& path, const DownloadOptions& options) {
  if (SizeOf(path) == file.size && Check(file, path)) return {};  // There already.
  std::error_code failure;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), failure);
  if (failure) return Fail(SystemError("create the folder of", path, failure.value()));
  PartFile part(file, path + ".part", options);
  if (auto opened = part.Open(); !opened) return opened;
  Duration pause = options.pause;
  for (int attempt = 1; !part.whole();) {
    const std::int64_t before = part.size();
    const Status fetched = FetchRest(part, options);
    if (fetched && part.whole()) break;
    if (!fetched && !MayPass(fetched.error().code)) return fetched;
    if (part.size() > before) {
      attempt = 0;
      pause = options.pause;
    }
    if (++attempt > options.attempts_max) {
      if (!fetched) return fetched;
      return Fail(Code::kUpstream, fmt::format("{} ends after {} of {} bytes, again and again",
                                               file.path, part.size(), file.size));
    }
    Pause(pause);
    pause *= 2;
  }
  return part.Finish(path);
}

}  // namespace penstock::hub
