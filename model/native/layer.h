/* What stands between a layer's products while training, with its gradients; behind forward.h.
 *
 * "Unit" is a vector divided by its root mean square. With y = r x the gradient of y becomes r (d_y - y mean(d_y y)) at x. */

/* out = the gradient at x, given y, r and d_y; out may be d_y. */
INLINE void through_unit(const float *y, float r, const float *d_y, int count, float *out) {
  float mean = 0;
  for (int i = 0; i < count; i++) mean += d_y[i] * y[i];
  mean /= count;
  for (int i = 0; i < count; i++) out[i] = r * (d_y[i] - y[i] * mean);
}

static void NAME(widen)(const elem *in, int count, float *out) {
  for (int i = 0; i < count; i++) out[i] = widened(in[i]);
}

/* out[rows][hidden] = unit x; with d_out: d_x. */
static int NAME(unit_rows)(const UnitRows *what) {
  int hidden = what->hidden;
  float *y = aligned(2 * (size_t)hidden * sizeof(float)), *given = y + hidden;
  if (!y) return 0;
  for (size_t row = 0; row < (size_t)what->rows; row++) {
    const float *x = what->x + row * hidden;
    float r = unit(x, hidden, what->eps);
    for (int i = 0; i < hidden; i++) y[i] = r * x[i];
    if (what->d_out) {
      NAME(widen)((const elem *)what->d_out + row * hidden, hidden, given);
      through_unit(y, r, given, hidden, what->d_x + row * hidden);
    } else {
      NAME(narrow)(y, (elem *)what->out + row * hidden, hidden);
    }
  }
  free(y);
  return 1;
}

/* Turn a head's vector back: what `rotate` does, transposed. */
INLINE void rotate_back(float *x, const float *turn, int size) {
  int half = size / 2;
  for (int i = 0; i < half; i++) {
    float a = x[i], b = x[i + half];
    x[i] = a * turn[i] + b * turn[half + i];
    x[i + half] = b * turn[i] - a * turn[half + i];
  }
}

/* Queries, keys and values from the projection [tokens][all heads × size]: units, of which queries and keys are scaled and
 * turned. Without heads of their own, values are the keys' units. */
static int NAME(heads)(const Heads *what) {
  int size = what->size, all = what->heads + what->kv_heads * (what->shared ? 1 : 2);
  for (size_t token = 0; token < (size_t)what->tokens; token++) {
    const float *turn = what->turn + token * size;
    for (int head = 0; head < all; head++) {
      float row[size];
      NAME(widen)((const elem *)what->projected + (token * all + head) * size, size, row);
      float r = unit(row, size, what->eps);
      for (int i = 0; i < size; i++) row[i] *= r;
      int key = head - what->heads, value = what->shared ? key : key - what->kv_heads;
      if (value >= 0) memcpy(what->value + (token * what->kv_heads + value) * size, row, size * sizeof(float));
      if (key >= what->kv_heads) continue;
      const float *scale = key < 0 ? what->query_norm : what->key_norm;
      float *to = key < 0 ? what->query + (token * what->heads + head) * size
                          : what->key + (token * what->kv_heads + key) * size;
      for (int i = 0; i < size; i++) to[i] = row[i] * scale[i];
      rotate(to, turn, size);
    }
  }
  return 1;
}

/* d_projected, and d_query_norm and d_key_norm, to which is added. */
static int NAME(heads_back)(const Heads *what) {
  int size = what->size, all = what->heads + what->kv_heads * (what->shared ? 1 : 2);
  for (size_t token = 0; token < (size_t)what->tokens; token++) {
    const float *turn = what->turn + token * size;
    for (int head = 0; head < all; head++) {
      float row[size], given[size];
      size_t at = (token * all + head) * size;
      NAME(widen)((const elem *)what->projected + at, size, row);
      float r = unit(row, size, what->eps);
      for (int i = 0; i < size; i++) row[i] *= r;
      int key = head - what->heads, value = what->shared ? key : key - what->kv_heads;
      memset(given, 0, sizeof given);
      if (key < what->kv_heads) {
        const float *scale = key < 0 ? what->query_norm : what->key_norm;
        float *d_scale = key < 0 ? what->d_query_norm : what->d_key_norm;
        memcpy(given, key < 0 ? what->d_query + (token * what->heads + head) * size
                              : what->d_key + (token * what->kv_heads + key) * size, size * sizeof(float));
        rotate_back(given, turn, size);
        for (int i = 0; i < size; i++) {
          d_scale[i] += given[i] * row[i];
          given[i] *= scale[i];
        }
      }
      if (value >= 0)
        for (int i = 0; i < size; i++) given[i] += what->d_value[(token * what->kv_heads + value) * size + i];
      through_unit(row, r, given, size, given);
      NAME(narrow)(given, (elem *)what->d_projected + at, size);
    }
  }
  return 1;
}

/* out = x + scale × unit y, and its unit; see `Absorbed`. */
static int NAME(absorb)(const Absorbed *what) {
  int hidden = what->hidden;
  float *y = aligned(hidden * sizeof(float));
  if (!y) return 0;
  for (size_t row = 0; row < (size_t)what->rows; row++) {
    const float *x = what->x + row * hidden;
    float *out = what->out + row * hidden;
    NAME(widen)((const elem *)what->y + row * hidden, hidden, y);
    float r = unit(y, hidden, what->eps);
    for (int i = 0; i < hidden; i++) out[i] = x[i] + r * y[i] * what->scale[i];
    r = unit(out, hidden, what->eps);
    for (int i = 0; i < hidden; i++) y[i] = r * out[i];
    NAME(narrow)(y, (elem *)what->normed + row * hidden, hidden);
  }
  free(y);
  return 1;
}

/* d_x and d_y, and d_scale, to which is added. */
static int NAME(absorb_back)(const Absorbed *what) {
  int hidden = what->hidden;
  float *y = aligned(2 * (size_t)hidden * sizeof(float)), *given = y + hidden;
  if (!y) return 0;
  for (size_t row = 0; row < (size_t)what->rows; row++) {
    const float *out = what->out + row * hidden, *d_out = what->d_out + row * hidden;
    float *d_x = what->d_x + row * hidden, r = unit(out, hidden, what->eps);
    for (int i = 0; i < hidden; i++) y[i] = r * out[i];
    NAME(widen)((const elem *)what->d_normed + row * hidden, hidden, given);
    through_unit(y, r, given, hidden, d_x);
    for (int i = 0; i < hidden; i++) d_x[i] += d_out[i];
    NAME(widen)((const elem *)what->y + row * hidden, hidden, y);
    r = unit(y, hidden, what->eps);
    for (int i = 0; i < hidden; i++) {
      y[i] *= r;
      what->d_scale[i] += d_x[i] * y[i];
      given[i] = d_x[i] * what->scale[i];
    }
    through_unit(y, r, given, hidden, given);
    NAME(narrow)(given, (elem *)what->d_y + row * hidden, hidden);
  }
  free(y);
  return 1;
}

/* The units of a row of the dense MLP's output and of the experts', and that of their scaled sum. */
typedef struct {
  float *dense, *mixed, *both; /* [hidden] */
  float of_dense, of_mixed, of_both; /* 1 / the root mean squares */
} Sum;

static void NAME(sum)(const Combined *what, size_t row, Sum *sum) {
  int hidden = what->hidden;
  const float *mixed = what->mixed + row * hidden;
  NAME(widen)((const elem *)what->dense + row * hidden, hidden, sum->dense);
  sum->of_dense = unit(sum->dense, hidden, what->eps);
  sum->of_mixed = unit(mixed, hidden, what->eps);
  for (int i = 0; i < hidden; i++) {
    sum->dense[i] *= sum->of_dense;
    sum->mixed[i] = mixed[i] * sum->of_mixed;
    sum->both[i] = sum->dense[i] * what->dense_scale[i] + sum->mixed[i] * what->mixed_scale[i];
  }
  sum->of_both = unit(sum->both, hidden, what->eps);
  for (int i = 0; i < hidden; i++) sum->both[i] *= sum->of_both;
}

/* out = factor × (x + scale × unit (dense_scale × unit dense + mixed_scale × unit mixed)). */
static int NAME(combine)(const Combined *what) {
  int hidden = what->hidden;
  float *room = aligned(3 * (size_t)hidden * sizeof(float));
  Sum sum = {.dense = room, .mixed = room + hidden, .both = room + 2 * hidden};
  if (!room) return 0;
  for (size_t row = 0; row < (size_t)what->rows; row++) {
    const float *x = what->x + row * hidden;
    float *out = what->out + row * hidden;
    NAME(sum)(what, row, &sum);
    for (int i = 0; i < hidden; i++) out[i] = (x[i] + sum.both[i] * what->scale[i]) * what->factor;
  }
  free(room);
  return 1;
}

/* d_x, d_dense and d_mixed, and the scales' gradients, to which is added. */
static int NAME(combine_back)(const Combined *what) {
  int hidden = what->hidden;
  float *room = aligned(5 * (size_t)hidden * sizeof(float)), *whole = room + 3 * hidden, *part = room + 4 * hidden;
  Sum sum = {.dense = room, .mixed = room + hidden, .both = room + 2 * hidden};
  if (!room) return 0;
  for (size_t row = 0; row < (size_t)what->rows; row++) {
    const float *d_out = what->d_out + row * hidden;
    float *d_x = what->d_x + row * hidden, *d_mixed = what->d_mixed + row * hidden;
    NAME(sum)(what, row, &sum);
    for (int i = 0; i < hidden; i++) {
      d_x[i] = d_out[i] * what->factor;
      what->d_scale[i] += d_x[i] * sum.both[i];
      whole[i] = d_x[i] * what->scale[i];
    }
    through_unit(sum.both, sum.of_both, whole, hidden, whole);
    for (int i = 0; i < hidden; i++) {
      what->d_dense_scale[i] += whole[i] * sum.dense[i];
      what->d_mixed_scale[i] += whole[i] * sum.mixed[i];
      part[i] = whole[i] * what->dense_scale[i];
      whole[i] *= what->mixed_scale[i];
    }
    through_unit(sum.mixed, sum.of_mixed, whole, hidden, d_mixed);
    through_unit(sum.dense, sum.of_dense, part, hidden, part);
    NAME(narrow)(part, (elem *)what->d_dense + row * hidden, hidden);
  }
  free(room);
  return 1;
}
