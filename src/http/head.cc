// Lookups in parsed heads.
#include "http/head.h"

#include <algorithm>

#include "http/characters.h"

namespace penstock::http {

bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i] && ToLower(a[i]) != ToLower(b[i])) return false;
  }
  return true;
}

bool ListContains(std::string_view value, std::string_view token) {
  constexpr std::string_view kBlanks = " \t";
  for (;;) {
    const std::size_t comma = value.find(',');
    std::string_view item = value.substr(0, comma);
    const std::size_t first = item.find_first_not_of(kBlanks);
    if (first != std::string_view::npos) {
      item = item.substr(first, item.find_last_not_of(kBlanks) - first + 1);
      if (EqualsIgnoreCase(item, token)) return true;
    }
    if (comma == std::string_view::npos) return false;
    value.remove_prefix(comma + 1);
  }
}

std::optional<std::string_view> Fields::Find(std::string_view name) const {
  for (const Field& field : fields_) {
    if (field.name.size() == name.size() && EqualsIgnoreCase(field.name, name)) return field.value;
  }
  return std::nullopt;
}

std::size_t Fields::Count(std::string_view name) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      fields_, [name](const Field& field) { return EqualsIgnoreCase(field.name, name); }));
}

}  // namespace penstock::http
