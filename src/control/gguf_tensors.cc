#include "control/gguf_tensors.h"

#include <algorithm>
#include <array>
#include <bit>

#include <fmt/format.h>

#include "control/gguf_cursor.h"

namespace penstock::control {
namespace {

using Step = GgufCursor::Step;

// ggml's tensor types by their number: so many elements make a block of so many bytes. Zero: a
// number that is not in use.
struct Block {
  std::uint16_t elements = 0;
  std::uint16_t bytes = 0;
};
constexpr std::array<Block, 40> kBlocks = {{
    {1, 4},    {1, 2},    {32, 18},  {32, 20},   {},         {},         {32, 22},   {32, 24},
    {32, 34},  {32, 36},  {256, 84}, {256, 110}, {256, 144}, {256, 176}, {256, 210}, {256, 292},
    {256, 66}, {256, 74}, {256, 98}, {256, 50},  {32, 18},   {256, 110}, {256, 82},  {256, 136},
    {1, 1},    {1, 2},    {1, 4},    {1, 8},     {1, 8},     {256, 56},  {1, 2},     {},
    {},        {},        {256, 54}, {256, 66},  {},         {},         {},         {32, 17},
}};
constexpr std::uint32_t kDimensionsMax = 8;  // ggml's own limit is 4.
constexpr std::uint64_t kSizeMax = std::uint64_t{1} << 60;

struct Tensor {
  std::string_view name;
  std::uint32_t type = 0;
  std::uint64_t offset = 0;
  std::uint64_t elements = 1;
};

// False where the product cannot be a tensor's.
bool Multiply(std::uint64_t& product, std::uint64_t factor) {
  if (factor != 0 && product > kSizeMax / factor) return false;
  product *= factor;
  return true;
}

Step ReadTensor(GgufCursor& cursor, Tensor& tensor) {
  std::uint32_t dimensions = 0;
  if (!cursor.Read(tensor.name) || !cursor.Read(dimensions)) return Step::kOutOfBytes;
  if (dimensions > kDimensionsMax) return Step::kWrong;
  for (std::uint32_t i = 0; i < dimensions; ++i) {
    std::uint64_t size = 0;
    if (!cursor.Read(size)) return Step::kOutOfBytes;
    if (!Multiply(tensor.elements, size)) return Step::kWrong;
  }
  if (!cursor.Read(tensor.type) || !cursor.Read(tensor.offset)) return Step::kOutOfBytes;
  return tensor.offset > kSizeMax ? Step::kWrong : Step::kDone;
}

// Bytes of the tensor; nullopt for a type that this program does not know.
std::optional<std::uint64_t> BytesOf(const Tensor& tensor) {
  if (tensor.type >= kBlocks.size() || kBlocks[tensor.type].elements == 0) return std::nullopt;
  const Block block = kBlocks[tensor.type];
  return (tensor.elements / block.elements) * block.bytes;
}

std::string Plain(std::string_view name) {
  constexpr std::size_t kPlainMax = 128;
  const bool plain = name.size() <= kPlainMax &&
                     std::ranges::all_of(name, [](char c) { return c >= ' ' && c <= '~'; });
  return plain ? std::string(name) : std::string();
}

// Passes over the pairs and learns the alignment.
Step SkipPairs(GgufCursor& cursor, std::uint64_t pairs, std::uint64_t& alignment) {
  for (std::uint64_t i = 0; i < pairs; ++i) {
    std::string_view key;
    std::uint32_t type = 0;
    if (!cursor.Read(key) || !cursor.Read(type)) return Step::kOutOfBytes;
    if (key == "general.alignment" && type == static_cast<std::uint32_t>(GgufValue::kUint32)) {
      std::uint32_t told = 0;
      if (!cursor.Read(told)) return Step::kOutOfBytes;
      if (!std::has_single_bit(told)) return Step::kWrong;
      alignment = told;
      continue;
    }
    if (const Step step = cursor.SkipValue(type); step != Step::kDone) return step;
  }
  return Step::kDone;
}

}  // namespace

Result<std::optional<GgufTensorsEnd>> FindGgufTensorsEnd(std::string_view bytes) {
  const auto wrong = [](const char* what) {
    return Fail(Code::kCorrupt, fmt::format("the GGUF file's {} cannot be read", what));
  };
  GgufCursor cursor(bytes);
  std::uint32_t version = 0;
  std::uint64_t tensors = 0;
  std::uint64_t pairs = 0;
  if (!cursor.Skip(4) || !cursor.Read(version) || !cursor.Read(tensors) || !cursor.Read(pairs)) {
    return std::nullopt;
  }
  std::uint64_t alignment = 32;
  const Step passed = SkipPairs(cursor, pairs, alignment);
  if (passed == Step::kWrong) return wrong("pairs");
  if (passed == Step::kOutOfBytes) return std::nullopt;
  GgufTensorsEnd last;
  for (std::uint64_t i = 0; i < tensors; ++i) {
    Tensor tensor;
    const Step step = ReadTensor(cursor, tensor);
    if (step == Step::kWrong) return wrong("list of tensors");
    if (step == Step::kOutOfBytes) return std::nullopt;
    const auto size = BytesOf(tensor);
    if (!size) ++last.unknown;
    const std::uint64_t end = tensor.offset + size.value_or(0);
    if (end >= last.at) {
      last.at = end;
      last.tensor = Plain(tensor.name);
    }
  }
  const std::uint64_t listed = bytes.size() - cursor.left();
  last.at += (listed + alignment - 1) / alignment * alignment;
  return last;
}

}  // namespace penstock::control
