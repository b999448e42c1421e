#include "convert/safetensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <boost/json.hpp>
#include <cstring>
#include <limits>
#include <optional>

namespace penstock::convert {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are read as they lie");

struct TypeRow {
  std::string_view word;
  ElementType type;
  std::size_t size;
};
constexpr std::array kTypes = {
    TypeRow{"F32", ElementType::kF32, 4},    TypeRow{"F16", ElementType::kF16, 2},
    TypeRow{"BF16", ElementType::kBF16, 2},  TypeRow{"F64", ElementType::kF64, 8},
    TypeRow{"I64", ElementType::kI64, 8},    TypeRow{"I32", ElementType::kI32, 4},
    TypeRow{"I16", ElementType::kI16, 2},    TypeRow{"I8", ElementType::kI8, 1},
    TypeRow{"U8", ElementType::kU8, 1},      TypeRow{"BOOL", ElementType::kBool, 1},
    TypeRow{"F8_E4M3", ElementType::kF8, 1}, TypeRow{"F8_E5M2", ElementType::kF8, 1},
};

std::unexpected<Error> Corrupt(std::string message) {
  return Fail(Code::kCorrupt, std::move(message));
}

// A name as it may stand in a message.
std::string Shown(std::string_view name) {
  std::string shown(name.substr(0, 120));
  std::ranges::replace_if(shown, [](char c) { return c < ' ' || c == 0x7F; }, '?');
  return shown;
}

std::optional<std::uint64_t> Unsigned(const boost::json::value& value) {
  boost::json::error_code error;
  const auto number = value.to_number<std::uint64_t>(error);
  if (error || (!value.is_uint64() && !value.is_int64())) return std::nullopt;
  return number;
}

struct Extent {
  std::uint64_t begin;
  std::uint64_t end;
  std::string_view name;
};

Result<TensorView> ReadTensor(std::string_view name, const boost::json::value& json,
                              std::span<const std::uint8_t> data, Extent& extent) {
  const auto* object = json.if_object();
  const auto* type = object == nullptr ? nullptr : object->if_contains("dtype");
  const auto* shape = object == nullptr ? nullptr : object->if_contains("shape");
  const auto* offsets = object == nullptr ? nullptr : object->if_contains("data_offsets");
  if (type == nullptr || !type->is_string() || shape == nullptr || !shape->is_array() ||
      offsets == nullptr || !offsets->is_array() || offsets->get_array().size() != 2) {
    return Corrupt(fmt::format("tensor '{}' lacks its dtype, shape or data_offsets", Shown(name)));
  }
  const std::string_view word = type->get_string();
  const auto* row = std::ranges::find(kTypes, word, &TypeRow::word);
  if (row == kTypes.end()) {
    return Fail(Code::kUnsupported, fmt::format("tensor '{}' has elements of type {}, which is "
                                                "not known",
                                                Shown(name), Shown(word)));
  }
  if (shape->get_array().size() > kDimensionsMax) {
    return Corrupt(fmt::format("tensor '{}' has {} dimensions; at most {} are possible",
                               Shown(name), shape->get_array().size(), kDimensionsMax));
  }
  TensorView view{.type = row->type};
  std::uint64_t bytes = row->size;
  for (const auto& dimension : shape->get_array()) {
    const auto size = Unsigned(dimension);
    // Within 2^53, so that no later arithmetic on it overflows.
    if (!size || (*size != 0 && bytes > (std::uint64_t{1} << 53) / *size)) {
      return Corrupt(fmt::format("tensor '{}' has an impossible shape", Shown(name)));
    }
    bytes *= *size;
    view.shape.push_back(static_cast<std::int64_t>(*size));
  }
  const auto begin = Unsigned(offsets->get_array()[0]);
  const auto end = Unsigned(offsets->get_array()[1]);
  if (!begin || !end || *begin > *end || *end > data.size()) {
    return Corrupt(
        fmt::format("tensor '{}' lies outside of the file's {} bytes of data: it is cut "
                    "off or damaged",
                    Shown(name), data.size()));
  }
  if (*end - *begin != bytes) {
    return Corrupt(fmt::format("tensor '{}' has {} bytes; its shape [{}] of {} needs {}",
                               Shown(name), *end - *begin, fmt::join(view.shape, ", "), word,
                               bytes));
  }
  view.bytes =
      data.subspan(static_cast<std::size_t>(*begin), static_cast<std::size_t>(*end - *begin));
  extent = {.begin = *begin, .end = *end, .name = name};
  return view;
}

Status CheckDisjoint(std::vector<Extent> extents) {
  std::ranges::sort(extents, {}, &Extent::begin);
  for (std::size_t i = 1; i < extents.size(); ++i) {
    if (extents[i].begin >= extents[i - 1].end) continue;
    return Corrupt(fmt::format("tensors '{}' and '{}' lie over each other",
                               Shown(extents[i - 1].name), Shown(extents[i].name)));
  }
  return {};
}

Result<boost::json::value> ParseHead(std::string_view text) {
  boost::json::parse_options options;
  options.max_depth = 8;
  boost::json::error_code error;
  auto head = boost::json::parse({text.data(), text.size()}, error, {}, options);
  if (error || !head.is_object()) {
    return Corrupt(fmt::format("the head is not a JSON object{}{}", error ? ": " : "",
                               error ? error.message() : ""));
  }
  return head;
}

}  // namespace

std::string_view Name(ElementType type) {
  return std::ranges::find(kTypes, type, &TypeRow::type)->word;
}

std::size_t SizeOf(ElementType type) {
  return std::ranges::find(kTypes, type, &TypeRow::type)->size;
}

std::int64_t TensorView::elements() const {
  return static_cast<std::int64_t>(bytes.size() / SizeOf(type));
}

Result<TensorTable> ParseSafetensors(std::span<const std::uint8_t> file) {
  std::uint64_t head_size = 0;
  if (file.size() < sizeof head_size) {
    return Corrupt(fmt::format("not a safetensors file: it has {} bytes", file.size()));
  }
  std::memcpy(&head_size, file.data(), sizeof head_size);
  const auto rest = file.subspan(sizeof head_size);
  if (head_size > kSafetensorsHeadMax) {
    return Corrupt(
        fmt::format("not a safetensors file: its head would have {} bytes, at most {} "
                    "are possible",
                    head_size, kSafetensorsHeadMax));
  }
  if (head_size > rest.size()) {
    return Corrupt(fmt::format("the file of {} bytes ends within its head of {}: it is cut off",
                               file.size(), head_size));
  }
  const auto head_bytes = rest.first(static_cast<std::size_t>(head_size));
  const auto data = rest.subspan(static_cast<std::size_t>(head_size));
  const auto head =
      ParseHead({reinterpret_cast<const char*>(head_bytes.data()), head_bytes.size()});
  if (!head) return Fail(head.error());

  TensorTable table;
  std::vector<Extent> extents;
  for (const auto& member : head->get_object()) {
    const std::string_view name = member.key();
    if (name == "__metadata__") continue;
    Extent extent{};
    auto view = ReadTensor(name, member.value(), data, extent);
    if (!view) return Fail(std::move(view.error()));
    extents.push_back(extent);
    if (!table.emplace(std::string(name), std::move(*view)).second) {
      return Corrupt(fmt::format("tensor '{}' is there twice", Shown(name)));
    }
  }
  if (auto disjoint = CheckDisjoint(std::move(extents)); !disjoint) return Fail(disjoint.error());
  if (table.empty()) return Corrupt("the file has no tensors");
  return table;
}

}  // namespace penstock::convert
