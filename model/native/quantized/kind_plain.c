/* Any other processor, in vectors that the compiler makes of whatever registers there are. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#define KIND plain
#define KIND_NAME "plain"

enum {
  LANES = 4,
  TALL = 2,
  TALL_FLOATS = 4,
  UNROLLED = 1,
  BYTE_OFFSET = 0, /* what is added to signed bytes before they are multiplied */
};

typedef int8_t bytes __attribute__((vector_size(LANES * 4)));
typedef int16_t shorts __attribute__((vector_size(LANES * 8)));
typedef int32_t words __attribute__((vector_size(LANES * 4)));
typedef int32_t counts __attribute__((vector_size(LANES * 8))); /* two of each row, still to be added */
typedef float floats __attribute__((vector_size(LANES * 4)));

static inline bytes load_bytes(const uint8_t *from) {
  bytes result;
  memcpy(&result, from, sizeof result);
  return result;
}
static inline bytes low_halves(bytes both) { return both & 15; }
static inline bytes high_halves(bytes both) { return (both >> 4) & 15; }
static inline bytes four_codes(const int8_t *codes) { /* of one token, for every row */
  int32_t four;
  memcpy(&four, codes, sizeof four);
  return (bytes)((words){0} + four);
}

static inline counts no_counts(void) { return (counts){0}; }
static inline counts add_bytes(counts sum, bytes weights, bytes codes) {
  counts pairs = (counts)(__builtin_convertvector(weights, shorts) * __builtin_convertvector(codes, shorts));
  return sum + (pairs >> 16) + ((pairs << 16) >> 16);
}
static inline floats counted_bytes(counts sum) {
  floats result;
  for (int i = 0; i < LANES; i++) result[i] = (float)(sum[2 * i] + sum[2 * i + 1]);
  return result;
}

static inline bytes multipliable(bytes weights) { return weights; }
static inline counts add_halves(counts sum, bytes halves, bytes codes) { return add_bytes(sum, halves, codes); }
static inline floats counted_halves(counts sum) { return counted_bytes(sum); }

static inline floats repeated(float value) { return (floats){0} + value; }
static inline floats multiply_add(floats a, floats b, floats c) { return a * b + c; }

/* Numbers of sixteen bits: sign, five bits of exponent, ten of fraction. */
static inline float from_half(uint16_t half) {
  uint32_t exponent = half >> 10 & 31, fraction = half & 1023, bits = (exponent + 112) << 23 | fraction << 13;
  float value = (float)fraction * 0x1p-24f; /* too small for an exponent of their own */
  if (exponent) memcpy(&value, &bits, sizeof value);
  return half & 0x8000 ? -value : value;
}
static inline uint16_t to_half(float value) {
  uint16_t sign = signbit(value) ? 0x8000 : 0;
  float size = fabsf(value);
  if (size < 0x1p-14f) return sign | (uint16_t)rintf(size * 0x1p24f);
  uint32_t bits;
  if (size > 65504.0f) size = 65504.0f;
  memcpy(&bits, &size, sizeof bits);
  bits += 0xfff + (bits >> 13 & 1); /* to nearest, ties to even */
  return sign | (uint16_t)((bits >> 13) - (112 << 10));
}
static inline floats load_halves(const uint16_t *from) {
  floats result;
  for (int i = 0; i < LANES; i++) result[i] = from_half(from[i]);
  return result;
}

#include "kind.h"
