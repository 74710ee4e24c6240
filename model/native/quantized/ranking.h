/* Scores over the vocabulary, and what is wanted of them without writing them all down. */

/* The scores of one slice of the vocabulary: out[rows][wide]; its width is returned. */
static int NAME(slice)(const Model *model, int slice, int rows, float *out) {
  int vocabulary = model->shape.vocabulary, left = vocabulary - slice * SLICE;
  int wide = left < SLICE ? left : SLICE;
  NAME(products)(&model->network.output, slice * SLICE / TILE, tiles_of(wide), &model->room.normed, rows, out, SLICE);
  return wide;
}

static void NAME(scores)(const Scores *scores, int thread) {
  const Model *model = scores->model;
  const Desk *desk = &model->desks[thread];
  float *sums = desk->sums;
  int vocabulary = model->shape.vocabulary;
  NAME(norm_all)(model, scores->states, model->network.norm, scores->rows, desk);
  EACH_UNIT(slice, desk, slices_of(vocabulary)) {
    int wide = NAME(slice)(model, slice, scores->rows, sums);
    for (int row = 0; row < scores->rows; row++)
      memcpy(scores->scores + (size_t)row * vocabulary + slice * SLICE, sums + row * SLICE, wide * sizeof(float));
  }
}

INLINE Share share_of(const float *scores, int count) {
  Share share = {-FLT_MAX, 0};
  for (int i = 0; i < count; i++) share.largest = scores[i] > share.largest ? scores[i] : share.largest;
  for (int i = 0; i < count; i++) share.sum += exponential(scores[i] - share.largest);
  return share;
}

/* The best of a slice, the best first; places that stay empty have the lowest score. */
static void NAME(pick)(const float *scores, int wide, int start, int count, int32_t *best, float *best_scores) {
  for (int i = 0; i < count; i++) best[i] = -1, best_scores[i] = -FLT_MAX;
  for (int i = 0; i < wide; i++) {
    int at = count - 1;
    if (scores[i] <= best_scores[at]) continue;
    for (; at > 0 && best_scores[at - 1] < scores[i]; at--) {
      best[at] = best[at - 1];
      best_scores[at] = best_scores[at - 1];
    }
    best[at] = start + i;
    best_scores[at] = scores[i];
  }
}

/* What one slice tells of one row. */
static void NAME(rank_row)(const Ranking *what, int slice, int row, const float *scores, int wide) {
  size_t at = (size_t)slice * what->rows + row;
  int start = slice * SLICE, count = what->best_count;
  what->shares[at] = share_of(scores, wide);
  if (count) NAME(pick)(scores, wide, start, count, what->candidates + at * count, what->candidate_scores + at * count);
  for (int i = row * what->asked_count; i < (row + 1) * what->asked_count; i++)
    if (what->asked[i] >= start && what->asked[i] < start + wide) what->asked_likelihood[i] = scores[what->asked[i] - start];
}

static void NAME(rank)(const Ranking *what, int thread) {
  const Model *model = what->model;
  const Desk *desk = &model->desks[thread];
  float *sums = desk->sums;
  NAME(norm_all)(model, what->states, model->network.norm, what->rows, desk);
  EACH_UNIT(slice, desk, slices_of(model->shape.vocabulary)) {
    int wide = NAME(slice)(model, slice, what->rows, sums);
    for (int row = 0; row < what->rows; row++) NAME(rank_row)(what, slice, row, sums + row * SLICE, wide);
  }
}
