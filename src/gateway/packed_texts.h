// PackedTexts: a few texts in one piece of memory, for what is kept by the thousand. Without any
// text it takes a pointer's place, and nothing else.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <string_view>

namespace penstock::gateway {

template <std::size_t kCount>
class PackedTexts {
 public:
  using Texts = std::array<std::string_view, kCount>;

  PackedTexts() = default;
  // Copies them. What is beyond 4 GB of a text is left out.
  explicit PackedTexts(const Texts& texts) {
    Sizes sizes;
    std::size_t total = 0;
    for (std::size_t i = 0; i < kCount; ++i) {
      sizes[i] = static_cast<std::uint32_t>(
          std::min<std::size_t>(texts[i].size(), std::numeric_limits<std::uint32_t>::max()));
      total += sizes[i];
    }
    if (total == 0) return;
    bytes_ = std::make_unique_for_overwrite<char[]>(sizeof sizes + total);
    std::memcpy(bytes_.get(), sizes.data(), sizeof sizes);
    char* to = bytes_.get() + sizeof sizes;
    for (std::size_t i = 0; i < kCount; ++i) to = std::copy_n(texts[i].begin(), sizes[i], to);
  }

  // Valid until this is assigned to.
  std::string_view operator[](std::size_t index) const { return All()[index]; }

  // Puts `text` in the place of one. It may be a view into this.
  void Set(std::size_t index, std::string_view text) {
    Texts texts = All();
    texts[index] = text;
    *this = PackedTexts(texts);
  }

 private:
  using Sizes = std::array<std::uint32_t, kCount>;

  Texts All() const {
    Texts texts;
    if (bytes_ == nullptr) return texts;
    Sizes sizes;
    std::memcpy(sizes.data(), bytes_.get(), sizeof sizes);
    const char* from = bytes_.get() + sizeof sizes;
    for (std::size_t i = 0; i < kCount; ++i) {
      texts[i] = {from, sizes[i]};
      from += sizes[i];
    }
    return texts;
  }

  std::unique_ptr<char[]> bytes_;  // The sizes, then the texts.
};

}  // namespace penstock::gateway
