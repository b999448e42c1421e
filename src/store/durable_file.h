// Durable files: a small file that is there whole or not at all, whatever is killed meanwhile.
#pragma once

#include <string>
#include <string_view>

#include <sys/types.h>

#include "base/result.h"

namespace penstock::store {

// "cannot WHAT PATH: reason", with the code that fits `error_number` (an errno).
Error SystemError(std::string_view what, const std::string& path, int error_number);

// Replaces `path` by `content` with permissions `mode`. On disk when it returns. Blocks.
Status WriteFileDurably(const std::string& path, std::string_view content, mode_t mode);

// The whole file. kTooLarge beyond `size_max` bytes.
Result<std::string> ReadSmallFile(const std::string& path, std::size_t size_max);

// An open descriptor, closed with its owner.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(other.Release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor() { Close(); }

  int number() const { return number_; }
  bool valid() const { return number_ >= 0; }
  int Release();
  void Close();

 private:
  int number_ = -1;
};

}  // namespace penstock::store
