// Messages are made here, so that they all read alike: field, limit, value.
#include "api/object_reader.h"

#include <fmt/format.h>

#include "api/json_walk.h"
#include "api/requests.h"

namespace penstock::internal {
namespace {

namespace dom = simdjson::dom;

constexpr std::size_t kKeptParserBytes = std::size_t{256} << 10;
constexpr std::size_t kShownBytes = 64;

std::string OneOf(const Range& range) {
  return fmt::format("{}{}, {}]", range.above_low ? '(' : '[', range.low, range.high);
}

}  // namespace

ObjectReader::ObjectReader(dom::object object, std::string path, std::optional<Error>& failure)
    : path_(std::move(path)), failure_(failure) {
  for (const dom::key_value_pair field : object) {
    if (fields_.size() == kFieldsMax) {
      RefuseAt(failure_, path_,
               fmt::format("{} has more than {} fields",
                           path_.empty() ? "the body" : fmt::format("`{}`", path_), kFieldsMax));
      return;
    }
    fields_.emplace_back(field.key, field.value);
  }
}

std::optional<dom::element> ObjectReader::Find(std::string_view name) {
  if (failure_) return std::nullopt;
  std::optional<dom::element> found;
  for (const auto& [key, value] : fields_) {
    if (key != name) continue;
    if (found) {
      Refuse(name, fmt::format("`{}` is given twice", PathOf(name)));
      return std::nullopt;
    }
    found = value;
  }
  if (found && found->is_null()) return std::nullopt;
  return found;
}

void ObjectReader::Read(std::string_view name, std::string& out) {
  const auto value = Find(name);
  if (!value) return;
  std::string_view text;
  if (value->get_string().get(text)) return RefuseType(name, "a string", *value);
  out = text;
}

void ObjectReader::Read(std::string_view name, bool& out) {
  const auto value = Find(name);
  if (value && value->get_bool().get(out)) RefuseType(name, "true or false", *value);
}

void ObjectReader::Read(std::string_view name, double& out, Range range) {
  const auto value = Find(name);
  if (!value) return;
  double number = 0;
  if (value->get_double().get(number)) {
    return RefuseType(name, fmt::format("a number in {}", OneOf(range)), *value);
  }
  if (number < range.low || number > range.high || (range.above_low && number == range.low)) {
    return Refuse(name,
                  fmt::format("`{}` must be in {}, not {}", PathOf(name), OneOf(range), number));
  }
  out = number;
}

void ObjectReader::Read(std::string_view name, std::int64_t& out, std::int64_t low,
                        std::int64_t high) {
  const auto value = Find(name);
  if (!value) return;
  std::int64_t number = 0;
  if (value->get_int64().get(number) || number < low || number > high) {
    return RefuseType(name, fmt::format("an integer in [{}, {}]", low, high), *value);
  }
  out = number;
}

void ObjectReader::Read(std::string_view name, std::int32_t& out, std::int32_t low,
                        std::int32_t high) {
  std::int64_t wide = out;
  Read(name, wide, std::int64_t{low}, std::int64_t{high});
  out = static_cast<std::int32_t>(wide);
}

void ObjectReader::Refuse(std::string_view name, std::string message) {
  RefuseAt(failure_, PathOf(name), std::move(message));
}

void ObjectReader::RefuseType(std::string_view name, std::string_view wanted, dom::element value) {
  RefuseTypeAt(failure_, PathOf(name), wanted, value);
}

std::string ObjectReader::PathOf(std::string_view name) const {
  return path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name);
}

std::string ItemPath(std::string_view path, std::size_t index) {
  return fmt::format("{}[{}]", path, index);
}

void RefuseAt(std::optional<Error>& failure, std::string_view path, std::string message) {
  if (!failure) failure = Error{Code::kInvalidArgument, std::move(message), std::string(path)};
}

void RefuseTypeAt(std::optional<Error>& failure, std::string_view path, std::string_view wanted,
                  dom::element value) {
  RefuseAt(failure, path, fmt::format("`{}` must be {}, not {}", path, wanted, Shown(value)));
}

std::string Shown(dom::element value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "a list";
  std::string text = simdjson::to_string(value);
  if (text.size() <= kShownBytes) return text;
  std::size_t end = kShownBytes;  // Of whole characters.
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "…";
}

dom::parser& DomParserFor(std::size_t bytes, dom::parser& spare) {
  static thread_local dom::parser kept;
  return bytes <= kKeptParserBytes ? kept : spare;
}

Result<dom::object> ParseRoot(dom::parser& parser, PaddedView body) {
  const std::string_view text = body.view();
  if (parser.capacity() < text.size() || parser.max_depth() != kJsonDepthMax) {
    if (auto error = parser.allocate(text.size(), kJsonDepthMax)) {
      return std::unexpected(JsonError(error));
    }
  }
  dom::element root;
  if (auto error = parser.parse(text.data(), text.size(), false).get(root)) {
    return std::unexpected(JsonError(error));
  }
  dom::object object;
  if (auto error = root.get_object().get(object)) return std::unexpected(JsonError(error));
  return object;
}

}  // namespace penstock::internal
