#include "convert/elements.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/check.h"

namespace penstock::convert {
namespace {

struct OutputRow {
  OutputType type;
  std::string_view word;
  std::uint32_t gguf_type;
  std::uint32_t file_type;
};
constexpr std::array kOutputs = {
    OutputRow{OutputType::kF32, "f32", 0, 0},
    OutputRow{OutputType::kF16, "f16", 1, 1},
    OutputRow{OutputType::kBF16, "bf16", 30, 32},
    OutputRow{OutputType::kQ8_0, "q8_0", 8, 7},
};

const OutputRow& RowOf(OutputType type) {
  for (const OutputRow& row : kOutputs) {
    if (row.type == type) return row;
  }
  return kOutputs[0];
}

template <typename Number>
void Append(Number number, std::vector<std::uint8_t>& out) {
  const std::size_t at = out.size();
  out.resize(at + sizeof number);
  std::memcpy(out.data() + at, &number, sizeof number);
}

// One block: the scale that maps the greatest magnitude to 127, then the rounded quotients.
void AppendQ8Block(std::span<const float> values, std::vector<std::uint8_t>& out) {
  float greatest = 0;
  for (const float value : values) greatest = std::max(greatest, std::abs(value));
  const float scale = greatest / 127.0F;
  const float inverse = scale > 0 ? 1.0F / scale : 0.0F;
  Append(HalfOfFloat(scale), out);
  for (const float value : values) {
    const float quotient = value * inverse;
    out.push_back(static_cast<std::uint8_t>(
        static_cast<std::int8_t>(std::isfinite(quotient) ? std::round(quotient) : 0.0F)));
  }
}

}  // namespace

Result<OutputType> ParseOutputType(std::string_view word) {
  for (const OutputRow& row : kOutputs) {
    if (row.word == word) return row.type;
  }
  return Fail(
      Code::kInvalidArgument,
      fmt::format("the type must be f32, f16, bf16 or q8_0, got \"{}\"", word.substr(0, 60)),
      "type");
}

std::string_view Name(OutputType type) { return RowOf(type).word; }
std::uint32_t GgufTypeOf(OutputType type) { return RowOf(type).gguf_type; }
std::uint32_t GgufFileTypeOf(OutputType type) { return RowOf(type).file_type; }

std::size_t BytesOf(OutputType type, std::int64_t elements) {
  const auto count = static_cast<std::size_t>(elements);
  switch (type) {
    case OutputType::kF32:
      return count * 4;
    case OutputType::kF16:
    case OutputType::kBF16:
      return count * 2;
    case OutputType::kQ8_0:
      return count / kQ8Block * kQ8BlockBytes;
  }
  return 0;
}

float FloatOfHalf(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000U) << 16;
  const std::uint32_t exponent = half >> 10 & 0x1FU;
  const std::uint32_t fraction = half & 0x3FFU;
  if (exponent == 0x1F) return std::bit_cast<float>(sign | 0x7F800000U | fraction << 13);
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
  const float tiny = std::ldexp(static_cast<float>(fraction), -24);
  return sign == 0 ? tiny : -tiny;
}

std::uint16_t HalfOfFloat(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 16 & 0x8000U;
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  if (magnitude > 0x7F800000U) return static_cast<std::uint16_t>(sign | 0x7E00U);   // Not a number.
  if (magnitude >= 0x477FF000U) return static_cast<std::uint16_t>(sign | 0x7C00U);  // Too large.
  if (magnitude < 0x38800000U) {  // Below the smallest normal one: in steps of 2^-24.
    const float steps = std::ldexp(std::bit_cast<float>(magnitude), 24);
    return static_cast<std::uint16_t>(sign | static_cast<std::uint32_t>(std::nearbyint(steps)));
  }
  const std::uint32_t rounded = magnitude + 0xFFFU + (magnitude >> 13 & 1U);
  return static_cast<std::uint16_t>(sign | ((rounded >> 13) - (112U << 10)));
}

std::uint16_t BFloatOfFloat(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFFFFFFU) > 0x7F800000U) return static_cast<std::uint16_t>(bits >> 16 | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7FFFU + (bits >> 16 & 1U)) >> 16);
}

bool IsFloating(ElementType type) {
  return type == ElementType::kF32 || type == ElementType::kF16 || type == ElementType::kBF16 ||
         type == ElementType::kF64;
}

void ToFloats(ElementType type, std::span<const std::uint8_t> source, std::span<float> to) {
  CHECK(IsFloating(type) && source.size() == to.size() * SizeOf(type), "sizes fit");
  const auto each = [&]<typename Number>(Number, auto convert) {
    for (std::size_t i = 0; i < to.size(); ++i) {
      Number number{};
      std::memcpy(&number, source.data() + i * sizeof number, sizeof number);
      to[i] = convert(number);
    }
  };
  switch (type) {
    case ElementType::kF32:
      if (!source.empty()) std::memcpy(to.data(), source.data(), source.size());
      return;
    case ElementType::kF64:
      return each(double{}, [](double number) { return static_cast<float>(number); });
    case ElementType::kF16:
      return each(std::uint16_t{}, FloatOfHalf);
    default:
      return each(std::uint16_t{}, [](std::uint16_t number) {
        return std::bit_cast<float>(static_cast<std::uint32_t>(number) << 16);
      });
  }
}

void AppendAs(OutputType type, std::span<const float> values, std::vector<std::uint8_t>& out) {
  out.reserve(out.size() + BytesOf(type, std::ssize(values)));
  switch (type) {
    case OutputType::kF32: {
      const std::size_t at = out.size();
      out.resize(at + values.size_bytes());
      if (!values.empty()) std::memcpy(out.data() + at, values.data(), values.size_bytes());
      return;
    }
    case OutputType::kF16:
      for (const float value : values) Append(HalfOfFloat(value), out);
      return;
    case OutputType::kBF16:
      for (const float value : values) Append(BFloatOfFloat(value), out);
      return;
    case OutputType::kQ8_0:
      CHECK(values.size() % kQ8Block == 0, "whole blocks");
      for (std::size_t i = 0; i < values.size(); i += kQ8Block) {
        AppendQ8Block(values.subspan(i, kQ8Block), out);
      }
      return;
  }
}

}  // namespace penstock::convert
