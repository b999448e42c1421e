// Vectors of sixteen floats, for attention_kernel.cc alone.
#pragma once

#if defined(__x86_64__)

#include <immintrin.h>

#include <initializer_list>

#define PENSTOCK_V4 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,f16c,fma")))
#define PENSTOCK_V4_INLINE PENSTOCK_V4 inline __attribute__((always_inline))

namespace penstock::engine {

// e^x for x <= 0; 0 where that is too small for a float.
PENSTOCK_V4_INLINE __m512 ExpNonPositive(__m512 x) {
  const __m512 y = _mm512_mul_ps(_mm512_max_ps(x, _mm512_set1_ps(-200.0F)),
                                 _mm512_set1_ps(1.44269504088896341F));
  const __m512 whole = _mm512_roundscale_ps(y, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 f = _mm512_sub_ps(y, whole);
  __m512 p = _mm512_set1_ps(1.535336188319500e-4F);
  for (const float next : {1.339887440266574e-3F, 9.618437357674640e-3F, 5.550332471162809e-2F,
                           2.402264791363012e-1F, 6.931472028550421e-1F, 1.0F}) {
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(next));
  }
  return _mm512_scalef_ps(p, whole);
}

PENSTOCK_V4_INLINE __m512 Halves(const char* at) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
}

// Sixteen rows of sixteen floats become its columns.
PENSTOCK_V4_INLINE void Transpose(__m512 (&rows)[16]) {
  __m512 pairs[16];
  for (int i = 0; i < 16; i += 2) {
    pairs[i] = _mm512_unpacklo_ps(rows[i], rows[i + 1]);
    pairs[i + 1] = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
  }
  __m512 fours[16];
  for (int i = 0; i < 16; i += 4) {
    for (int j = 0; j < 2; ++j) {
      const __m512d low = _mm512_castps_pd(pairs[i + j]);
      const __m512d high = _mm512_castps_pd(pairs[i + j + 2]);
      fours[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
      fours[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
    }
  }
  // Now fours[4 g + e] holds, in its quarter q, element 4 q + e of rows 4 g to 4 g + 3.
  for (int e = 0; e < 4; ++e) {
    const __m512 low02 = _mm512_shuffle_f32x4(fours[e], fours[4 + e], 0x88);
    const __m512 low13 = _mm512_shuffle_f32x4(fours[e], fours[4 + e], 0xDD);
    const __m512 high02 = _mm512_shuffle_f32x4(fours[8 + e], fours[12 + e], 0x88);
    const __m512 high13 = _mm512_shuffle_f32x4(fours[8 + e], fours[12 + e], 0xDD);
    rows[e] = _mm512_shuffle_f32x4(low02, high02, 0x88);
    rows[4 + e] = _mm512_shuffle_f32x4(low13, high13, 0x88);
    rows[8 + e] = _mm512_shuffle_f32x4(low02, high02, 0xDD);
    rows[12 + e] = _mm512_shuffle_f32x4(low13, high13, 0xDD);
  }
}

// The sums of sixteen vectors' elements, side by side.
PENSTOCK_V4_INLINE __m512 SumEach(const __m512 (&vectors)[16]) {
  __m512 fours[4];
  for (int i = 0; i < 4; ++i) {
    const __m512* const v = vectors + 4 * i;
    const __m512d low = _mm512_castps_pd(
        _mm512_add_ps(_mm512_unpacklo_ps(v[0], v[1]), _mm512_unpackhi_ps(v[0], v[1])));
    const __m512d high = _mm512_castps_pd(
        _mm512_add_ps(_mm512_unpacklo_ps(v[2], v[3]), _mm512_unpackhi_ps(v[2], v[3])));
    fours[i] = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(low, high)),
                             _mm512_castpd_ps(_mm512_unpackhi_pd(low, high)));
  }
  const auto join = [](__m512 a, __m512 b) PENSTOCK_V4 {
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xDD));
  };
  return join(join(fours[0], fours[1]), join(fours[2], fours[3]));
}

}  // namespace penstock::engine

#endif
