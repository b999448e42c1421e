#include "control/gguf_head.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "control/gguf_cursor.h"

namespace penstock::control {
namespace {

using Step = GgufCursor::Step;

constexpr auto kUint32 = static_cast<std::uint32_t>(GgufValue::kUint32);
constexpr auto kUint64 = static_cast<std::uint32_t>(GgufValue::kUint64);
constexpr auto kString = static_cast<std::uint32_t>(GgufValue::kString);

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
Step ReadPair(GgufCursor& cursor, GgufHead& head) {
  std::string_view key;
  std::uint32_t type = 0;
  if (!cursor.Read(key) || !cursor.Read(type)) return Step::kOutOfBytes;
  if (type == kString) {
    std::string_view text;
    if (!cursor.Read(text)) return Step::kOutOfBytes;
    if (key == "general.architecture" && head.architecture.empty()) head.architecture = Plain(text);
    if (key == "general.name" && head.model_name.empty()) head.model_name = Plain(text);
    return Step::kDone;
  }
  if (EndsWithContextLength(key, head.architecture) && (type == kUint32 || type == kUint64)) {
    std::uint32_t small = 0;
    std::uint64_t large = 0;
    if (type == kUint32 ? !cursor.Read(small) : !cursor.Read(large)) return Step::kOutOfBytes;
    head.context_length = type == kUint32 ? small : large;
    return Step::kDone;
  }
  return cursor.SkipValue(type);
}

}  // namespace

Result<GgufHead> ParseGgufHead(std::string_view bytes, bool whole) {
  GgufCursor cursor(bytes);
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
