#include "control/gguf_head.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace penstock::control {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF is read as it lies");

// Value types by their number in the file.
enum : std::uint32_t { kString = 8, kArray = 9, kUint32 = 4, kUint64 = 10 };
// Bytes of a value of each type; 0 for those with a size of their own.
constexpr std::array<std::size_t, 13> kTypeSizes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

// Takes values off the front; every read says whether the bytes were there.
class Cursor {
 public:
  explicit Cursor(std::string_view rest) : rest_(rest) {}

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

 private:
  std::string_view rest_;
};

enum class Step { kDone, kOutOfBytes, kWrong };

Step SkipArray(Cursor& cursor) {
  std::uint32_t type = 0;
  std::uint64_t count = 0;
  if (!cursor.Read(type) || !cursor.Read(count)) return Step::kOutOfBytes;
  if (type >= kTypeSizes.size() || type == kArray) return Step::kWrong;
  if (type == kString) {
    std::string_view ignored;
    for (std::uint64_t i = 0; i < count; ++i) {
      if (!cursor.Read(ignored)) return Step::kOutOfBytes;
    }
    return Step::kDone;
  }
  const std::size_t size = kTypeSizes[type];
  if (count > SIZE_MAX / size) return Step::kOutOfBytes;
  return cursor.Skip(count * size) ? Step::kDone : Step::kOutOfBytes;
}

// The text if it is short and printable ASCII, else nothing: it goes into JSON and messages.
std::string_view Plain(std::string_view text) {
  constexpr std::size_t kPlainMax = 256;
  const bool plain = text.size() <= kPlainMax &&
                     std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
  return plain ? text : std::string_view();
}

bool EndsWithContextLength(std::string_view key, std::string_view architecture) {
  constexpr std::string_view kSuffix = ".context_length";
  return key.size() == architecture.size() + kSuffix.size() && key.starts_with(architecture) &&
         key.ends_with(kSuffix);
}

// One pair into `head`.
Step ReadPair(Cursor& cursor, GgufHead& head) {
  std::string_view key;
  std::uint32_t type = 0;
  if (!cursor.Read(key) || !cursor.Read(type)) return Step::kOutOfBytes;
  if (type >= kTypeSizes.size()) return Step::kWrong;
  if (type == kArray) return SkipArray(cursor);
  if (type == kString) {
    std::string_view text;
    if (!cursor.Read(text)) return Step::kOutOfBytes;
    if (key == "general.architecture" && head.architecture.empty()) head.architecture = Plain(text);
    if (key == "general.name" && head.model_name.empty()) head.model_name = Plain(text);
    if (key == "general.license" && head.licence.empty()) head.licence = Plain(text);
    return Step::kDone;
  }
  if (EndsWithContextLength(key, head.architecture) && (type == kUint32 || type == kUint64)) {
    std::uint32_t small = 0;
    std::uint64_t large = 0;
    if (type == kUint32 ? !cursor.Read(small) : !cursor.Read(large)) return Step::kOutOfBytes;
    head.context_length = type == kUint32 ? small : large;
    return Step::kDone;
  }
  return cursor.Skip(kTypeSizes[type]) ? Step::kDone : Step::kOutOfBytes;
}

}  // namespace

Result<GgufHead> ParseGgufHead(std::string_view bytes, bool whole) {
  Cursor cursor(bytes);
  std::array<char, 4> magic{};
  if (!cursor.Read(magic) || std::string_view(magic.data(), magic.size()) != "GGUF") {
    return Fail(Code::kCorrupt, "not a GGUF file: it does not start with \"GGUF\"");
  }
  GgufHead head;
  std::uint64_t pairs = 0;
  if (!cursor.Read(head.version) || !cursor.Read(head.tensors) || !cursor.Read(pairs)) {
    return Fail(Code::kCorrupt, "the GGUF file is truncated within its head");
  }
  if (head.version < 2 || head.version > 3) {
    return Fail(Code::kUnsupported,
                fmt::format("GGUF version must be 2 or 3, got {}", head.version));
  }
  if (head.tensors == 0) return Fail(Code::kCorrupt, "the GGUF file has no tensors");
  for (std::uint64_t i = 0; i < pairs; ++i) {
    const Step step = ReadPair(cursor, head);
    if (step == Step::kWrong) {
      return Fail(Code::kCorrupt, fmt::format("the GGUF file's pair {} has an unknown type", i));
    }
    if (step == Step::kOutOfBytes && whole) {
      return Fail(Code::kCorrupt,
                  fmt::format("the GGUF file is truncated within pair {} of {}", i, pairs));
    }
    if (step == Step::kOutOfBytes) break;
  }
  return head;
}

}  // namespace penstock::control
