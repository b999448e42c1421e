// ReplicaLog: the file that replicas of one place print to, bounded, with the last lines for
// messages.
//
// The child writes to the file itself, so it never waits for us. When the file is over its limit,
// its newer half moves to "<path>.1" and the file starts again from nothing; what the child prints
// in this moment may be lost.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <utility>

#include "base/file.h"
#include "base/result.h"

namespace penstock::fleet {

// The last whole lines of `text`, at most `size_max` bytes; printable as Tail() is.
std::string PrintableTail(std::string text, std::size_t size_max);

class ReplicaLog {
 public:
  // Opens for appending, made with mode 0600. What is there already is not part of Tail().
  static Result<ReplicaLog> Open(const std::string& path);

  int descriptor() const { return file_.get(); }
  const std::string& path() const { return path_; }

  // The last lines that were printed since Open(), at most `size_max` bytes of whole lines (of a
  // longer line, its end). Always printable UTF-8 without line breaks: lines are joined by " | ".
  std::string Tail(std::size_t size_max) const;

  // Moves the contents on when they are over `size_max` bytes.
  Status RotateIfLarge(std::size_t size_max);

 private:
  ReplicaLog(std::string path, Descriptor file, off_t start)
      : path_(std::move(path)), file_(std::move(file)), start_(start) {}

  std::string path_;
  Descriptor file_;
  off_t start_;
};

}  // namespace penstock::fleet
