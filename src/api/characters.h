// How many characters a text has; for the files of this folder only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace penstock::internal {

// Of UTF-8, the bytes that begin no code point: size less these is what there are of those. A plain
// loop, at memory speed once the compiler has made vectors of it.
inline std::size_t ContinuationBytes(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return static_cast<signed char>(c) < -64; }));
}

}  // namespace penstock::internal
