// Records file: writes a run's records as they come, and reads them back.
#pragma once

#include <string>

#include "base/result.h"
#include "bench/record/record.h"

namespace penstock::bench {

// Buffers lines in memory and writes them in large pieces. Not thread-safe: one owner. The
// destructor writes what is left, silently; Flush() first to hear of a full disk.
class RecordsWriter {
 public:
  // Creates or replaces the file and writes the header. Errors: kInvalidArgument naming the path.
  static Result<RecordsWriter> Create(const std::string& path, const RunHeader& header);

  RecordsWriter(RecordsWriter&& other) noexcept;
  RecordsWriter& operator=(RecordsWriter&&) = delete;
  ~RecordsWriter();

  // Errors: kExhausted where the system refuses to take the bytes; the record is then lost.
  Status Append(const RequestRecord& record);
  Status Append(const LevelRecord& record);
  Status Flush();

 private:
  RecordsWriter(std::string path, int descriptor) : path_(std::move(path)), file_(descriptor) {}
  Status FlushIfFull();

  std::string path_;
  int file_;  // Owned; -1 after a move.
  std::string buffer_;
};

// Errors: kNotFound where it cannot be read, and those of ParseRecords(), with the path in front.
Result<RunRecords> ReadRecords(const std::string& path);

}  // namespace penstock::bench
