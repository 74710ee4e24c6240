/* Products of quantised weights and rounded activations, a tile of a matrix's rows at a time.
 *
 * A register holds four columns of several rows, and four codes of one token are multiplied with all of them: there are
 * no sums across a register, and a tile's weights stay in the nearest cache while all tokens pass. Sums over a group
 * are whole numbers and exact.
 */

typedef enum { FOUR_BITS = 4, EIGHT_BITS = 8 } Bits;

typedef struct {
  const uint8_t *codes;
  const uint16_t *scales, *minima;
  size_t ahead; /* groups from here to the next tile, while that is still to be fetched; else 0 */
} Tile;

#ifdef PRODUCTS_OF_A_GROUP
#include PRODUCTS_OF_A_GROUP
#else
/* Four columns of all rows with the codes of all tokens. */
INLINE void add_quad(Bits bits, int tokens, const bytes *weights, const int8_t *codes,
                     counts sums[][PARTS]) {
#pragma GCC unroll 8
  for (int token = 0; token < tokens; token++) {
    bytes four = four_codes(codes + token * GROUP);
#pragma GCC unroll 4
    for (int part = 0; part < PARTS; part++)
      sums[token][part] = bits == FOUR_BITS ? add_halves(sums[token][part], weights[part], four)
                                            : add_bytes(sums[token][part], weights[part], four);
  }
}

INLINE void add_nibbles(int tokens, const uint8_t *weights, const int8_t *codes,
                        counts sums[][PARTS]) {
#pragma GCC unroll UNROLLED
  for (int quad = 0; quad < QUADS / 2; quad++) {
    bytes low[PARTS], high[PARTS];
#pragma GCC unroll 4
    for (int part = 0; part < PARTS; part++) {
      bytes both = load_bytes(weights + (quad * TILE + part * LANES) * QUAD);
      low[part] = low_halves(both);
      high[part] = high_halves(both);
    }
    add_quad(FOUR_BITS, tokens, low, codes + quad * QUAD, sums);
    add_quad(FOUR_BITS, tokens, high, codes + quad * QUAD + GROUP / 2, sums);
  }
}

INLINE void add_whole(int tokens, const uint8_t *weights, const int8_t *codes, counts sums[][PARTS]) {
#pragma GCC unroll UNROLLED
  for (int quad = 0; quad < QUADS; quad++) {
    bytes each[PARTS];
#pragma GCC unroll 4
    for (int part = 0; part < PARTS; part++)
      each[part] = multipliable(load_bytes(weights + (quad * TILE + part * LANES) * QUAD));
    add_quad(EIGHT_BITS, tokens, each, codes + quad * QUAD, sums);
  }
}

/* The sums of one group: found[tokens][PARTS]. */
INLINE void group_sums(Bits bits, int tokens, const uint8_t *weights, const int8_t *codes,
                       floats found[][PARTS]) {
  counts sums[TALL][PARTS];
#pragma GCC unroll 8
  for (int token = 0; token < tokens; token++)
#pragma GCC unroll 4
    for (int part = 0; part < PARTS; part++) sums[token][part] = no_counts();
  if (bits == FOUR_BITS)
    add_nibbles(tokens, weights, codes, sums);
  else
    add_whole(tokens, weights, codes, sums);
#pragma GCC unroll 8
  for (int token = 0; token < tokens; token++)
#pragma GCC unroll 4
    for (int part = 0; part < PARTS; part++)
      found[token][part] = bits == FOUR_BITS ? counted_halves(sums[token][part]) : counted_bytes(sums[token][part]);
}
#endif

/* What a sum of a group's products is multiplied by, and what is added for each unit of the activations' sum. */
INLINE void group_scales(Bits bits, const Tile *tile, size_t group, floats *scale, floats *minimum) {
#pragma GCC unroll 4
  for (int part = 0; part < PARTS; part++) {
    size_t at = group * TILE + part * LANES;
    scale[part] = load_halves(tile->scales + at);
    if (bits == FOUR_BITS)
      minimum[part] = load_halves(tile->minima + at);
    else
      minimum[part] = scale[part] * repeated(-BYTE_OFFSET);
  }
}

/* total[tokens][PARTS] += the products of one group. */
INLINE void add_group(Bits bits, int tokens, const Tile *tile, const Rounded *in, int first, int group,
                      floats total[][PARTS]) {
  size_t at = group_at(in, first, group);
  floats found[TALL][PARTS], scale[PARTS], minimum[PARTS];
  group_sums(bits, tokens, tile->codes + (size_t)group * (bits == FOUR_BITS ? NIBBLES : BYTES),
             in->codes + at * GROUP, found);
  group_scales(bits, tile, group, scale, minimum);
#pragma GCC unroll 8
  for (int token = 0; token < tokens; token++) {
    floats unit = repeated(in->scales[at + token]);
    floats sum = repeated(in->sums[at + token]);
#pragma GCC unroll 4
    for (int part = 0; part < PARTS; part++) {
      floats so_far = multiply_add(found[token][part], scale[part] * unit, total[token][part]);
      total[token][part] = bits == FOUR_BITS || BYTE_OFFSET != 0 ? multiply_add(minimum[part], sum, so_far) : so_far;
    }
  }
}

/* Ask for a group of the next tile's weights while this one's are multiplied. */
INLINE void fetch_ahead(Bits bits, const Tile *tile, int group) {
  if (!tile->ahead) return;
  size_t size = bits == FOUR_BITS ? NIBBLES : BYTES, next = tile->ahead + group;
#pragma GCC unroll 8
  for (size_t at = 0; at < size; at += 64) __builtin_prefetch(tile->codes + next * size + at, 0, 2);
  __builtin_prefetch(tile->scales + next * TILE, 0, 2);
  if (bits == FOUR_BITS) __builtin_prefetch(tile->minima + next * TILE, 0, 2);
}

/* out[tokens][TILE] for so few tokens that the sums stay in registers. */
INLINE void few_tokens(Bits bits, int tokens, const Tile *tile, const Rounded *in, int first, float *out, size_t stride) {
  floats total[TALL][PARTS];
#pragma GCC unroll 8
  for (int token = 0; token < tokens; token++)
#pragma GCC unroll 4
    for (int part = 0; part < PARTS; part++) total[token][part] = repeated(0);
  for (int group = 0; group < in->columns / GROUP; group++) {
    fetch_ahead(bits, tile, group);
    add_group(bits, tokens, tile, in, first, group, total);
  }
#pragma GCC unroll 8
  for (int token = 0; token < tokens; token++)
#pragma GCC unroll 4
    for (int part = 0; part < PARTS; part++) store_floats(out + token * stride + part * LANES, total[token][part]);
}

#define FEW_IF(count)                                                                                              \
  case count:                                                                                                      \
    if (count <= TALL) few_tokens(bits, count, tile, in, first, out, stride);                                      \
    return;
#define FEW FEW_IF(1) FEW_IF(2) FEW_IF(3) FEW_IF(4) FEW_IF(5) FEW_IF(6) FEW_IF(7) FEW_IF(8)

static void NAME(few_nibbles)(int tokens, const Tile *tile, const Rounded *in, int first, float *out, size_t stride) {
  const Bits bits = FOUR_BITS;
  switch (tokens) { FEW }
}

static void NAME(few_bytes)(int tokens, const Tile *tile, const Rounded *in, int first, float *out, size_t stride) {
  const Bits bits = EIGHT_BITS;
  switch (tokens) { FEW }
}

_Static_assert(TOGETHER % TALL == 0, "the tokens of a tile of products must lie side by side");

/* The products of one tile of a matrix's rows with all tokens: out[tokens][TILE], a stride apart. */
static void NAME(product)(const Matrix *matrix, int index, const Rounded *in, int tokens, float *out, size_t stride) {
  size_t skipped = (size_t)index * (matrix->columns / GROUP);
  int nibbles = matrix->minima != NULL;
  Tile tile = {matrix->codes + skipped * (nibbles ? NIBBLES : BYTES), matrix->scales + skipped * TILE,
               nibbles ? matrix->minima + skipped * TILE : NULL, matrix->columns / GROUP};
  for (int first = 0; first < tokens; first += TALL) {
    int few = tokens - first < TALL ? tokens - first : TALL;
    (nibbles ? NAME(few_nibbles) : NAME(few_bytes))(few, &tile, in, first, out + first * stride, stride);
    tile.ahead = 0;
  }
}

/* Some tiles side by side: out[tokens][count × TILE]. */
static void NAME(products)(const Matrix *matrix, int index, int count, const Rounded *in, int tokens, float *out,
                           size_t stride) {
  for (int i = 0; i < count; i++) NAME(product)(matrix, index + i, in, tokens, out + i * TILE, stride);
}

/* ---- a row of an embedding ---- */

INLINE float weight(const Matrix *matrix, int row, int column) {
  size_t group = (size_t)(row / TILE) * (matrix->columns / GROUP) + column / GROUP;
  int inside = column % GROUP, half = inside % (GROUP / 2);
  float scale = from_half(matrix->scales[group * TILE + row % TILE]);
  if (!matrix->minima) {
    size_t at = (inside / QUAD * TILE + row % TILE) * QUAD + inside % QUAD;
    return (int8_t)matrix->codes[group * BYTES + at] * scale;
  }
  uint8_t both = matrix->codes[group * NIBBLES + (half / QUAD * TILE + row % TILE) * QUAD + half % QUAD];
  return (inside == half ? both & 15 : both >> 4) * scale + from_half(matrix->minima[group * TILE + row % TILE]);
}

static void NAME(read_row)(const Matrix *matrix, int row, float *out) {
  for (int column = 0; column < matrix->columns; column++) out[column] = weight(matrix, row, column);
}
