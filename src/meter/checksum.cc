#include "meter/checksum.h"

#include <zlib.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <cstddef>

namespace penstock::meter {
namespace {

std::uint32_t Plain(std::uint32_t sum, std::string_view bytes) {
  return static_cast<std::uint32_t>(
      crc32(sum, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
}

#if defined(__x86_64__)

constexpr std::size_t kBlock = 16;  // Bytes of a register.

bool CanMultiply() {
  return __builtin_cpu_supports("pclmul") != 0 && __builtin_cpu_supports("sse4.1") != 0;
}

// Of whole blocks, two or more. Bytes are polynomials over GF(2), lowest bit first. What was read
// so far is congruent, modulo CRC-32's own polynomial, to a block's length of bits; x^n moves it
// over the next block. The powers below are those remainders.
[[gnu::target("pclmul,sse4.1")]] std::uint32_t Folded(std::uint32_t sum, std::string_view bytes) {
  const __m128i by_block = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0);  // x^(128-32), x^(128+32)
  const __m128i by_half = _mm_set_epi64x(0, 0x163cd6124);             // x^64
  const __m128i divisor = _mm_set_epi64x(0x1f7011641, 0x1db710641);   // Its inverse; itself.
  const __m128i low_word = _mm_setr_epi32(-1, 0, -1, 0);
  const auto load = [](const char* at) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  };
  __m128i rest = _mm_xor_si128(load(bytes.data()), _mm_cvtsi32_si128(static_cast<int>(~sum)));
  for (std::size_t at = kBlock; at < bytes.size(); at += kBlock) {
    const __m128i low = _mm_clmulepi64_si128(rest, by_block, 0x00);
    const __m128i high = _mm_clmulepi64_si128(rest, by_block, 0x11);
    rest = _mm_xor_si128(_mm_xor_si128(low, high), load(bytes.data() + at));
  }
  // 128 bits to 96, to 64, and by Barrett's reduction to 32.
  rest = _mm_xor_si128(_mm_clmulepi64_si128(rest, by_block, 0x10), _mm_srli_si128(rest, 8));
  rest = _mm_xor_si128(_mm_clmulepi64_si128(_mm_and_si128(rest, low_word), by_half, 0x00),
                       _mm_srli_si128(rest, 4));
  __m128i times = _mm_clmulepi64_si128(_mm_and_si128(rest, low_word), divisor, 0x10);
  times = _mm_clmulepi64_si128(_mm_and_si128(times, low_word), divisor, 0x00);
  return ~static_cast<std::uint32_t>(_mm_extract_epi32(_mm_xor_si128(rest, times), 1));
}

#endif

}  // namespace

std::uint32_t Checksum(std::uint32_t sum, std::string_view bytes) {
#if defined(__x86_64__)
  static const bool multiplies = CanMultiply();
  if (multiplies && bytes.size() >= 2 * kBlock) {
    const std::size_t whole = bytes.size() / kBlock * kBlock;
    sum = Folded(sum, bytes.substr(0, whole));
    bytes.remove_prefix(whole);
    if (bytes.empty()) return sum;
  }
#endif
  return Plain(sum, bytes);
}

}  // namespace penstock::meter
