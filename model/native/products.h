/* Products of matrices that are packed for one kind of processor, and functions of single numbers; forward.h tells what
 * KIND, PAIR, elem, LANES, TALL and WIDEST are.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "dgemma.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define NAME(name) JOIN(name##_, KIND)
#define INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

/* ---- products ---- */

#if PAIR == 2
typedef uint32_t __attribute__((may_alias)) pair_of_elems;

INLINE float widened(elem value) {
  uint32_t bits = (uint32_t)value << 16;
  float result;
  memcpy(&result, &bits, 4);
  return result;
}

INLINE elem narrowed(float value) { /* to nearest, ties to even; what is no number stays none */
  uint32_t bits;
  memcpy(&bits, &value, 4);
  return (elem)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

static void NAME(narrow)(const float *in, void *out, size_t count) {
  elem *to = out;
  size_t i = 0;
  for (; i + 16 <= count; i += 16)
    _mm256_storeu_si256((__m256i *)(to + i), (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(in + i)));
  for (; i < count; i++) to[i] = narrowed(in[i]);
}

typedef __m512 accumulator;
enum { PARTS = 1 };
INLINE accumulator nothing(void) { return _mm512_setzero_ps(); }
INLINE __m512bh spread(const elem *a) {
  int32_t both;
  memcpy(&both, a, 4);
  return (__m512bh)_mm512_set1_epi32(both);
}
INLINE accumulator multiplied(accumulator sum, __m512bh a, const elem *w) {
  return _mm512_dpbf16_ps(sum, a, (__m512bh)_mm512_loadu_si512(w));
}
typedef __m512bh spreaded;
#else
typedef elem pair_of_elems;

INLINE float widened(elem value) { return value; }
INLINE elem narrowed(float value) { return value; }

static void NAME(narrow)(const float *in, void *out, size_t count) { memcpy(out, in, count * sizeof(float)); }

typedef vec accumulator;
enum { PARTS = BLOCK / LANES };
typedef float spreaded;
INLINE accumulator nothing(void) { return (vec){0}; }
INLINE spreaded spread(const elem *a) { return *a; }
INLINE accumulator multiplied(accumulator sum, spreaded a, const elem *w) { return sum + a * *(const vec *)w; }
#endif

/* out[rows][blocks × BLOCK] = a[rows][steps × PAIR] × w, for so few rows and blocks that the sums stay in registers. */
INLINE void tile(const int rows, const int blocks, const elem *a, size_t a_row, const elem *w, size_t w_block,
                 int steps, float *out, size_t out_row) {
  accumulator sums[8][8 * PARTS];
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 32
    for (int b = 0; b < blocks * PARTS; b++) sums[r][b] = nothing();
  for (int step = 0; step < steps; step++) {
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
      spreaded one = spread(a + r * a_row + step * PAIR);
#pragma GCC unroll 32
      for (int b = 0; b < blocks * PARTS; b++)
        sums[r][b] = multiplied(sums[r][b], one,
                                w + b / PARTS * w_block + (size_t)step * BLOCK * PAIR + b % PARTS * LANES);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 32
    for (int b = 0; b < blocks * PARTS; b++)
      *(vec *)(out + r * out_row + b / PARTS * BLOCK + b % PARTS * LANES) = sums[r][b];
}

/* The tiles that exist: every number of rows with at most WIDEST(rows) blocks. */
#define TILE_IF(rows, blocks)                                                                                      \
  case (rows) * 16 + (blocks):                                                                                     \
    if ((rows) <= TALL && (blocks) <= WIDEST(rows))                                                                \
      tile(rows, blocks, a, a_row, w, w_block, steps, out, out_row);                                               \
    break;
#define TILES_OF(rows)                                                                                             \
  TILE_IF(rows, 1) TILE_IF(rows, 2) TILE_IF(rows, 3) TILE_IF(rows, 4) TILE_IF(rows, 5) TILE_IF(rows, 6)            \
  TILE_IF(rows, 7) TILE_IF(rows, 8)
#define TILES                                                                                                      \
  TILES_OF(1) TILES_OF(2) TILES_OF(3) TILES_OF(4) TILES_OF(5) TILES_OF(6) TILES_OF(7) TILES_OF(8)

static void NAME(tiles)(int rows, int blocks, const elem *a, size_t a_row, const elem *w, size_t w_block, int steps,
                        float *out, size_t out_row) {
  switch (rows * 16 + blocks) { TILES }
}

/* out[rows][blocks × BLOCK] = a[rows][steps × PAIR] × w; blocks of w lie w_block elements apart. */
static void NAME(product)(const elem *a, size_t a_row, int rows, const elem *w, size_t w_block, int steps, int blocks,
                          float *out, size_t out_row) {
  int most = WIDEST(rows < TALL ? rows : TALL);
  if (blocks > most) most = (blocks + (blocks + most - 1) / most - 1) / ((blocks + most - 1) / most); /* alike */
  for (int block = 0; block < blocks; block += most) {
    int wide = blocks - block < most ? blocks - block : most;
    for (int row = 0; row < rows; row += TALL)
      NAME(tiles)
      (rows - row < TALL ? rows - row : TALL, wide, a + row * a_row, a_row, w + block * w_block, w_block, steps,
       out + row * out_row + block * BLOCK, out_row);
  }
}

static void NAME(times)(const elem *a, size_t a_row, int rows, const Matrix *w, float *out, size_t out_row) {
  NAME(product)(a, a_row, rows, w->data, (size_t)w->in * BLOCK, w->in / PAIR, w->blocks, out, out_row);
}

static void NAME(pack)(const float *weight, int out, int in, void *packed) {
  elem *to = packed;
  for (int block = 0; block < blocks_of(out); block++)
    for (int step = 0; step < in / PAIR; step++)
      for (int column = 0; column < BLOCK; column++)
        for (int k = 0; k < PAIR; k++) {
          int row = block * BLOCK + column;
          *to++ = row < out ? narrowed(weight[(size_t)row * in + step * PAIR + k]) : 0;
        }
}

/* ---- functions of single numbers, written so that the compiler turns loops over them into vectors ---- */

INLINE float exponential(float x) { /* within 2 units in the last place, 0 far below */
  x = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
  float n = rintf(x * 1.44269504f), r = x - n * 0.693359375f + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  int32_t bits = ((int32_t)n + 127) << 23;
  float power;
  memcpy(&power, &bits, 4);
  return p * power;
}

INLINE float gelu(float x) { /* its tanh form, as the sigmoid that it equals */
  return x / (1.0f + exponential(-1.5957691216f * (x + 0.044715f * x * x * x)));
}

/* 1 / the root mean square of x. */
INLINE float unit(const float *x, int count, float eps) {
  float sum = 0;
  for (int i = 0; i < count; i++) sum += x[i] * x[i];
  return 1.0f / sqrtf(sum / count + eps);
}

/* out = x with unit root mean square, narrowed. */
static void NAME(normed)(const float *x, int count, float eps, float *room, elem *out) {
  float scale = unit(x, count, eps);
  for (int i = 0; i < count; i++) room[i] = x[i] * scale;
  NAME(narrow)(room, out, count);
}
