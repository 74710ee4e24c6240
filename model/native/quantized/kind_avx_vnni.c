/* x86-64 with AVX-VNNI: four products of bytes are added at once. */
#if defined(__x86_64__) && defined(__GNUC__)
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avxvnni"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c,avxvnni")
#endif
#include "avx2.h"

#define KIND avx_vnni
#define KIND_NAME "AVX-VNNI"

enum { BYTE_OFFSET = 128 }; /* one factor must have no sign: so much is added to the weights */

static inline counts add_halves(counts sum, bytes halves, bytes codes) {
  return _mm256_dpbusd_avx_epi32(sum, halves, codes);
}
static inline floats counted_halves(counts sum) { return _mm256_cvtepi32_ps(sum); }

static inline bytes multipliable(bytes weights) { return _mm256_xor_si256(weights, _mm256_set1_epi8(-128)); }
static inline counts add_bytes(counts sum, bytes weights, bytes codes) {
  return _mm256_dpbusd_avx_epi32(sum, weights, codes);
}
static inline floats counted_bytes(counts sum) { return _mm256_cvtepi32_ps(sum); }

#include "kind.h"
#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
