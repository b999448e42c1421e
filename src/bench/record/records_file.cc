#include "bench/record/records_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string_view>
#include <utility>

#include "bench/record/record_json.h"

namespace penstock::bench {
namespace {

constexpr std::size_t kBufferBytes = 256 * 1024;

}  // namespace

Result<RecordsWriter> RecordsWriter::Create(const std::string& path, const RunHeader& header) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor < 0) {
    return Fail(Code::kInvalidArgument,
                fmt::format("records {} cannot be written: {}", path, std::strerror(errno)),
                "records");
  }
  RecordsWriter writer(path, descriptor);
  AppendLine(header, writer.buffer_);
  if (auto flushed = writer.Flush(); !flushed) return Fail(flushed.error());
  return writer;
}

RecordsWriter::RecordsWriter(RecordsWriter&& other) noexcept
    : path_(std::move(other.path_)),
      file_(std::exchange(other.file_, -1)),
      buffer_(std::move(other.buffer_)) {}

RecordsWriter::~RecordsWriter() {
  if (file_ < 0) return;
  static_cast<void>(Flush());
  ::close(file_);
}

Status RecordsWriter::Append(const RequestRecord& record) {
  AppendLine(record, buffer_);
  return FlushIfFull();
}

Status RecordsWriter::Append(const LevelRecord& record) {
  AppendLine(record, buffer_);
  return FlushIfFull();
}

Status RecordsWriter::FlushIfFull() { return buffer_.size() < kBufferBytes ? Status{} : Flush(); }

Status RecordsWriter::Flush() {
  std::string_view left = buffer_;
  while (!left.empty()) {
    const ssize_t written = ::write(file_, left.data(), left.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const int reason = errno;
      buffer_.clear();
      return Fail(Code::kExhausted,
                  fmt::format("records {} cannot be written: {}", path_, std::strerror(reason)),
                  "records");
    }
    left.remove_prefix(static_cast<std::size_t>(written));
  }
  buffer_.clear();
  return {};
}

Result<RunRecords> ReadRecords(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  if (!file)
    return Fail(Code::kNotFound, fmt::format("records {} cannot be read", path), "records");
  auto run = ParseRecords(std::move(text).str());
  if (!run) {
    Error error = run.error();
    error.message = fmt::format("records {}: {}", path, error.message);
    return Fail(std::move(error));
  }
  return run;
}

}  // namespace penstock::bench
