/* Grouped-query attention over a prompt's keys and values. */

/* ---- products of floats and of what a prompt holds ---- */

/* out[rows][TILE] = a[rows][steps] × b[steps][TILE] for so few rows that the sums stay in registers. */
INLINE void few_rows(int rows, const float *a, size_t a_stride, const uint16_t *b, int steps, float *out, size_t stride) {
  floats total[TALL_FLOATS][PARTS], each[PARTS];
#pragma GCC unroll 8
  for (int row = 0; row < rows; row++)
#pragma GCC unroll 4
    for (int part = 0; part < PARTS; part++) total[row][part] = repeated(0);
  for (int step = 0; step < steps; step++) {
#pragma GCC unroll 4
    for (int part = 0; part < PARTS; part++) each[part] = load_halves(b + (size_t)step * TILE + part * LANES);
#pragma GCC unroll 8
    for (int row = 0; row < rows; row++)
#pragma GCC unroll 4
      for (int part = 0; part < PARTS; part++)
        total[row][part] = multiply_add(repeated(a[row * a_stride + step]), each[part], total[row][part]);
  }
#pragma GCC unroll 8
  for (int row = 0; row < rows; row++)
#pragma GCC unroll 4
    for (int part = 0; part < PARTS; part++) store_floats(out + row * stride + part * LANES, total[row][part]);
}

#define ROWS_IF(count)                                                                                             \
  case count:                                                                                                      \
    if (count <= TALL_FLOATS) few_rows(count, a, a_stride, b, steps, out, stride);                                 \
    return;

static void NAME(multiply)(int rows, const float *a, size_t a_stride, const uint16_t *b, int steps, float *out,
                           size_t stride) {
  switch (rows) {
    ROWS_IF(1) ROWS_IF(2) ROWS_IF(3) ROWS_IF(4) ROWS_IF(5) ROWS_IF(6) ROWS_IF(7) ROWS_IF(8)
  }
}

/* ---- a prompt's memory ---- */

typedef struct {
  uint16_t *keys;   /* [capacity / TILE][head_dim][TILE] */
  uint16_t *values; /* [head_dim / TILE][capacity][TILE] */
} Memory;

INLINE Memory memory_of(const Prompt *prompt, int layer, int head) {
  const Shape *s = &prompt->model->shape;
  size_t at = ((size_t)layer * s->kv_heads + head) * prompt->capacity * s->head_dim;
  return (Memory){prompt->keys + at, prompt->values + at};
}

static void NAME(remember_key)(const Prompt *prompt, Memory memory, int at, const float *key) {
  int size = prompt->model->shape.head_dim;
  uint16_t *to = memory.keys + (size_t)(at / TILE) * size * TILE + at % TILE;
  for (int i = 0; i < size; i++) to[i * TILE] = to_half(key[i]);
}

static void NAME(remember_value)(const Prompt *prompt, Memory memory, int at, const float *value) {
  for (int i = 0; i < prompt->model->shape.head_dim; i++)
    memory.values[((size_t)(i / TILE) * prompt->capacity + at) * TILE + i % TILE] = to_half(value[i]);
}

/* ---- attention ---- */

/* One unit of work: what some tokens ask of one head of keys. */
typedef struct {
  const Pass *pass;
  Memory memory;
  const int32_t *which; /* the tokens in rows of the room; NULL: all of them */
  int head, first, count, rows; /* rows first … first + count of so many */
} Question;

INLINE int token_of(const int32_t *which, int row) { return which ? which[row] : row; }

/* How many keys a token may see, at most. */
INLINE int reach(const Pass *pass, int token) { return pass->prompt->length + (pass->seen ? pass->tokens : token + 1); }

/* Take from a query's scores [keys] what its token must not see. */
static void NAME(blind)(const Pass *pass, int token, float *scores, int keys) {
  int before = pass->prompt->length;
  for (int i = before; i < keys; i++) {
    int other = i - before;
    if (pass->seen ? !pass->seen[(size_t)token * pass->tokens + other] : other > token) scores[i] = -FLT_MAX;
  }
}

/* Scores [keys] become shares, which are not yet divided by their sum; that is returned. */
static float NAME(softmax)(float *scores, int keys) {
  float largest = -FLT_MAX, sum = 0;
  for (int i = 0; i < keys; i++) largest = scores[i] > largest ? scores[i] : largest;
  for (int i = 0; i < keys; i++) {
    float share = exponential(scores[i] - largest);
    scores[i] = scores[i] > -FLT_MAX ? share : 0;
    sum += scores[i];
  }
  return sum;
}

/* The answers to a few queries, which lie side by side, over their first `keys`: found[few][head_dim]. */
static void NAME(ask)(const Question *what, int query, int few, int keys, float *scores, float *found) {
  const Pass *pass = what->pass;
  const Shape *s = &pass->model->shape;
  int group = s->heads / s->kv_heads, size = s->head_dim, stride = padded(keys);
  const float *queries =
      pass->model->room.queries + (((size_t)what->head * what->rows + what->first) * group + query) * size;
  for (int tile = 0; tile < tiles_of(keys); tile++)
    NAME(multiply)(few, queries, size, what->memory.keys + (size_t)tile * size * TILE, size, scores + tile * TILE, stride);
  float sums[TALL_FLOATS];
  for (int i = 0; i < few; i++) {
    NAME(blind)(pass, token_of(what->which, what->first + (query + i) / group), scores + i * stride, keys);
    sums[i] = NAME(softmax)(scores + i * stride, keys);
  }
  for (int tile = 0; tile < size / TILE; tile++)
    NAME(multiply)(few, scores, stride, what->memory.values + (size_t)tile * pass->prompt->capacity * TILE, keys,
                   found + tile * TILE, size);
  for (int i = 0; i < few; i++)
    for (int k = 0; k < size; k++) found[i * size + k] /= sums[i];
}

/* Answer all queries, and round the answers. */
static void NAME(attend)(const Question *what, const Desk *desk) {
  const Pass *pass = what->pass;
  const Shape *s = &pass->model->shape;
  int group = s->heads / s->kv_heads, size = s->head_dim;
  for (int query = 0; query < what->count * group; query += TALL_FLOATS) {
    int few = what->count * group - query < TALL_FLOATS ? what->count * group - query : TALL_FLOATS;
    int last = token_of(what->which, what->first + (query + few - 1) / group);
    NAME(ask)(what, query, few, reach(pass, last), desk->scores, desk->found);
    for (int i = 0; i < few; i++)
      NAME(round)(desk->found + i * size, size, &pass->model->room.attended, what->first + (query + i) / group,
                  (what->head * group + (query + i) % group) * size);
  }
}
