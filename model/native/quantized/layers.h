/* A pass through all layers, as one thread sees it: phases of units that it takes, and a meeting behind each. */

static void NAME(embed)(const Pass *pass, const Desk *desk) {
  const Model *model = pass->model;
  const Shape *s = &model->shape;
  EACH_UNIT(token, desk, pass->tokens) {
    NAME(read_row)(&model->network.embedding, pass->ids[token], model->room.x + (size_t)token * s->hidden);
    NAME(turns)((float)pass->positions[token], model->network.frequencies, s->head_dim / 2,
                model->room.turns + (size_t)token * s->head_dim);
  }
  team_meet(desk->team);
}

static void NAME(norm_all)(const Model *model, const float *x, const float *weights, int rows, const Desk *desk) {
  const Shape *s = &model->shape;
  EACH_UNIT(row, desk, rows) NAME(norm)(x + (size_t)row * s->hidden, weights, s->eps, &model->room.normed, row);
  team_meet(desk->team);
}

/* ---- queries, keys and values ---- */

/* One head's rows of a matrix, with its bias: desk->sums[tokens][head_dim]. */
static void NAME(project_head)(const Pass *pass, const Matrix *matrix, const float *bias, int head, const Desk *desk) {
  int size = pass->model->shape.head_dim;
  NAME(products)(matrix, head * size / TILE, size / TILE, &pass->model->room.normed, pass->tokens, desk->sums, size);
  if (!bias) return;
  for (int token = 0; token < pass->tokens; token++)
    for (int i = 0; i < size; i++) desk->sums[(size_t)token * size + i] += bias[head * size + i];
}

/* Queries of the tokens that go on, turned and scaled. */
static void NAME(query_head)(const Work *work, int head, const Desk *desk) {
  const Shape *s = &work->pass->model->shape;
  const Room *room = &work->pass->model->room;
  int size = s->head_dim, group = s->heads / s->kv_heads;
  float scale = 1.0f / sqrtf((float)size);
  NAME(project_head)(work->pass, &work->layer->query, work->layer->query_bias, head, desk);
  for (int row = 0; row < work->rows; row++) {
    int token = token_of(work->which, row);
    float *query = room->queries + (((size_t)(head / group) * work->rows + row) * group + head % group) * size;
    for (int i = 0; i < size; i++) query[i] = desk->sums[(size_t)token * size + i] * scale;
    rotate(query, room->turns + (size_t)token * size, size);
  }
}

static void NAME(key_head)(const Work *work, int head, const Desk *desk) {
  const Pass *pass = work->pass;
  int size = pass->model->shape.head_dim;
  Memory memory = memory_of(pass->prompt, work->index, head);
  NAME(project_head)(pass, &work->layer->key, work->layer->key_bias, head, desk);
  for (int token = 0; token < pass->tokens; token++) {
    float *key = desk->sums + (size_t)token * size;
    rotate(key, pass->model->room.turns + (size_t)token * size, size);
    NAME(remember_key)(pass->prompt, memory, pass->prompt->length + token, key);
  }
}

static void NAME(value_head)(const Work *work, int head, const Desk *desk) {
  const Pass *pass = work->pass;
  Memory memory = memory_of(pass->prompt, work->index, head);
  NAME(project_head)(pass, &work->layer->value, work->layer->value_bias, head, desk);
  for (int token = 0; token < pass->tokens; token++)
    NAME(remember_value)(pass->prompt, memory, pass->prompt->length + token,
                         desk->sums + (size_t)token * pass->model->shape.head_dim);
}

static void NAME(project)(const Work *work, const Desk *desk) {
  const Model *model = work->pass->model;
  int keys = model->shape.kv_heads, queries = work->rows ? model->shape.heads : 0;
  EACH_UNIT(unit, desk, 2 * keys + queries) {
    if (unit < keys)
      NAME(key_head)(work, unit, desk);
    else if (unit < 2 * keys)
      NAME(value_head)(work, unit - keys, desk);
    else
      NAME(query_head)(work, unit - 2 * keys, desk);
  }
  team_meet(desk->team);
}

/* ---- what follows ---- */

static void NAME(attend_all)(const Work *work, const Desk *desk) {
  const Model *model = work->pass->model;
  int heads = model->shape.kv_heads, chunks = (work->rows + ATTENDING - 1) / ATTENDING;
  EACH_UNIT(unit, desk, heads * chunks) {
    int head = unit % heads, first = (chunks - 1 - unit / heads) * ATTENDING; /* the last ones see most: they begin */
    int count = work->rows - first < ATTENDING ? work->rows - first : ATTENDING;
    NAME(attend)(&(Question){work->pass, memory_of(work->pass->prompt, work->index, head), work->which, head, first,
                             count, work->rows}, desk);
  }
  team_meet(desk->team);
}

/* x[rows] = x[which] + the products of a matrix + bias. */
static void NAME(add_products)(const Model *model, const Matrix *matrix, const float *bias, const Rounded *in, int rows,
                               const int32_t *which, const Desk *desk) {
  int hidden = model->shape.hidden;
  EACH_UNIT(tile, desk, tiles_of(hidden)) {
    float *x = model->room.x + tile * TILE;
    NAME(product)(matrix, tile, in, rows, desk->sums, TILE);
    for (int row = 0; row < rows; row++)
      for (int i = 0; i < TILE; i++) {
        float sum = desk->sums[row * TILE + i] + (bias ? bias[tile * TILE + i] : 0);
        x[(size_t)row * hidden + i] = x[(size_t)token_of(which, row) * hidden + i] + sum;
      }
  }
  team_meet(desk->team);
}

/* inner[rows] = silu(gate) × up, rounded. */
static void NAME(gate_all)(const Model *model, const Layer *layer, int rows, const Desk *desk) {
  const Room *room = &model->room;
  float *gates = desk->sums, *ups = desk->sums + (size_t)rows * GROUP;
  EACH_UNIT(group, desk, model->shape.inner / GROUP) {
    NAME(gated)(&layer->gate, &layer->up, group, &room->normed, rows, gates, ups);
    for (int row = 0; row < rows; row++) NAME(round)(gates + row * GROUP, GROUP, &room->inner, row, group * GROUP);
  }
  team_meet(desk->team);
}

static void NAME(layer)(const Work *work, const Desk *desk) {
  const Model *model = work->pass->model;
  const Layer *layer = work->layer;
  int masked = NAME(masked_rows)(work, desk->masked);
  NAME(norm_all)(model, model->room.x, layer->attention_norm, work->pass->tokens, desk);
  NAME(project)(work, desk);
  if (!work->rows) return;
  NAME(attend_all)(work, desk);
  NAME(add_products)(model, &layer->out, layer->out_bias, &model->room.attended, work->rows, work->which, desk);
  if (masked) NAME(route_all)(work, desk->masked, masked, desk);
  NAME(norm_all)(model, model->room.x, layer->mlp_norm, work->rows, desk);
  NAME(gate_all)(model, layer, work->rows, desk);
  NAME(add_products)(model, &layer->down, NULL, &model->room.inner, work->rows, NULL, desk);
  if (!masked) return;
  NAME(gate_experts)(work, masked, desk);
  NAME(add_experts)(work, desk->masked, masked, desk);
}

static void NAME(pass)(const Pass *pass, int thread) {
  const Model *model = pass->model;
  const Desk *desk = &model->desks[thread];
  int last = model->shape.layers - 1;
  NAME(embed)(pass, desk);
  for (int index = 0; index <= last; index++) {
    Work work = {pass, &model->network.layers[index], NULL, index, pass->tokens};
    if (index == last) work.which = pass->wanted, work.rows = pass->wanted_count;
    NAME(layer)(&work, desk);
  }
}
