// GgufReader: takes numbers and strings off the front of a byte span, and says no instead of
// running out.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

namespace penstock::engine {

// Types of values in a GGUF head, as stored.
enum class GgufType : std::uint32_t {
  kUint8,
  kInt8,
  kUint16,
  kInt16,
  kUint32,
  kInt32,
  kFloat32,
  kBool,
  kString,
  kArray,
  kUint64,
  kInt64,
  kFloat64,
};

class GgufReader {
 public:
  explicit GgufReader(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  // The next little-endian value; nullopt, and failed(), when the bytes run out.
  template <typename T>
  std::optional<T> Take() {
    if (bytes_.size() - offset_ < sizeof(T)) return Refuse();
    T value;
    std::memcpy(&value, bytes_.data() + offset_, sizeof(T));
    offset_ += sizeof(T);
    return value;
  }

  std::optional<std::string_view> TakeString() {
    const auto size = Take<std::uint64_t>();
    if (!size || *size > bytes_.size() - offset_) return Refuse();
    const std::string_view text(reinterpret_cast<const char*>(bytes_.data() + offset_), *size);
    offset_ += *size;
    return text;
  }

  bool Skip(std::uint64_t count) {
    if (count > bytes_.size() - offset_) {
      Refuse();
      return false;
    }
    offset_ += count;
    return true;
  }

  std::size_t offset() const { return offset_; }
  std::size_t left() const { return bytes_.size() - offset_; }
  bool failed() const { return failed_; }

 private:
  std::nullopt_t Refuse() {
    failed_ = true;
    return std::nullopt;
  }

  std::span<const std::uint8_t> bytes_;
  std::size_t offset_ = 0;
  bool failed_ = false;
};

}  // namespace penstock::engine
