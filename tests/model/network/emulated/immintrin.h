/* Stands before the compiler's own header where instructions are emulated that the processor lacks: each of them in
 * plain C, as the manual says it (Intel's intrinsics guide). The vectors' types are the compiler's. */
#include_next <immintrin.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t emulated_bytes __attribute__((vector_size(64)));
typedef uint16_t emulated_shorts __attribute__((vector_size(64)));
typedef int32_t emulated_words __attribute__((vector_size(64)));

/* Four unsigned bytes of one operand times four signed ones of the other are added to each number of 32 bits. */
static inline void emulated_products(int count, int32_t *sums, const uint8_t *a, const int8_t *b) {
  for (int i = 0; i < count; i++)
    for (int k = 0; k < 4; k++) sums[i] += (int32_t)a[4 * i + k] * b[4 * i + k];
}

#define EMULATE_PRODUCTS(name, type)                                                                               \
  static inline type name(type sum, type a, type b) {                                                              \
    int32_t sums[sizeof(type) / 4];                                                                                \
    uint8_t first[sizeof(type)];                                                                                   \
    int8_t second[sizeof(type)];                                                                                   \
    memcpy(sums, &sum, sizeof sums);                                                                               \
    memcpy(first, &a, sizeof first);                                                                               \
    memcpy(second, &b, sizeof second);                                                                             \
    emulated_products(sizeof(type) / 4, sums, first, second);                                                      \
    memcpy(&sum, sums, sizeof sum);                                                                                \
    return sum;                                                                                                    \
  }
EMULATE_PRODUCTS(emulated_dpbusd_256, __m256i)
EMULATE_PRODUCTS(emulated_dpbusd_512, __m512i)

static inline __m512i emulated_load(const void *from) {
  __m512i result;
  memcpy(&result, from, sizeof result);
  return result;
}
static inline __m512 emulated_widen(__m256i halves) {
  uint16_t in[16];
  __m512 result;
  memcpy(in, &halves, sizeof in);
  for (int i = 0; i < 16; i++) result[i] = _cvtsh_ss(in[i]);
  return result;
}

#define _mm256_dpbusd_avx_epi32 emulated_dpbusd_256
#define _mm512_dpbusd_epi32 emulated_dpbusd_512
#define _mm512_loadu_si512 emulated_load
#define _mm512_setzero_si512() ((__m512i){0})
#define _mm512_set1_epi8(value) ((__m512i)((emulated_bytes){0} + (uint8_t)(value)))
#define _mm512_set1_epi32(value) ((__m512i)((emulated_words){0} + (value)))
#define _mm512_and_si512(a, b) ((__m512i)((a) & (b)))
#define _mm512_xor_si512(a, b) ((__m512i)((a) ^ (b)))
#define _mm512_srli_epi16(a, count) ((__m512i)((emulated_shorts)(a) >> (count)))
#define _mm512_cvtepi32_ps(a) __builtin_convertvector((emulated_words)(a), __m512)
#define _mm512_set1_ps(value) ((__m512){0} + (value))
#define _mm512_fmadd_ps(a, b, c) ((a) * (b) + (c))
#define _mm512_cvtph_ps emulated_widen
