// PaddedView: JSON text that a SIMD parser may read a little past, so that nothing is copied.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace penstock {

// Readable bytes (of any value) that must lie behind a text. Keep as many spare at the end of every
// receive buffer. json_reader.cc asserts that it is what the JSON library wants.
inline constexpr std::size_t kJsonPadding = 64;

// Borrows; the text must outlive the view.
class PaddedView {
 public:
  // Makes room behind `text`, reallocating it where its capacity is short.
  explicit PaddedView(std::string& text) {
    text.reserve(text.size() + kJsonPadding);
    view_ = text;
  }
  // REQUIRES: kJsonPadding readable bytes behind `text`, as in a receive buffer with spare bytes.
  static PaddedView Unsafe(std::string_view text) { return PaddedView(text); }

  std::string_view view() const { return view_; }

 private:
  explicit PaddedView(std::string_view text) : view_(text) {}

  std::string_view view_;
};

}  // namespace penstock
