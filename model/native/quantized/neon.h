/* Registers of NEON: four rows of a tile in each. The including file says how bytes are multiplied. */
#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

enum { LANES = 4, TALL = 4, TALL_FLOATS = 6, UNROLLED = 8, BYTE_OFFSET = 0 };

typedef int8x16_t bytes;
typedef int32x4_t counts;
typedef float32x4_t floats;

static inline bytes load_bytes(const uint8_t *from) { return vreinterpretq_s8_u8(vld1q_u8(from)); }
static inline bytes low_halves(bytes both) { return vandq_s8(both, vdupq_n_s8(15)); }
static inline bytes high_halves(bytes both) {
  return vreinterpretq_s8_u8(vshrq_n_u8(vreinterpretq_u8_s8(both), 4));
}

static inline floats repeated(float value) { return vdupq_n_f32(value); }
static inline floats multiply_add(floats a, floats b, floats c) { return vfmaq_f32(c, a, b); }
static inline floats load_halves(const uint16_t *from) {
  return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(from)));
}
static inline uint16_t to_half(float value) {
  __fp16 half = (__fp16)value;
  uint16_t bits;
  memcpy(&bits, &half, sizeof bits);
  return bits;
}
static inline float from_half(uint16_t bits) {
  __fp16 half;
  memcpy(&half, &bits, sizeof half);
  return half;
}
