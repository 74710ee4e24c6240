/* Attention with its gradients, for training; behind forward.h.
 *
 * As FlashAttention has it (Dao et al., 2022): shares are made again from each query's logarithm of the sum
 * instead of being kept. A query sees the keys of two ranges, from … to, which is enough for prompts one behind the
 * other and for canvases over them: nothing is padded and nothing masked is computed but the ends of blocks.
 */

enum { TOGETHER = 48 }; /* rows, each a query of one head, whose shares become gradients in one product */

typedef struct {
  float *scores, *other, *slab;
  elem *shares, *pairs, *turned, *rows;
  elem *keys, *values, *keys_down, *values_down;
  float *d_keys, *d_values;
  int size, wide, padded, room; /* of a head, the same rounded, keys rounded, columns of scores */
} Desk;

static size_t NAME(spread_out)(Desk *desk, char *at) {
  char **to = at ? &at : NULL;
  size_t total = 0, keys = (size_t)desk->padded, head = desk->wide;
#define CARVE(part, count) total += NAME(carve)(to, (count), sizeof *desk->part, (void **)&desk->part)
  CARVE(scores, (size_t)TOGETHER * desk->room);
  CARVE(other, (size_t)TOGETHER * desk->room);
  CARVE(slab, (size_t)4 * TOGETHER * head);
  CARVE(shares, (size_t)TOGETHER * desk->room);
  CARVE(pairs, (size_t)TOGETHER * desk->room);
  CARVE(turned, (size_t)TOGETHER * head);
  CARVE(rows, (size_t)2 * TOGETHER * head);
  CARVE(keys, keys * head);
  CARVE(values, keys * head);
  CARVE(keys_down, keys * head);
  CARVE(values_down, keys * head);
  CARVE(d_keys, keys * head);
  CARVE(d_values, keys * head);
#undef CARVE
  return total;
}

/* Keys or values of one head as weights: `across` has a column for each token, `down` a row. A block of tokens at a time:
 * its PAIRs of numbers are moved as one. */
static void NAME(lay_head)(const float *x, int tokens, size_t row, const Desk *desk, elem *across, elem *down) {
  int size = desk->size, pairs = size / PAIR;
  elem narrow[BLOCK * desk->wide];
  pair_of_elems *columns = (pair_of_elems *)across;
  memset(narrow, 0, sizeof narrow);
  for (int first = 0; first < tokens; first += BLOCK, columns += pairs * BLOCK) {
    int many = tokens - first < BLOCK ? tokens - first : BLOCK;
    for (int i = 0; i < many; i++) NAME(narrow)(x + (first + i) * row, narrow + i * desk->wide, size);
    for (int i = many; i < BLOCK; i++) memset(narrow + i * desk->wide, 0, desk->wide * sizeof(elem));
    for (int pair = 0; pair < pairs; pair++)
      for (int i = 0; i < BLOCK; i++)
        columns[pair * BLOCK + i] = *(const pair_of_elems *)(narrow + i * desk->wide + pair * PAIR);
    for (int block = 0; block < desk->wide / BLOCK; block++)
      for (int i = 0; i < BLOCK; i += PAIR) {
        elem *to = down + ((size_t)block * desk->padded + first + i) * BLOCK;
        const elem *from = narrow + i * desk->wide + block * BLOCK;
        for (int k = 0; k < BLOCK; k++)
          for (int other = 0; other < PAIR; other++) to[k * PAIR + other] = from[other * desk->wide + k];
      }
  }
}

/* What was summed up for the keys or values of one head [size][padded], as they are given [keys][…]. */
static void NAME(hand_back)(const Desk *desk, const float *sums, int keys, size_t row, float *to) {
  for (int first = 0; first < keys; first += BLOCK)
    for (int i = 0; i < desk->size; i += BLOCK)
      for (int key = first; key < first + BLOCK && key < keys; key++)
        for (int k = i; k < i + BLOCK && k < desk->size; k++) to[key * row + k] = sums[(size_t)k * desk->padded + key];
}

/* The blocks of keys that some of the queries first … last see: their begin and number, for both ranges. */
typedef struct {
  int begin[2], count[2], total;
} Sight;

static Sight NAME(sight)(const int32_t *ranges, int first, int last) {
  Sight sight = {{0, 0}, {0, 0}, 0};
  for (int side = 0; side < 2; side++) {
    int from = INT32_MAX, to = 0;
    for (int query = first; query <= last; query++) {
      const int32_t *range = ranges + 4 * query + 2 * side;
      if (range[0] >= range[1]) continue;
      from = range[0] < from ? range[0] : from;
      to = range[1] > to ? range[1] : to;
    }
    if (from >= to) continue;
    sight.begin[side] = from / BLOCK;
    sight.count[side] = blocks_of(to) - sight.begin[side];
    sight.total += sight.count[side] * BLOCK;
  }
  return sight;
}

/* out[rows][total] = a × the columns of `across` that are in sight. */
static void NAME(look)(const Desk *desk, const Sight *sight, const elem *a, int rows, const elem *across, float *out) {
  size_t block = (size_t)desk->size * BLOCK;
  int done = 0;
  for (int side = 0; side < 2; side++) {
    NAME(product)(a, desk->size, rows, across + sight->begin[side] * block, block, desk->size / PAIR, sight->count[side],
                  out + done, sight->total);
    done += sight->count[side] * BLOCK;
  }
}

/* out[rows][wide] = a[rows][total] × the rows of `down` that are in sight. */
static void NAME(gather)(const Desk *desk, const Sight *sight, const elem *a, int rows, const elem *down, float *out) {
  int done = 0;
  float *part = desk->slab + (size_t)3 * TOGETHER * desk->wide;
  memset(out, 0, (size_t)rows * desk->wide * sizeof(float));
  for (int side = 0; side < 2; side++) {
    int keys = sight->count[side] * BLOCK;
    if (!keys) continue;
    NAME(product)(a + done, sight->total, rows, down + (size_t)sight->begin[side] * BLOCK * BLOCK,
                  (size_t)desk->padded * BLOCK, keys / PAIR, desk->wide / BLOCK, part, desk->wide);
    for (int i = 0; i < rows * desk->wide; i++) out[i] += part[i];
    done += keys;
  }
}

/* Hide from a query's scores what it must not see. */
static void NAME(hide)(const Sight *sight, const int32_t *range, float *scores) {
  int done = 0;
  for (int side = 0; side < 2; side++) {
    int begin = sight->begin[side] * BLOCK, keys = sight->count[side] * BLOCK;
    int from = range[2 * side] - begin, to = range[2 * side + 1] - begin;
    if (from >= to) from = to = 0;
    for (int i = 0; i < from && i < keys; i++) scores[done + i] = -1e30f;
    for (int i = to < 0 ? 0 : to; i < keys; i++) scores[done + i] = -1e30f;
    done += keys;
  }
}

/* Two rows after the other become pairs, as a weight [total / BLOCK][rows / PAIR][BLOCK][PAIR]; rows beyond are zeros. */
static void NAME(pair)(const float *x, int rows, int total, elem *out) {
  for (int block = 0; block < total / BLOCK; block++)
    for (int row = 0; row < TOGETHER; row += PAIR) {
      elem *to = out + ((size_t)block * TOGETHER + row) * BLOCK;
      const float *from = x + (size_t)row * total + block * BLOCK;
#if PAIR == 2
      __m512 low = row < rows ? _mm512_loadu_ps(from) : _mm512_setzero_ps();
      __m512 high = row + 1 < rows ? _mm512_loadu_ps(from + total) : _mm512_setzero_ps();
      __m512i a = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(low));
      __m512i b = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(high));
      _mm512_storeu_si512(to, _mm512_or_si512(a, _mm512_slli_epi32(b, 16)));
#else
      for (int i = 0; i < BLOCK; i++) to[i] = row < rows ? from[i] : 0;
#endif
    }
}

/* sums[size][padded] += rowsᵀ × shares: what each key gets from a group of rows [count][size]. */
static void NAME(collect)(const Desk *desk, const Sight *sight, const float *rows, int count, const float *shares,
                          float *sums) {
  const elem *pairs = desk->pairs;
  float part[8 * 2 * BLOCK];
  NAME(pair)(shares, count, sight->total, desk->pairs);
  for (int i = 0; i < desk->size; i++)
    for (int k = 0; k < TOGETHER; k++) desk->turned[i * TOGETHER + k] = k < count ? narrowed(rows[k * desk->size + i]) : 0;
  for (int side = 0; side < 2; pairs += (size_t)sight->count[side++] * TOGETHER * BLOCK)
    for (int block = 0; block < sight->count[side]; block += 2) {
      int blocks = sight->count[side] - block < 2 ? 1 : 2;
      for (int i = 0; i < desk->size; i += 8) {
        int tall = desk->size - i < 8 ? desk->size - i : 8;
        NAME(product)(desk->turned + (size_t)i * TOGETHER, TOGETHER, tall, pairs + (size_t)block * TOGETHER * BLOCK,
                      (size_t)TOGETHER * BLOCK, TOGETHER / PAIR, blocks, part, 2 * BLOCK);
        for (int k = 0; k < tall; k++) {
          float *to = sums + (size_t)(i + k) * desk->padded + (sight->begin[side] + block) * BLOCK;
          for (int c = 0; c < blocks * BLOCK; c++) to[c] += part[k * 2 * BLOCK + c];
        }
      }
    }
}

static Desk NAME(desk)(const Attention *a, char **memory) {
  Desk desk = {.size = a->size, .wide = rounded(a->size), .padded = rounded(a->keys), .room = 0};
  desk.room = 2 * desk.padded; /* a key may be in sight by both ranges, of different queries */
  *memory = aligned(NAME(spread_out)(&desk, NULL));
  if (*memory) NAME(spread_out)(&desk, *memory);
  return desk;
}

/* The rows of a group of queries, one head's after the other: contiguous in `out`, and narrowed. */
static void NAME(take)(const Attention *a, const float *x, int head, int first, int queries, float *out, elem *narrow) {
  int groups = a->heads / a->kv_heads, row = groups * a->size;
  for (int query = 0; query < queries; query++)
    memcpy(out + (size_t)query * row, x + ((size_t)(first + query) * a->heads + (size_t)head * groups) * a->size,
           row * sizeof(float));
  NAME(narrow)(out, narrow, (size_t)queries * row);
}

static void NAME(put)(const Attention *a, const float *rows, int wide, int head, int first, int queries, float *to) {
  int groups = a->heads / a->kv_heads;
  for (int row = 0; row < queries * groups; row++)
    memcpy(to + ((size_t)(first + row / groups) * a->heads + (size_t)head * groups + row % groups) * a->size,
           rows + (size_t)row * wide, a->size * sizeof(float));
}

static int NAME(attention)(const Attention *a) {
  int groups = a->heads / a->kv_heads, most = TOGETHER / groups > 0 ? TOGETHER / groups : 1;
  char *memory;
  Desk desk = NAME(desk)(a, &memory);
  if (!memory || groups > TOGETHER) return 0;
  float *rows = desk.slab, *found = desk.slab + (size_t)TOGETHER * desk.wide;
  for (int head = 0; head < a->kv_heads; head++) {
    size_t row = (size_t)a->kv_heads * a->size;
    NAME(lay_head)(a->key + head * a->size, a->keys, row, &desk, desk.keys, desk.keys_down);
    NAME(lay_head)(a->value + head * a->size, a->keys, row, &desk, desk.values, desk.values_down);
    for (int first = 0; first < a->queries; first += most) {
      int queries = a->queries - first < most ? a->queries - first : most, count = queries * groups;
      Sight sight = NAME(sight)(a->ranges, first, first + queries - 1);
      NAME(take)(a, a->query, head, first, queries, rows, desk.rows);
      NAME(look)(&desk, &sight, desk.rows, count, desk.keys, desk.scores);
      float sums[TOGETHER];
      for (int i = 0; i < count; i++) {
        float *scores = desk.scores + (size_t)i * sight.total, largest = -1e30f;
        NAME(hide)(&sight, a->ranges + 4 * (size_t)(first + i / groups), scores);
        for (int k = 0; k < sight.total; k++) largest = scores[k] > largest ? scores[k] : largest;
        sums[i] = NAME(softmax)(scores, sight.total, desk.shares + (size_t)i * sight.total);
        a->normalisers[(size_t)(first + i / groups) * a->heads + head * groups + i % groups] = largest + logf(sums[i]);
      }
      NAME(gather)(&desk, &sight, desk.shares, count, desk.values_down, found);
      for (int i = 0; i < count; i++)
        for (int k = 0; k < desk.size; k++) found[(size_t)i * desk.wide + k] /= sums[i];
      NAME(put)(a, found, desk.wide, head, first, queries, a->out);
    }
  }
  free(memory);
  return 1;
}

/* d_query, d_key and d_value from d_out. */
static int NAME(attention_back)(const Attention *a) {
  int groups = a->heads / a->kv_heads, most = TOGETHER / groups > 0 ? TOGETHER / groups : 1;
  char *memory;
  Desk desk = NAME(desk)(a, &memory);
  if (!memory || groups > TOGETHER) return 0;
  size_t slab = (size_t)TOGETHER * desk.wide, row = (size_t)a->kv_heads * a->size;
  float *rows = desk.slab, *given = desk.slab + slab, *found = desk.slab + 2 * slab;
  elem *narrow = desk.rows, *given_narrow = desk.rows + slab;
  for (int head = 0; head < a->kv_heads; head++) {
    NAME(lay_head)(a->key + head * a->size, a->keys, row, &desk, desk.keys, desk.keys_down);
    NAME(lay_head)(a->value + head * a->size, a->keys, row, &desk, desk.values, desk.values_down);
    memset(desk.d_keys, 0, (size_t)desk.padded * desk.size * sizeof(float));
    memset(desk.d_values, 0, (size_t)desk.padded * desk.size * sizeof(float));
    for (int first = 0; first < a->queries; first += most) {
      int queries = a->queries - first < most ? a->queries - first : most, count = queries * groups;
      Sight sight = NAME(sight)(a->ranges, first, first + queries - 1);
      NAME(take)(a, a->query, head, first, queries, rows, narrow);
      NAME(take)(a, a->d_out, head, first, queries, given, given_narrow);
      NAME(look)(&desk, &sight, narrow, count, desk.keys, desk.scores);
      NAME(look)(&desk, &sight, given_narrow, count, desk.values, desk.other);
      for (int i = 0; i < count; i++) {
        size_t whose = (size_t)(first + i / groups) * a->heads + head * groups + i % groups;
        float *shares = desk.scores + (size_t)i * sight.total, *slopes = desk.other + (size_t)i * sight.total;
        float normaliser = a->normalisers[whose], mean = 0;
        NAME(hide)(&sight, a->ranges + 4 * (size_t)(first + i / groups), shares);
        for (int k = 0; k < desk.size; k++) mean += given[(size_t)i * desk.size + k] * a->out[whose * desk.size + k];
        for (int k = 0; k < sight.total; k++) {
          shares[k] = exponential(shares[k] - normaliser);
          slopes[k] = shares[k] * (slopes[k] - mean);
        }
        NAME(narrow)(slopes, desk.shares + (size_t)i * sight.total, sight.total);
      }
      NAME(collect)(&desk, &sight, given, count, desk.scores, desk.d_values);
      NAME(collect)(&desk, &sight, rows, count, desk.other, desk.d_keys);
      NAME(gather)(&desk, &sight, desk.shares, count, desk.keys_down, found);
      NAME(put)(a, found, desk.wide, head, first, queries, a->d_query);
    }
    NAME(hand_back)(&desk, desk.d_keys, a->keys, row, a->d_key + head * a->size);
    NAME(hand_back)(&desk, desk.d_values, a->keys, row, a->d_value + head * a->size);
  }
  free(memory);
  return 1;
}
