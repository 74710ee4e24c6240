/* The sums of one group where a processor multiplies two rows with two tokens, eight columns at a time. */

enum { PAIRS_OF_ROWS = TILE / 2, PAIRS_OF_TOKENS = TALL / 2 };

/* Two quads of columns of four rows become two pairs of rows with eight columns each. */
INLINE void pair_rows(bytes first, bytes second, bytes *pairs) {
  pairs[0] = vreinterpretq_s8_s32(vzip1q_s32(vreinterpretq_s32_s8(first), vreinterpretq_s32_s8(second)));
  pairs[1] = vreinterpretq_s8_s32(vzip2q_s32(vreinterpretq_s32_s8(first), vreinterpretq_s32_s8(second)));
}

/* Eight columns of all rows with the codes of all tokens; an odd token is multiplied twice. */
INLINE void add_octet(int tokens, const bytes *pairs, const int8_t *codes,
                      counts sums[][PAIRS_OF_ROWS]) {
#pragma GCC unroll 4
  for (int token = 0; token < tokens; token += 2) {
    const int8_t *one = codes + token * GROUP, *other = token + 1 < tokens ? one + GROUP : one;
    bytes both = vcombine_s8(vld1_s8(one), vld1_s8(other));
#pragma GCC unroll 8
    for (int pair = 0; pair < PAIRS_OF_ROWS; pair++)
      sums[token / 2][pair] = vmmlaq_s32(sums[token / 2][pair], pairs[pair], both);
  }
}

INLINE void add_nibbles(int tokens, const uint8_t *weights, const int8_t *codes,
                        counts sums[][PAIRS_OF_ROWS]) {
#pragma GCC unroll 2
  for (int octet = 0; octet < QUADS / 4; octet++) {
    bytes low[PAIRS_OF_ROWS], high[PAIRS_OF_ROWS];
#pragma GCC unroll 4
    for (int part = 0; part < PARTS; part++) {
      bytes first = load_bytes(weights + (2 * octet * TILE + part * LANES) * QUAD);
      bytes second = load_bytes(weights + ((2 * octet + 1) * TILE + part * LANES) * QUAD);
      pair_rows(low_halves(first), low_halves(second), low + 2 * part);
      pair_rows(high_halves(first), high_halves(second), high + 2 * part);
    }
    add_octet(tokens, low, codes + octet * 2 * QUAD, sums);
    add_octet(tokens, high, codes + octet * 2 * QUAD + GROUP / 2, sums);
  }
}

INLINE void add_whole(int tokens, const uint8_t *weights, const int8_t *codes,
                      counts sums[][PAIRS_OF_ROWS]) {
#pragma GCC unroll 4
  for (int octet = 0; octet < QUADS / 2; octet++) {
    bytes pairs[PAIRS_OF_ROWS];
#pragma GCC unroll 4
    for (int part = 0; part < PARTS; part++)
      pair_rows(load_bytes(weights + (2 * octet * TILE + part * LANES) * QUAD),
                load_bytes(weights + ((2 * octet + 1) * TILE + part * LANES) * QUAD), pairs + 2 * part);
    add_octet(tokens, pairs, codes + octet * 2 * QUAD, sums);
  }
}

/* found[tokens][PARTS]; a sum holds two rows, and two tokens of each. */
INLINE void group_sums(Bits bits, int tokens, const uint8_t *weights, const int8_t *codes,
                       floats found[][PARTS]) {
  counts sums[PAIRS_OF_TOKENS][PAIRS_OF_ROWS];
#pragma GCC unroll 4
  for (int pair = 0; pair < PAIRS_OF_TOKENS; pair++)
#pragma GCC unroll 8
    for (int rows = 0; rows < PAIRS_OF_ROWS; rows++) sums[pair][rows] = vdupq_n_s32(0);
  if (bits == FOUR_BITS)
    add_nibbles(tokens, weights, codes, sums);
  else
    add_whole(tokens, weights, codes, sums);
#pragma GCC unroll 8
  for (int token = 0; token < tokens; token++)
#pragma GCC unroll 4
    for (int part = 0; part < PARTS; part++) {
      counts one = sums[token / 2][2 * part], other = sums[token / 2][2 * part + 1];
      found[token][part] = vcvtq_f32_s32(token % 2 ? vuzp2q_s32(one, other) : vuzp1q_s32(one, other));
    }
}
