// Files: errno as an Error, an owned descriptor, small files read whole or replaced durably.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace penstock {

// An open descriptor, closed with its owner.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int value) : value_(value) {}  // -1: none, as open(2) failed.
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~Descriptor();

  int get() const { return value_; }
  explicit operator bool() const { return value_ >= 0; }

 private:
  int value_ = -1;
};

// "cannot WHAT PATH: reason", with the code that fits `error_number` (an errno).
Error SystemError(std::string_view what, const std::string& path, int error_number);

// Replaces `path` by `content` with permissions `mode`. On disk when it returns. Blocks.
Status WriteFileDurably(const std::string& path, std::string_view content, mode_t mode);

// The whole file. kTooLarge beyond `size_max` bytes.
Result<std::string> ReadSmallFile(const std::string& path, std::size_t size_max);

}  // namespace penstock
