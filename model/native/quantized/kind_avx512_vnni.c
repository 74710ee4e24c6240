/* x86-64 with AVX512-VNNI: sixteen rows, four products of bytes each, are added at once. */
#if defined(__x86_64__) && defined(__GNUC__)
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c,prefer-vector-width=512")
#endif
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define KIND avx512_vnni
#define KIND_NAME "AVX512-VNNI"

enum {
  LANES = 16,
  TALL = 8,
  TALL_FLOATS = 8,
  UNROLLED = 8,
  BYTE_OFFSET = 128, /* one factor must have no sign: so much is added to the weights */
};

typedef __m512i bytes;
typedef __m512i counts;
typedef __m512 floats;

static inline bytes load_bytes(const uint8_t *from) { return _mm512_loadu_si512(from); }
static inline bytes low_halves(bytes both) { return _mm512_and_si512(both, _mm512_set1_epi8(15)); }
static inline bytes high_halves(bytes both) { return low_halves(_mm512_srli_epi16(both, 4)); }
static inline bytes four_codes(const int8_t *codes) {
  int32_t four;
  memcpy(&four, codes, sizeof four);
  return _mm512_set1_epi32(four);
}

static inline counts no_counts(void) { return _mm512_setzero_si512(); }
static inline counts add_halves(counts sum, bytes halves, bytes codes) {
  return _mm512_dpbusd_epi32(sum, halves, codes);
}
static inline floats counted_halves(counts sum) { return _mm512_cvtepi32_ps(sum); }

static inline bytes multipliable(bytes weights) { return _mm512_xor_si512(weights, _mm512_set1_epi8(-128)); }
static inline counts add_bytes(counts sum, bytes weights, bytes codes) {
  return _mm512_dpbusd_epi32(sum, weights, codes);
}
static inline floats counted_bytes(counts sum) { return _mm512_cvtepi32_ps(sum); }

static inline floats repeated(float value) { return _mm512_set1_ps(value); }
static inline floats multiply_add(floats a, floats b, floats c) { return _mm512_fmadd_ps(a, b, c); }
static inline floats load_halves(const uint16_t *from) {
  return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)from));
}
static inline uint16_t to_half(float value) { return _cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT); }
static inline float from_half(uint16_t value) { return _cvtsh_ss(value); }

#include "kind.h"
#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
