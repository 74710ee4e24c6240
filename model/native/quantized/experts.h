/* Experts that only masked tokens reach. What they find is added to the state beside what the MLP finds, and all other
 * tokens are computed as if there were none. A matrix holds all experts, one after the other; of those that no token
 * has chosen nothing is read. */

/* The rows of a layer at work whose tokens are masked. */
static int NAME(masked_rows)(const Work *work, int32_t *rows) {
  const Pass *pass = work->pass;
  int count = 0;
  if (!work->layer->router) return 0;
  for (int row = 0; row < work->rows; row++)
    if (pass->ids[token_of(work->which, row)] == pass->model->shape.mask) rows[count++] = row;
  return count;
}

/* Shares of the experts that are chosen, those with the largest scores, which sum to 1; the others' are 0. */
static void NAME(choose)(float *scores, int experts, int chosen, float *shares) {
  float largest = -FLT_MAX, sum = 0;
  for (int expert = 0; expert < experts; expert++) {
    shares[expert] = 0;
    largest = scores[expert] > largest ? scores[expert] : largest;
  }
  for (int k = 0; k < chosen; k++) {
    int best = 0;
    for (int expert = 1; expert < experts; expert++)
      if (scores[expert] > scores[best]) best = expert;
    sum += shares[best] = exponential(scores[best] - largest);
    scores[best] = -FLT_MAX;
  }
  for (int expert = 0; expert < experts; expert++) shares[expert] /= sum;
}

/* One masked row: what the experts get, and the share of each. */
static void NAME(route)(const Model *model, const Layer *layer, const float *x, int index) {
  const Shape *s = &model->shape;
  float scores[s->experts], squares = 0;
  for (int i = 0; i < s->hidden; i++) squares += x[i] * x[i];
  float scale = 1.0f / sqrtf(squares / s->hidden + s->eps);
  for (int expert = 0; expert < s->experts; expert++) {
    float sum = 0;
    for (int i = 0; i < s->hidden; i++) sum += x[i] * layer->expert_norm[i] * layer->router[(size_t)expert * s->hidden + i];
    scores[expert] = sum * scale;
  }
  NAME(choose)(scores, s->experts, s->chosen, model->room.shares + (size_t)index * s->experts);
  NAME(norm)(x, layer->expert_norm, s->eps, &model->room.expert_normed, index);
}

static void NAME(route_all)(const Work *work, const int32_t *rows, int count, const Desk *desk) {
  const Model *model = work->pass->model;
  EACH_UNIT(index, desk, count)
  NAME(route)(model, work->layer, model->room.x + (size_t)rows[index] * model->shape.hidden, index);
  team_meet(desk->team);
}

INLINE int is_chosen(const Model *model, int expert, int count) {
  int found = 0;
  for (int index = 0; index < count; index++) found |= model->room.shares[(size_t)index * model->shape.experts + expert] > 0;
  return found;
}

/* An expert's inner activations, times its share, for all masked rows. */
static void NAME(gate_experts)(const Work *work, int count, const Desk *desk) {
  const Model *model = work->pass->model;
  const Shape *s = &model->shape;
  const Room *room = &model->room;
  float *gates = desk->sums, *ups = desk->sums + (size_t)count * GROUP;
  EACH_UNIT(group, desk, s->experts * s->width / GROUP) {
    int expert = group * GROUP / s->width;
    if (!is_chosen(model, expert, count)) continue;
    NAME(gated)(&work->layer->expert_gate, &work->layer->expert_up, group, &room->expert_normed, count, gates, ups);
    for (int index = 0; index < count; index++) {
      float share = room->shares[(size_t)index * s->experts + expert], *gate = gates + (size_t)index * GROUP;
      for (int i = 0; i < GROUP; i++) gate[i] *= share;
      NAME(round)(gate, GROUP, &room->expert_inner[expert], index, group * GROUP % s->width);
    }
  }
  team_meet(desk->team);
}

/* x[rows] += what the chosen experts find. */
static void NAME(add_experts)(const Work *work, const int32_t *rows, int count, const Desk *desk) {
  const Model *model = work->pass->model;
  int hidden = model->shape.hidden, tiles = tiles_of(hidden);
  EACH_UNIT(tile, desk, tiles)
  for (int expert = 0; expert < model->shape.experts; expert++) {
    if (!is_chosen(model, expert, count)) continue;
    NAME(product)(&work->layer->expert_down, expert * tiles + tile, &model->room.expert_inner[expert], count, desk->sums, TILE);
    for (int index = 0; index < count; index++)
      for (int i = 0; i < TILE; i++)
        model->room.x[(size_t)rows[index] * hidden + tile * TILE + i] += desk->sums[index * TILE + i];
  }
  team_meet(desk->team);
}
