// ByteWriter, ByteReader: integers of variable length and strings, as the meter's files hold them.
//
// An integer is LEB128: seven bits a byte, the lowest first, the high bit says that more follow.
// A string is its length and its bytes. Signed integers are zigzag: 0, -1, 1, -2 are 0, 1, 2, 3.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace penstock::meter {

class ByteWriter {
 public:
  explicit ByteWriter(std::string& out) : out_(out) {}

  void Integer(std::uint64_t value) {
    if (value < 0x80) {
      out_.push_back(static_cast<char>(value));
      return;
    }
    char bytes[kIntegerBytesMax];
    out_.append(bytes, Put(value, bytes));
  }
  // One after the other, at the price of one append.
  template <std::size_t kCount>
  void Integers(const std::array<std::uint64_t, kCount>& values) {
    char bytes[kCount * kIntegerBytesMax];
    char* end = bytes;
    for (const std::uint64_t value : values) end = Put(value, end);
    out_.append(bytes, end);
  }
  void Signed(std::int64_t value) {
    Integer((static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63));
  }
  void Text(std::string_view text) {
    Integer(text.size());
    out_.append(text);
  }
  void Fixed64(std::uint64_t value) {
    char bytes[8];
    for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(value >> (8 * i));
    out_.append(bytes, sizeof bytes);
  }

 private:
  static constexpr std::size_t kIntegerBytesMax = 10;

  // Returns where it ends.
  static char* Put(std::uint64_t value, char* to) {
    for (; value >= 0x80; value >>= 7) *to++ = static_cast<char>(value | 0x80);
    *to++ = static_cast<char>(value);
    return to;
  }

  std::string& out_;
};

// Reads what a ByteWriter wrote. At the end of the bytes every read gives 0 or "", so that a reader
// of a newer version reads an older record; `bad()` tells of bytes that cannot be meant.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}

  std::uint64_t Integer() {
    std::uint64_t value = 0;
    bool begun = false;
    for (int shift = 0; !bytes_.empty() && shift < 64; shift += 7) {
      const auto byte = static_cast<std::uint8_t>(bytes_.front());
      bytes_.remove_prefix(1);
      begun = true;
      if (shift == 63 && byte > 1) break;  // Over 64 bits.
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    bad_ = bad_ || begun;  // Begun, and not ended.
    return 0;
  }
  std::int64_t Signed() {
    const std::uint64_t value = Integer();
    return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
  }
  std::string_view Text() {
    const std::uint64_t size = Integer();
    if (size > bytes_.size()) {
      bad_ = true;
      bytes_ = {};
      return {};
    }
    const std::string_view text = bytes_.substr(0, static_cast<std::size_t>(size));
    bytes_.remove_prefix(text.size());
    return text;
  }
  std::uint64_t Fixed64() {
    if (bytes_.size() < 8) {
      bad_ = bad_ || !bytes_.empty();
      bytes_ = {};
      return 0;
    }
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < 8; ++i) {
      value |= static_cast<std::uint64_t>(static_cast<std::uint8_t>(bytes_[i])) << (8 * i);
    }
    bytes_.remove_prefix(8);
    return value;
  }

  bool bad() const { return bad_; }
  bool AtEnd() const { return bytes_.empty(); }
  std::string_view rest() const { return bytes_; }

 private:
  std::string_view bytes_;
  bool bad_ = false;
};

}  // namespace penstock::meter
