/* The gradient of the training loss, the cross-entropy of soft-capped scores; behind forward.h. */

/* A row's softmax behind the soft cap, still to be divided by the sum that is returned, and the cap's slopes. */
static float NAME(capped)(const Surprise *what, int row, float *shares, float *slopes) {
  const elem *in = (const elem *)what->scores + (size_t)row * what->vocabulary;
  float cap = what->cap, largest = -1e30f, sum = 0;
  for (int i = 0; i < what->vocabulary; i++) {
    float capped = 1.0f - 2.0f / (1.0f + exponential(2.0f / cap * widened(in[i])));
    shares[i] = cap * capped;
    slopes[i] = 1.0f - capped * capped;
    largest = shares[i] > largest ? shares[i] : largest;
  }
  float right = shares[what->targets[row]] - largest;
  for (int i = 0; i < what->vocabulary; i++) sum += shares[i] = exponential(shares[i] - largest);
  what->losses[row] = logf(sum) - right;
  return sum;
}

/* Scores [rows][vocabulary] before their soft cap become the weighted gradient of the cross-entropy, in place. */
static int NAME(surprise)(const Surprise *what) {
  int vocabulary = what->vocabulary;
  float *shares = aligned(2 * (size_t)vocabulary * sizeof(float)), *slopes = shares + vocabulary;
  if (!shares) return 0;
  for (int row = 0; row < what->rows; row++) {
    float scale = what->weights[row] / NAME(capped)(what, row, shares, slopes);
    for (int i = 0; i < vocabulary; i++) shares[i] *= scale;
    shares[what->targets[row]] -= what->weights[row];
    for (int i = 0; i < vocabulary; i++) shares[i] *= slopes[i];
    NAME(narrow)(shares, (elem *)what->scores + (size_t)row * vocabulary, vocabulary);
  }
  free(shares);
  return 1;
}

/* ---- the same, carried on to what the scores are products of, by the few entries of the gradient that count ---- */

enum { AHEAD = 4 }; /* entries whose weights are fetched from far memory in the meantime */

typedef struct {
  int32_t row, column;
  float slope;
} Entry;

/* The entries of a gradient that are at least a grain, as they are. Smaller ones are summed up on the way, and where the
 * sum has reached another grain the entry is taken for one: with `carried` drawn evenly from 0 … grain each is right on
 * average, as in systematic sampling. The way leads through the same place of each BLOCKth part, one place after the
 * other, whose sums are quickly made: most places have nothing to give.
 *
 * gradient: [BLOCK][places], not negative; totals: [places], room to work in. */
static int NAME(pick)(const float *gradient, int places, float *totals, float grain, float carried, Entry *out) {
  int found = 0;
  memset(totals, 0, places * sizeof(float));
  for (int part = 0; part < BLOCK; part++)
    for (int place = 0; place < places; place++) totals[place] += gradient[part * places + place];
  for (int place = 0; place < places; place++) {
    if (carried + totals[place] < grain) {
      carried += totals[place];
      continue;
    }
    for (int column = place; column < BLOCK * places; column += places) {
      float slope = gradient[column];
      if (slope < grain) {
        carried += slope;
        if (carried < grain) continue;
        carried -= grain;
        slope = grain;
      }
      out[found++] = (Entry){0, column, slope};
    }
  }
  return found;
}

/* d_states[row] = the entries of one row × weight. */
static void NAME(to_state)(const Thinned *what, const Entry *entries, int count, float *out) {
  int hidden = what->hidden;
  memset(out, 0, hidden * sizeof(float));
  for (int k = 0; k < count; k++) {
    const elem *weight = (const elem *)what->weight + (size_t)entries[k].column * hidden;
    const elem *later = (const elem *)what->weight + (size_t)entries[k + AHEAD < count ? k + AHEAD : k].column * hidden;
    float slope = entries[k].slope;
    for (int i = 0; i < hidden; i += 64 / sizeof(elem)) __builtin_prefetch(later + i);
    for (int i = 0; i < hidden; i++) out[i] += slope * widened(weight[i]);
  }
}

/* d_weight += the entries of all rows × states. They are counted and sorted by column, so that each sum is made in cache. */
static void NAME(to_weight)(const Thinned *what, const Entry *entries, int count, int32_t *ends, Entry *sorted) {
  int hidden = what->hidden, vocabulary = what->surprise.vocabulary;
  memset(ends, 0, (vocabulary + 1) * sizeof *ends);
  for (int k = 0; k < count; k++) ends[entries[k].column + 1]++;
  for (int column = 0; column < vocabulary; column++) ends[column + 1] += ends[column];
  for (int k = 0; k < count; k++) sorted[ends[entries[k].column]++] = entries[k];
  for (int k = 0; k < count; k++) {
    float *to = what->d_weight + (size_t)sorted[k].column * hidden, slope = sorted[k].slope;
    const float *state = what->states + (size_t)sorted[k].row * hidden;
    for (int i = 0; i < hidden; i++) to[i] += slope * state[i];
  }
}

static int NAME(thinned)(const Thinned *what) {
  const Surprise *surprise = &what->surprise;
  int vocabulary = surprise->vocabulary, places = blocks_of(vocabulary), columns = places * BLOCK, count = 0;
  size_t most = (size_t)surprise->rows * (size_t)(1.0f / what->grain + 8); /* shares and slopes add up to at most 1 */
  float *shares = aligned(3 * (size_t)columns * sizeof(float)), *slopes = shares + columns, *totals = slopes + columns;
  Entry *entries = aligned(2 * most * sizeof(Entry));
  int32_t *ends = aligned((vocabulary + 1) * sizeof *ends);
  int able = shares && entries && ends;
  for (int row = 0; able && row < surprise->rows; row++) {
    int target = (int)surprise->targets[row], before = count;
    float weight = surprise->weights[row], sum = NAME(capped)(surprise, row, shares, slopes);
    Entry wanted = {row, target, (shares[target] / sum - 1.0f) * slopes[target]};
    shares[target] = 0;
    for (int i = 0; i < vocabulary; i++) shares[i] *= slopes[i] / sum;
    for (int i = vocabulary; i < columns; i++) shares[i] = 0;
    entries[count++] = wanted;
    count += NAME(pick)(shares, places, totals, what->grain, what->offsets[row] * what->grain, entries + count);
    for (int k = before; k < count; k++) {
      entries[k].row = row;
      entries[k].slope *= weight;
    }
    NAME(to_state)(what, entries + before, count - before, what->d_states + (size_t)row * what->hidden);
  }
  if (able) NAME(to_weight)(what, entries, count, ends, entries + most);
  free(shares);
  free(entries);
  free(ends);
  return able;
}
