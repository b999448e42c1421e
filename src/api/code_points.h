// CodePoints: a set of Unicode code points, as character classes of patterns are; for the files of
// this folder only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace penstock::internal {

inline constexpr std::uint32_t kCodePointMax = 0x10FFFF;

// Sorted ranges that neither touch nor overlap. A pure value.
class CodePoints {
 public:
  struct Range {
    std::uint32_t first;
    std::uint32_t last;  // In the set, too.
    bool operator==(const Range&) const = default;
  };

  CodePoints() = default;
  CodePoints(std::initializer_list<Range> ranges) {
    for (const Range& range : ranges) Add(range.first, range.last);
  }

  void Add(std::uint32_t first, std::uint32_t last);
  void Add(const CodePoints& others);
  // All code points but surrogates that are not in this set.
  CodePoints Complement() const;
  bool Contains(std::uint32_t point) const;
  bool empty() const { return ranges_.empty(); }
  const std::vector<Range>& ranges() const { return ranges_; }

  // A grammar's expression for one of these characters as it stands inside a JSON string: what JSON
  // escapes is escaped. Control characters that have no short escape are left out. "" where nothing
  // is left.
  std::string InJsonString() const;

 private:
  std::vector<Range> ranges_;
};

}  // namespace penstock::internal
