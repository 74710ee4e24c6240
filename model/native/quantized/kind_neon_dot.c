/* AArch64 with the dot products of NEON. */
#if defined(__aarch64__) && defined(__GNUC__)
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#else
#pragma GCC target("arch=armv8.2-a+dotprod")
#endif
#include "neon.h"

#define KIND neon_dot
#define KIND_NAME "NEON-DOT"

static inline bytes four_codes(const int8_t *codes) {
  int32_t four;
  memcpy(&four, codes, sizeof four);
  return vreinterpretq_s8_s32(vdupq_n_s32(four));
}
static inline counts no_counts(void) { return vdupq_n_s32(0); }
static inline counts add_halves(counts sum, bytes halves, bytes codes) { return vdotq_s32(sum, halves, codes); }
static inline floats counted_halves(counts sum) { return vcvtq_f32_s32(sum); }

static inline bytes multipliable(bytes weights) { return weights; }
static inline counts add_bytes(counts sum, bytes weights, bytes codes) { return vdotq_s32(sum, weights, codes); }
static inline floats counted_bytes(counts sum) { return vcvtq_f32_s32(sum); }

#include "kind.h"
#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
