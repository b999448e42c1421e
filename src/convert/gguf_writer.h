// GgufWriter: a GGUF file, written from front to back.
//
// Layout, little-endian: "GGUF", version, number of tensors, number of pairs, the pairs, then each
// tensor's name, shape (innermost first), type and offset, padding to 32 bytes, then the data, each
// tensor padded likewise. The head is made first, whole; then the data follows tensor by tensor, so
// that no model has to fit into memory.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/result.h"

namespace penstock::convert {

inline constexpr std::size_t kGgufAlignment = 32;

// The pairs and the table of tensors. Pure.
class GgufHead {
 public:
  void Add(std::string_view key, std::uint32_t value);
  void Add(std::string_view key, float value);
  void Add(std::string_view key, bool value);
  void Add(std::string_view key, std::string_view value);
  void Add(std::string_view key, const char* value) { Add(key, std::string_view(value)); }
  void Add(std::string_view key, const std::vector<std::string>& values);
  void Add(std::string_view key, const std::vector<float>& values);
  void Add(std::string_view key, const std::vector<std::int32_t>& values);
  void Add(std::string_view key, const std::vector<std::uint8_t>& values);

  // `shape` innermost first. In the order in which the data will follow.
  void AddTensor(std::string_view name, std::span<const std::int64_t> shape,
                 std::uint32_t gguf_type, std::uint64_t bytes);

  // The file up to the data, padding included.
  std::vector<std::uint8_t> Bytes() const;
  std::uint64_t data_bytes() const { return data_bytes_; }

 private:
  void AddKey(std::string_view key, std::uint32_t type);

  std::vector<std::uint8_t> pairs_;
  std::vector<std::uint8_t> tensors_;
  std::uint64_t pair_count_ = 0;
  std::uint64_t tensor_count_ = 0;
  std::uint64_t data_bytes_ = 0;
};

// Writes a file beside `path` and puts it in that place once it is whole and on disk.
class GgufFile {
 public:
  // kForbidden, kExhausted, …, naming the path.
  static Result<GgufFile> Create(const std::string& path, const GgufHead& head);
  GgufFile(GgufFile&& other) noexcept = default;
  ~GgufFile();  // Removes what was not finished.

  // The data of the next tensor, or a piece of it.
  Status Write(std::span<const std::uint8_t> bytes);
  // Pads the tensor that was just written.
  Status EndTensor();
  Status Finish();

  std::uint64_t written() const { return written_; }

 private:
  GgufFile(std::string path, std::string temporary, Descriptor file)
      : path_(std::move(path)), temporary_(std::move(temporary)), file_(std::move(file)) {}

  std::string path_;
  std::string temporary_;  // "" once it has taken its place.
  Descriptor file_;
  std::uint64_t written_ = 0;
};

}  // namespace penstock::convert
