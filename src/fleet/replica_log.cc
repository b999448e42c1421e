#include "fleet/replica_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace penstock::fleet {
namespace {

// Up to `size` bytes from `offset`; fewer at the end of the file or on an error.
std::string ReadAt(int file, off_t offset, std::size_t size) {
  std::string content(size, '\0');
  std::size_t filled = 0;
  while (filled < size) {
    const ssize_t got =
        pread(file, content.data() + filled, size - filled, offset + static_cast<off_t>(filled));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    filled += static_cast<std::size_t>(got);
  }
  content.resize(filled);
  return content;
}

// Printable ASCII as it is, line breaks as " | ", the rest as '?': safe in JSON, logs and
// terminals.
std::string OneLine(std::string_view text) {
  std::string line;
  for (const char c : text) {
    if (c == '\n') {
      line += " | ";
    } else if (c >= ' ' && c <= '~') {
      line += c;
    } else if (c != '\r') {
      line += c == '\t' ? ' ' : '?';
    }
  }
  return line;
}

}  // namespace

std::string PrintableTail(std::string text, std::size_t size_max) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  if (text.size() > size_max) {
    text.erase(0, text.size() - size_max);
    const std::size_t line_end = text.find('\n');
    if (line_end != std::string::npos) text.erase(0, line_end + 1);
  }
  return OneLine(text);
}

Result<ReplicaLog> ReplicaLog::Open(const std::string& path) {
  Descriptor file(open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return Fail(SystemError("open log", path, errno));
  const off_t end = lseek(file.get(), 0, SEEK_END);
  if (end < 0) return Fail(SystemError("use log", path, errno));
  return ReplicaLog(path, std::move(file), end);
}

std::string ReplicaLog::Tail(std::size_t size_max) const {
  struct stat now{};
  if (fstat(file_.get(), &now) != 0) return {};
  const off_t start = now.st_size < start_ ? 0 : start_;  // It was moved on meanwhile.
  const off_t from = std::max(start, now.st_size - static_cast<off_t>(size_max));
  std::string text = ReadAt(file_.get(), from, static_cast<std::size_t>(now.st_size - from));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  if (from > start) {
    const std::size_t line_end = text.find('\n');
    if (line_end != std::string::npos) text.erase(0, line_end + 1);
  }
  return OneLine(text);
}

Status ReplicaLog::RotateIfLarge(std::size_t size_max) {
  struct stat now{};
  if (fstat(file_.get(), &now) != 0) return Fail(SystemError("look at log", path_, errno));
  if (now.st_size <= static_cast<off_t>(size_max)) return {};
  const std::string newer =
      ReadAt(file_.get(), now.st_size - static_cast<off_t>(size_max / 2), size_max / 2);
  if (auto kept = WriteFileDurably(path_ + ".1", newer, 0600); !kept) return kept;
  if (ftruncate(file_.get(), 0) != 0) return Fail(SystemError("shorten log", path_, errno));
  start_ = 0;
  return {};
}

}  // namespace penstock::fleet
