// GgufCursor: takes the values of a GGUF file off the front of its bytes. For the readers of this
// folder only.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string_view>

namespace penstock::control {

static_assert(std::endian::native == std::endian::little, "GGUF is read as it lies");

// Types of a pair's value, by their number in the file.
enum class GgufValue : std::uint32_t { kUint32 = 4, kString = 8, kArray = 9, kUint64 = 10 };

// Every read says whether the bytes were there.
class GgufCursor {
 public:
  // kWrong: what is there cannot be what it claims to be.
  enum class Step : std::uint8_t { kDone, kOutOfBytes, kWrong };

  // Bytes of a value of each type; 0 for those with a size of their own.
  static constexpr std::array<std::size_t, 13> kValueSizes = {1, 1, 2, 2, 4, 4, 4,
                                                              1, 0, 0, 8, 8, 8};

  explicit GgufCursor(std::string_view rest) : rest_(rest) {}

  template <typename Number>
  bool Read(Number& number) {
    if (rest_.size() < sizeof number) return false;
    std::memcpy(&number, rest_.data(), sizeof number);
    rest_.remove_prefix(sizeof number);
    return true;
  }
  bool Read(std::string_view& text) {
    std::uint64_t size = 0;
    if (!Read(size) || size > rest_.size()) return false;
    text = rest_.substr(0, static_cast<std::size_t>(size));
    rest_.remove_prefix(text.size());
    return true;
  }
  bool Skip(std::uint64_t size) {
    if (size > rest_.size()) return false;
    rest_.remove_prefix(static_cast<std::size_t>(size));
    return true;
  }

  // Passes over a value of `type`.
  Step SkipValue(std::uint32_t type) {
    if (type >= kValueSizes.size()) return Step::kWrong;
    if (type == static_cast<std::uint32_t>(GgufValue::kArray)) return SkipArray();
    if (type == static_cast<std::uint32_t>(GgufValue::kString)) {
      std::string_view ignored;
      return Read(ignored) ? Step::kDone : Step::kOutOfBytes;
    }
    return Skip(kValueSizes[type]) ? Step::kDone : Step::kOutOfBytes;
  }

  std::size_t left() const { return rest_.size(); }

 private:
  Step SkipArray() {
    std::uint32_t type = 0;
    std::uint64_t count = 0;
    if (!Read(type) || !Read(count)) return Step::kOutOfBytes;
    if (type >= kValueSizes.size() || type == static_cast<std::uint32_t>(GgufValue::kArray)) {
      return Step::kWrong;
    }
    if (type == static_cast<std::uint32_t>(GgufValue::kString)) {
      std::string_view ignored;
      for (std::uint64_t i = 0; i < count; ++i) {
        if (!Read(ignored)) return Step::kOutOfBytes;
      }
      return Step::kDone;
    }
    const std::size_t size = kValueSizes[type];
    if (count > std::numeric_limits<std::size_t>::max() / size) return Step::kOutOfBytes;
    return Skip(count * size) ? Step::kDone : Step::kOutOfBytes;
  }

  std::string_view rest_;
};

}  // namespace penstock::control
