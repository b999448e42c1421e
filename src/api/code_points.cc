// Sets of code points, and how a grammar writes them.
#include "api/code_points.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace penstock::internal {
namespace {

constexpr std::uint32_t kSurrogatesFirst = 0xD800;
constexpr std::uint32_t kSurrogatesLast = 0xDFFF;

// What must be escaped in a JSON string and has a short form; as a grammar's literal.
constexpr std::array<std::pair<std::uint32_t, std::string_view>, 7> kEscapes = {{
    {'\b', R"("\\b")"},
    {'\t', R"("\\t")"},
    {'\n', R"("\\n")"},
    {'\f', R"("\\f")"},
    {'\r', R"("\\r")"},
    {'"', R"("\\\"")"},
    {'\\', R"("\\\\")"},
}};

}  // namespace

void CodePoints::Add(std::uint32_t first, std::uint32_t last) {
  if (first > last) return;
  const auto touches = [&](const Range& range) {
    return range.first <= last + 1 && first <= range.last + 1;
  };
  for (const Range& range : ranges_) {
    if (!touches(range)) continue;
    first = std::min(first, range.first);
    last = std::max(last, range.last);
  }
  std::erase_if(ranges_, touches);
  const auto place = std::ranges::lower_bound(ranges_, first, {}, &Range::first);
  ranges_.insert(place, {first, last});
}

void CodePoints::Add(const CodePoints& others) {
  for (const Range& range : others.ranges_) Add(range.first, range.last);
}

CodePoints CodePoints::Complement() const {
  CodePoints whole = *this;
  whole.Add(kSurrogatesFirst, kSurrogatesLast);
  CodePoints rest;
  std::uint32_t next = 0;
  for (const Range& range : whole.ranges_) {
    if (range.first > next) rest.Add(next, range.first - 1);
    next = range.last + 1;
  }
  if (next <= kCodePointMax) rest.Add(next, kCodePointMax);
  return rest;
}

bool CodePoints::Contains(std::uint32_t point) const {
  return std::ranges::any_of(
      ranges_, [point](const Range& range) { return range.first <= point && point <= range.last; });
}

std::string CodePoints::InJsonString() const {
  CodePoints escaped = {{0, 0x1F}, {'"', '"'}, {'\\', '\\'}, {0x7F, 0x7F}};
  // What is in this set and need not be escaped: not (not in the set, or escaped).
  CodePoints left_out = Complement();
  left_out.Add(escaped);
  const CodePoints plain = left_out.Complement();
  std::string out;
  if (!plain.empty()) {
    out = "[";
    for (const Range& range : plain.ranges_) {
      out += fmt::format("\\U{:08X}", range.first);
      if (range.last > range.first) out += fmt::format("-\\U{:08X}", range.last);
    }
    out += "]";
  }
  for (const auto& [point, literal] : kEscapes) {
    if (!Contains(point)) continue;
    if (!out.empty()) out += " | ";
    out += literal;
  }
  return out.find(" | ") == std::string::npos ? out : "(" + out + ")";
}

}  // namespace penstock::internal
