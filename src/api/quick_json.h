// QuickJson: a cursor over JSON of the plain kind, which most bodies are: ASCII, strings whose
// escapes are two bytes long, numbers without exponents, little depth. For the files of this folder
// only.
//
// It knows what it reads, or says no: then the whole is the full parser's. So the two never
// disagree (peek_fuzz and stream_meter_fuzz hold them to it), and a body of a few hundred bytes
// costs a quarter of what the full parser's set-up alone does.
#pragma once

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "api/json_walk.h"

namespace penstock::internal {

class QuickJson {
 public:
  // Of a body: where that is more, the set-up does not matter.
  static constexpr std::size_t kBytesMax = 4096;

  struct String {
    std::string_view raw;   // Between the quotes.
    std::size_t bytes = 0;  // Unescaped.
    bool plain() const { return bytes == raw.size(); }
  };
  struct Number {
    std::string_view raw;
    bool whole = false;       // Neither a sign nor a fraction.
    std::uint64_t value = 0;  // Where it is whole.
  };

  // Borrows `text`; reads no byte behind it.
  explicit QuickJson(std::string_view text) : at_(text.data()), end_(at_ + text.size()) {}

  // The next byte that is not white space; '\0' at the end.
  char Next() {
    while (at_ != end_ && IsSpace(*at_)) ++at_;
    return at_ == end_ ? '\0' : *at_;
  }
  const char* at() const { return at_; }
  bool AtEnd() { return Next() == '\0' && at_ == end_; }

  bool Take(char wanted) {
    if (Next() != wanted) return false;
    ++at_;
    return true;
  }

  bool TakeString(String& string) {
    if (!Take('"')) return false;
    const char* const begin = at_;
    std::size_t escapes = 0;
    for (;;) {
      SkipPlain();
      if (at_ == end_) return false;
      if (*at_ == '"') break;
      if (*at_ != '\\' || end_ - at_ < 2 || !IsShortEscape(at_[1])) return false;
      at_ += 2;
      ++escapes;
    }
    string.raw = {begin, static_cast<std::size_t>(at_ - begin)};
    string.bytes = string.raw.size() - escapes;
    ++at_;
    return true;
  }

  bool TakeNumber(Number& number) {
    Next();
    const char* const begin = at_;
    const bool negative = at_ != end_ && *at_ == '-';
    if (negative) ++at_;
    const char* const digits = at_;
    std::uint64_t value = 0;
    for (; at_ != end_ && IsDigit(*at_); ++at_) {
      value = value * 10 + static_cast<std::uint64_t>(*at_ - '0');
      if (at_ - digits >= kDigitsMax) return false;
    }
    if (at_ == digits || (*digits == '0' && at_ - digits > 1)) return false;
    const bool fraction = at_ != end_ && *at_ == '.';
    if (fraction) {
      const char* const first = ++at_;
      while (at_ != end_ && IsDigit(*at_)) ++at_;
      if (at_ == first || at_ - first > kDigitsMax) return false;
    }
    number.raw = {begin, static_cast<std::size_t>(at_ - begin)};
    number.whole = !negative && !fraction;
    number.value = value;
    return AtBorder();
  }

  bool TakeWord(std::string_view word) {
    Next();
    if (static_cast<std::size_t>(end_ - at_) < word.size()) return false;
    if (std::memcmp(at_, word.data(), word.size()) != 0) return false;
    at_ += word.size();
    return AtBorder();
  }

  // Calls `on_field(key)` for each field of an object, which takes the value; false ends it all.
  template <typename OnField>
  bool TakeObject(OnField&& on_field) {
    if (!Take('{')) return false;
    if (Take('}')) return true;
    do {
      String key;
      if (!TakeString(key) || !key.plain() || !Take(':') || !on_field(key.raw)) return false;
    } while (Take(','));
    return Take('}');
  }
  // Likewise for the items of an array.
  template <typename OnItem>
  bool TakeArray(OnItem&& on_item) {
    if (!Take('[')) return false;
    if (Take(']')) return true;
    do {
      if (!on_item()) return false;
    } while (Take(','));
    return Take(']');
  }

  // Passes over a value of any kind.
  bool Skip(JsonTotals& totals, int depth = 0) {
    switch (Next()) {
      case '"': {
        String string;
        if (!TakeString(string)) return false;
        totals.string_bytes += string.bytes;
        totals.string_characters += string.bytes;  // ASCII.
        return true;
      }
      case '{':
        return depth < kDepthMax &&
               TakeObject([&](std::string_view) { return Skip(totals, depth + 1); });
      case '[':
        return depth < kDepthMax && TakeArray([&] { return Skip(totals, depth + 1); });
      case 't':
        return TakeWord("true");
      case 'f':
        return TakeWord("false");
      case 'n':
        return TakeWord("null");
      default: {
        Number number;
        ++totals.numbers;
        return TakeNumber(number);
      }
    }
  }

 private:
  static constexpr std::ptrdiff_t kDigitsMax = 18;  // No such number is out of range.
  static constexpr int kDepthMax = 8;

  static bool IsSpace(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
  static bool IsDigit(char c) { return c >= '0' && c <= '9'; }
  static bool IsShortEscape(char c) {
    return std::string_view(R"("\/bfnrt)").find(c) != std::string_view::npos;
  }
  bool AtBorder() const {
    return at_ == end_ || IsSpace(*at_) || *at_ == ',' || *at_ == '}' || *at_ == ']';
  }

  // Up to the next quote, backslash, control character or byte that is not ASCII; many at a time.
  void SkipPlain() {
#ifdef __SSE2__
    while (end_ - at_ >= 16) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at_));
      const __m128i marks = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')),
                                         _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
      // Signed: what is not ASCII is less than a blank, too.
      const __m128i low = _mm_cmplt_epi8(bytes, _mm_set1_epi8(' '));
      const auto found = static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(marks, low)));
      if (found != 0) {
        at_ += std::countr_zero(found);
        return;
      }
      at_ += sizeof bytes;
    }
#else
    constexpr std::uint64_t kOnes = 0x0101010101010101;
    constexpr std::uint64_t kHigh = 0x8080808080808080;
    while (end_ - at_ >= 8) {
      std::uint64_t bytes = 0;
      std::memcpy(&bytes, at_, sizeof bytes);
      const std::uint64_t quotes = bytes ^ (kOnes * '"');
      const std::uint64_t backslashes = bytes ^ (kOnes * '\\');
      const std::uint64_t found =
          (bytes | (bytes - kOnes * 0x20) | (quotes - kOnes) | (backslashes - kOnes)) & kHigh;
      if (found == 0) {
        at_ += sizeof bytes;
        continue;
      }
      if constexpr (std::endian::native != std::endian::little) break;
      at_ += std::countr_zero(found) / 8;  // The lowest is one; those above it may be none.
      return;
    }
#endif
    while (at_ != end_ && IsPlain(*at_)) ++at_;
  }
  static bool IsPlain(char c) {
    return static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) < 0x80 &&
           c != '"' && c != '\\';
  }

  const char* at_;
  const char* end_;
};

}  // namespace penstock::internal
