// The ledger's folder: which segments there are, and making whole what a killed process left.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <system_error>

#include "base/file.h"
#include "base/log.h"
#include "meter/ledger.h"
#include "meter/ledger_format.h"

namespace penstock::meter {
namespace {

constexpr std::size_t kTimeDigits = 13;

// A segment's name taken apart; false for another file's.
bool ReadName(std::string_view name, SegmentFile& segment) {
  if (name.ends_with(kOpenEnding)) {
    name.remove_suffix(kOpenEnding.size());
  } else if (name.ends_with(kFinishedEnding)) {
    segment.finished = true;
    name.remove_suffix(kFinishedEnding.size());
  } else {
    return false;
  }
  std::int64_t first_at_ms = 0;
  const std::string_view digits = name.substr(0, kTimeDigits);
  const char* const end = digits.end();
  const auto [stop, error] = std::from_chars(digits.begin(), end, first_at_ms);
  if (error != std::errc() || stop != end || name.size() <= kTimeDigits) return false;
  segment.first_at = WallTime(std::chrono::milliseconds(first_at_ms));
  segment.stem = name;
  return true;
}

}  // namespace

Result<std::vector<SegmentFile>> ListSegments(const std::string& folder) {
  std::vector<SegmentFile> segments;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    SegmentFile segment{.path = entry->path().string(), .stem = {}};
    if (!ReadName(entry->path().filename().string(), segment)) continue;
    std::error_code gone;  // Renamed or removed since.
    segment.bytes = entry->file_size(gone);
    if (!gone) segments.push_back(std::move(segment));
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return Fail(SystemError("read the folder", folder, error.value()));
  }
  std::ranges::sort(segments, {}, &SegmentFile::stem);
  return segments;
}

Result<std::string> ReadBeginning(const std::string& path, std::uint64_t bytes) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return Fail(SystemError("open", path, errno));
  std::string content(bytes, '\0');
  std::size_t size = 0;
  while (size < content.size()) {
    const ssize_t got = read(file.get(), content.data() + size, content.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Fail(SystemError("read", path, errno));
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  content.resize(size);
  return content;
}

bool SyncFolder(const std::string& folder) {
  const Descriptor descriptor(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return descriptor && fsync(descriptor.get()) == 0;
}

Status Ledger::Recover() {
  const auto segments = ListSegments(folder_);
  if (!segments) return Fail(segments.error());
  for (const SegmentFile& segment : *segments) {
    if (segment.finished) continue;
    const auto content = ReadBeginning(segment.path, segment.bytes);
    if (!content) return Fail(content.error());
    const std::string_view text(*content);
    const bool has_head = text.starts_with(kSegmentHead);
    FrameReader reader(has_head ? text.substr(kSegmentHead.size()) : std::string_view());
    while (reader.Next()) continue;
    const std::size_t good = has_head ? kSegmentHead.size() + reader.position() : 0;
    if (good < text.size()) {
      const std::size_t used = text.find_last_not_of('\0') + 1;  // 0 where nothing is.
      if (good < used) {
        counters_.torn_bytes += used - good;
        Log().warn("ledger: {} ended within a record; its last {} bytes are cut off", segment.path,
                   used - good);
      }
      if (truncate(segment.path.c_str(), static_cast<off_t>(good)) != 0) {
        return Fail(SystemError("truncate", segment.path, errno));
      }
    }
    const bool empty = good <= kSegmentHead.size();
    const std::string to = fmt::format("{}/{}{}", folder_, segment.stem, kFinishedEnding);
    const int done =
        empty ? unlink(segment.path.c_str()) : rename(segment.path.c_str(), to.c_str());
    if (done != 0) return Fail(SystemError("finish", segment.path, errno));
  }
  return {};
}

}  // namespace penstock::meter
