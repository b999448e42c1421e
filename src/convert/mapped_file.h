// MappedFile: a file's bytes, mapped read-only for as long as this lives.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"

namespace penstock::convert {

class MappedFile {
 public:
  // kNotFound, kForbidden, kInvalidArgument (not a regular file, or empty), naming the path.
  static Result<MappedFile> Open(const std::string& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::uint8_t> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }

 private:
  MappedFile(std::string path, const std::uint8_t* data, std::size_t size)
      : path_(std::move(path)), data_(data), size_(size) {}

  std::string path_;
  const std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace penstock::convert
