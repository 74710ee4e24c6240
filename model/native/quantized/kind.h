/* A pass of the network, for the kind of processor that the including file describes:
 *
 *   KIND, KIND_NAME   suffix of the names, and what the kind is called
 *   LANES             rows of a tile in one register, and floats
 *   TALL              tokens of the largest tile of products of bytes
 *   TALL_FLOATS       rows of the largest tile of products of floats
 *   UNROLLED          quads that are unrolled: 8 where the compiler is quick with it, else 1
 *   bytes, counts     registers of LANES × QUAD bytes, and of the sums of their products
 *   floats            a register of LANES floats
 *
 * and the functions on them that kind_plain.c has for any processor. A layer is a row of phases; the threads share out the units of
 * each (tokens, heads, tiles of a matrix) and meet behind it. Every weight is read from memory once a pass.
 */
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "quantized.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define NAME(name) JOIN(name##_, KIND)
#define INLINE static inline __attribute__((always_inline))

enum { PARTS = TILE / LANES };

typedef floats loose_floats __attribute__((aligned(4), may_alias));

INLINE floats load_floats(const float *from) { return *(const loose_floats *)from; }
INLINE void store_floats(float *to, floats value) { *(loose_floats *)to = value; }

#include "products.h"
#include "functions.h"
#include "attention.h"
#include "units.h"
#include "experts.h"
#include "layers.h"
#include "ranking.h"

const Kind JOIN(kind_, KIND) = {
    .name = KIND_NAME,
    .pass = NAME(pass),
    .scores = NAME(scores),
    .rank = NAME(rank),
};
