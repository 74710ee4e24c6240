/* Registers of AVX2: eight rows of a tile in each. The including file says how bytes are multiplied. */
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

enum { LANES = 8, TALL = 4, TALL_FLOATS = 6, UNROLLED = 8 };

typedef __m256i bytes;
typedef __m256i counts;
typedef __m256 floats;

static inline bytes load_bytes(const uint8_t *from) { return _mm256_loadu_si256((const __m256i *)from); }
static inline bytes low_halves(bytes both) { return _mm256_and_si256(both, _mm256_set1_epi8(15)); }
static inline bytes high_halves(bytes both) { return low_halves(_mm256_srli_epi16(both, 4)); }
static inline bytes four_codes(const int8_t *codes) {
  int32_t four;
  memcpy(&four, codes, sizeof four);
  return _mm256_set1_epi32(four);
}
static inline counts no_counts(void) { return _mm256_setzero_si256(); }

static inline floats repeated(float value) { return _mm256_set1_ps(value); }
static inline floats multiply_add(floats a, floats b, floats c) { return _mm256_fmadd_ps(a, b, c); }
static inline floats load_halves(const uint16_t *from) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)from)); }
static inline uint16_t to_half(float value) { return _cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT); }
static inline float from_half(uint16_t value) { return _cvtsh_ss(value); }
