/* x86-64 with AVX2: pairs of products are added in sixteen bits. */
#if defined(__x86_64__) && defined(__GNUC__)
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c")
#endif
#include "avx2.h"

#define KIND avx2
#define KIND_NAME "AVX2"

enum { BYTE_OFFSET = 0 }; /* signed bytes are multiplied as they are */

/* A group has eight pairs of products of at most 15 × 127: their sum fits into sixteen bits. */
static inline counts add_halves(counts sum, bytes halves, bytes codes) {
  sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(halves, codes));
  __asm__("" : "+x"(sum)); /* one after the other: added as a tree, they would not stay in registers */
  return sum;
}
static inline floats counted_halves(counts sum) {
  return _mm256_cvtepi32_ps(_mm256_madd_epi16(sum, _mm256_set1_epi16(1)));
}

/* One factor must have no sign: the weight gives it to the other one. A pair of products fits into sixteen bits. */
static inline bytes multipliable(bytes weights) { return weights; }
static inline counts add_bytes(counts sum, bytes weights, bytes codes) {
  __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(weights), _mm256_sign_epi8(codes, weights));
  sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  __asm__("" : "+x"(sum));
  return sum;
}
static inline floats counted_bytes(counts sum) { return _mm256_cvtepi32_ps(sum); }

#include "kind.h"
#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
