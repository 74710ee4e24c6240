/* The forward pass, for the kind of processor that the including file names:
 *
 *   KIND          suffix of the names
 *   PAIR, elem    2 and bfloat16, or 1 and float: what a matrix is made of
 *   LANES         floats of a register
 *   TALL          rows of the largest tile
 *   WIDEST(rows)  blocks of columns of a tile of so many rows, as the registers allow
 *
 * Activations are float between the products and narrowed to `elem` on the way in. Every thread runs all layers for
 * its own rows; only keys and values are seen by all, so that threads meet once a layer.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dgemma.h"
#include "products.h"

enum { COLUMNS = 6 * BLOCK, QUERIES = 16 };

/* ---- one thread's memory ---- */

typedef struct {
  float *x, *wide, *mixed, *room, *scores, *sums;
  elem *narrow, *inside, *queries, *attended, *gathered, *shares;
  float *weights;
  int32_t *chosen, *members;
} Room;

static size_t NAME(carve)(char **at, size_t count, size_t size, void **part) {
  size_t bytes = (count * size + 63) / 64 * 64;
  if (at) {
    *part = *at;
    *at += bytes;
  }
  return bytes;
}

static size_t NAME(lay)(Room *room, char *at, const Shape *s, int rows, int keys) {
  int projected = (s->heads + 2 * s->kv_heads) * s->head_dim, hidden = rounded(s->hidden);
  int wide = rounded(projected > s->hidden ? projected : s->hidden), inside = rounded(s->dense > s->width ? s->dense : s->width);
  int gated = 2 * COLUMNS;
  char **to = at ? &at : NULL;
  size_t total = 0;
#define CARVE(part, count) total += NAME(carve)(to, (count), sizeof *room->part, (void **)&room->part)
  CARVE(x, (size_t)rows * hidden);
  CARVE(wide, (size_t)rows * (wide > gated ? wide : gated));
  CARVE(mixed, (size_t)rows * hidden);
  CARVE(room, (size_t)2 * (wide > keys ? wide : keys));
  CARVE(scores, (size_t)QUERIES * keys);
  CARVE(sums, (size_t)QUERIES * (rounded(s->head_dim) + 1));
  CARVE(narrow, (size_t)rows * hidden);
  CARVE(inside, (size_t)rows * inside);
  CARVE(queries, (size_t)rows * s->heads * s->head_dim);
  CARVE(attended, (size_t)rows * s->heads * s->head_dim);
  CARVE(gathered, (size_t)rows * hidden);
  CARVE(shares, (size_t)QUERIES * keys);
  CARVE(weights, (size_t)rows * s->top_k);
  CARVE(chosen, (size_t)rows * s->top_k);
  CARVE(members, (size_t)rows);
#undef CARVE
  return total;
}

/* ---- parts of a layer, over the rows of one thread ---- */

/* inside[rows][blocks × BLOCK] = gelu(a × gate) × (a × up), narrowed; a few columns at a time, which stay in cache. */
static void NAME(gate)(const elem *a, size_t a_row, int rows, const Matrix *gate, const Matrix *up, float *room,
                       elem *inside) {
  size_t row_size = (size_t)gate->blocks * BLOCK;
  float *left = room, *right = room + (size_t)rows * COLUMNS;
  for (int block = 0; block < gate->blocks; block += COLUMNS / BLOCK) {
    int blocks = gate->blocks - block < COLUMNS / BLOCK ? gate->blocks - block : COLUMNS / BLOCK;
    size_t block_size = (size_t)gate->in * BLOCK, skipped = block * block_size;
    NAME(product)(a, a_row, rows, (elem *)gate->data + skipped, block_size, gate->in / PAIR, blocks, left, COLUMNS);
    NAME(product)(a, a_row, rows, (elem *)up->data + skipped, block_size, up->in / PAIR, blocks, right, COLUMNS);
    for (int row = 0; row < rows; row++) {
      float *g = left + (size_t)row * COLUMNS, *u = right + (size_t)row * COLUMNS;
      for (int i = 0; i < blocks * BLOCK; i++) g[i] = gelu(g[i]) * u[i];
      NAME(narrow)(g, inside + row * row_size + block * BLOCK, blocks * BLOCK);
    }
  }
}

typedef struct {
  elem *keys, *values;        /* of one layer and head */
  size_t key_block, value_block; /* elements from block to block */
} Memory;

static Memory NAME(memory)(const Prompt *prompt, int layer, int head) {
  const Shape *s = &prompt->model->shape;
  size_t keys = (size_t)prompt->capacity * s->head_dim, values = (size_t)prompt->capacity * rounded(s->head_dim);
  size_t index = (size_t)layer * s->kv_heads + head;
  return (Memory){(elem *)prompt->keys + index * keys, (elem *)prompt->values + index * values,
                  (size_t)s->head_dim * BLOCK, (size_t)prompt->capacity * BLOCK};
}

static void NAME(remember_key)(Memory memory, int at, const float *key, int size) {
  elem *to = memory.keys + at / BLOCK * memory.key_block + at % BLOCK * PAIR;
  for (int i = 0; i < size; i++) to[(size_t)i / PAIR * BLOCK * PAIR + i % PAIR] = narrowed(key[i]);
}

static void NAME(remember_value)(Memory memory, int at, const float *value, int size) {
  size_t inside = (size_t)at / PAIR * BLOCK * PAIR + at % PAIR;
  for (int i = 0; i < size; i++)
    memory.values[i / BLOCK * memory.value_block + inside + i % BLOCK * PAIR] = narrowed(value[i]);
}

/* Turn a head's vector by its position: cosines, then sines, each [size / 2]. */
INLINE void rotate(float *x, const float *turn, int size) {
  int half = size / 2;
  for (int i = 0; i < half; i++) {
    float a = x[i], b = x[i + half];
    x[i] = a * turn[i] - b * turn[half + i];
    x[i + half] = b * turn[i] + a * turn[half + i];
  }
}

/* Queries of the rows, and their keys and values into the prompt's memory. */
static void NAME(project)(const Pass *pass, const Room *room, int index, int first, int rows, const float *turns) {
  const Shape *s = &pass->model->shape;
  const Layer *layer = &pass->model->layers[index];
  int size = s->head_dim, groups = s->heads / s->kv_heads, hidden = rounded(s->hidden);
  size_t row_size = layer->qkv.blocks * BLOCK;
  for (int row = 0; row < rows; row++)
    NAME(normed)(room->x + (size_t)row * hidden, s->hidden, s->eps, room->room, room->narrow + (size_t)row * hidden);
  NAME(times)(room->narrow, hidden, rows, &layer->qkv, room->wide, row_size);
  for (int row = 0; row < rows; row++) {
    float *all = room->wide + row * row_size, value[size];
    const float *turn = turns + (size_t)row * size;
    int at = pass->prompt->length + first + row;
    for (int head = 0; head < s->heads; head++) {
      float *query = all + (size_t)head * size, scale = unit(query, size, s->eps);
      for (int i = 0; i < size; i++) query[i] *= scale * layer->turn[head * size + i];
      rotate(query, turn, size);
      NAME(narrow)(query, room->queries + ((size_t)(head / groups) * rows * groups + row * groups + head % groups) * size, size);
    }
    for (int head = 0; head < s->kv_heads; head++) {
      float *key = all + (size_t)(s->heads + head) * size, scale = unit(key, size, s->eps);
      float *other = all + (size_t)(s->heads + s->kv_heads + head) * size;
      float other_scale = layer->shared ? scale : unit(other, size, s->eps);
      if (layer->shared) other = key;
      for (int i = 0; i < size; i++) value[i] = other[i] * other_scale;
      for (int i = 0; i < size; i++) key[i] *= scale * layer->turn[(s->heads + head) * size + i];
      rotate(key, turn, size);
      Memory memory = NAME(memory)(pass->prompt, index, head);
      NAME(remember_key)(memory, at, key, size);
      NAME(remember_value)(memory, at, value, size);
    }
  }
}

/* Take from the scores [keys] of a pass' token what it must not see of the pass. */
static void NAME(blind)(const Pass *pass, int token, float *scores, int keys) {
  int before = pass->prompt->length, from = token / pass->tokens * pass->tokens;
  int to = pass->causal ? token + 1 : from + pass->tokens;
  if (pass->seen) {
    from = 0, to = pass->tokens;
    for (int i = 0; i < to; i++)
      if (!pass->seen[(size_t)token * to + i]) scores[before + i] = -1e30f;
  }
  for (int i = before; i < before + from; i++) scores[i] = -1e30f;
  for (int i = before + to; i < keys; i++) scores[i] = -1e30f;
}

/* Scores [keys] become shares that are not yet divided by their sum, which is returned. */
static float NAME(softmax)(float *scores, int keys, elem *shares) {
  float largest = -1e30f, sum = 0;
  for (int i = 0; i < keys; i++) largest = scores[i] > largest ? scores[i] : largest;
  for (int i = 0; i < keys; i++) {
    scores[i] = exponential(scores[i] - largest);
    sum += scores[i];
  }
  NAME(narrow)(scores, shares, keys);
  return sum;
}

/* What the rows' queries find: attended[rows][heads × head_dim]. */
static void NAME(attend)(const Pass *pass, const Room *room, int index, int first, int rows) {
  const Shape *s = &pass->model->shape;
  int size = s->head_dim, wide = rounded(size), groups = s->heads / s->kv_heads, before = pass->prompt->length;
  for (int head = 0; head < s->kv_heads; head++) {
    Memory memory = NAME(memory)(pass->prompt, index, head);
    const elem *queries = room->queries + (size_t)head * rows * groups * size;
    for (int query = 0; query < rows * groups; query += QUERIES) {
      int count = rows * groups - query < QUERIES ? rows * groups - query : QUERIES;
      int last = first + (query + count - 1) / groups; /* the last of these rows sees most */
      int to = pass->causal && !pass->seen ? last + 1 : (last / pass->tokens + 1) * pass->tokens, end = before + to;
      int keys = rounded(end);
      NAME(product)
      (queries + (size_t)query * size, size, count, memory.keys, memory.key_block, size / PAIR, keys / BLOCK,
       room->scores, keys);
      float sums[QUERIES];
      for (int i = 0; i < count; i++) {
        float *scores = room->scores + (size_t)i * keys;
        NAME(blind)(pass, first + (query + i) / groups, scores, keys);
        sums[i] = NAME(softmax)(scores, keys, room->shares + (size_t)i * keys);
      }
      NAME(product)
      (room->shares, keys, count, memory.values, memory.value_block, keys / PAIR, wide / BLOCK, room->sums, wide);
      for (int i = 0; i < count; i++) {
        float *found = room->sums + (size_t)i * wide;
        int row = (query + i) / groups, whose = head * groups + (query + i) % groups;
        for (int k = 0; k < size; k++) found[k] /= sums[i];
        NAME(narrow)(found, room->attended + ((size_t)row * s->heads + whose) * size, size);
      }
    }
  }
}

/* The top_k experts of each row and their weights. */
static void NAME(route)(const Shape *s, const Layer *layer, const Room *room, int rows) {
  size_t row_size = (size_t)layer->router.blocks * BLOCK;
  NAME(times)(room->narrow, rounded(s->hidden), rows, &layer->router, room->wide, row_size);
  for (int row = 0; row < rows; row++) {
    float *scores = room->wide + row * row_size, *weights = room->weights + (size_t)row * s->top_k, sum = 0;
    int32_t *chosen = room->chosen + (size_t)row * s->top_k;
    for (int k = 0; k < s->top_k; k++) {
      int best = 0;
      for (int expert = 1; expert < s->experts; expert++)
        if (scores[expert] > scores[best]) best = expert;
      chosen[k] = best;
      weights[k] = scores[best];
      scores[best] = -1e30f;
    }
    float largest = weights[0];
    for (int k = 0; k < s->top_k; k++) sum += weights[k] = exponential(weights[k] - largest);
    for (int k = 0; k < s->top_k; k++) weights[k] /= sum;
  }
}

/* mixed[rows][hidden] = the chosen experts' outputs, each expert once over the rows that chose it. */
static void NAME(mix)(const Shape *s, const Layer *layer, const Room *room, int rows) {
  int hidden = rounded(s->hidden);
  NAME(route)(s, layer, room, rows);
  memset(room->mixed, 0, (size_t)rows * hidden * sizeof(float));
  for (int expert = 0; expert < s->experts; expert++) {
    int count = 0;
    for (int choice = 0; choice < rows * s->top_k; choice++)
      if (room->chosen[choice] == expert) {
        memcpy(room->gathered + (size_t)count * hidden, room->narrow + (size_t)(choice / s->top_k) * hidden,
               hidden * sizeof(elem));
        room->members[count++] = choice;
      }
    if (!count) continue;
    NAME(gate)(room->gathered, hidden, count, &layer->expert_gate[expert], &layer->expert_up[expert], room->wide,
               room->inside);
    NAME(times)(room->inside, (size_t)layer->expert_gate[expert].blocks * BLOCK, count, &layer->expert_down[expert],
                room->wide, hidden);
    for (int member = 0; member < count; member++) {
      float weight = room->weights[room->members[member]];
      float *to = room->mixed + (size_t)(room->members[member] / s->top_k) * hidden;
      const float *from = room->wide + (size_t)member * hidden;
      for (int i = 0; i < s->hidden; i++) to[i] += weight * from[i];
    }
  }
}

/* The rest of a layer behind attention. */
static void NAME(finish)(const Shape *s, const Layer *layer, const Room *room, int rows) {
  int hidden = rounded(s->hidden);
  NAME(times)(room->attended, (size_t)s->heads * s->head_dim, rows, &layer->out, room->wide, hidden);
  for (int row = 0; row < rows; row++) {
    float *x = room->x + (size_t)row * hidden, *y = room->wide + (size_t)row * hidden;
    float scale = unit(y, s->hidden, s->eps);
    for (int i = 0; i < s->hidden; i++) x[i] += y[i] * scale * layer->post_attention[i];
    NAME(normed)(x, s->hidden, s->eps, room->room, room->narrow + (size_t)row * hidden);
  }
  NAME(mix)(s, layer, room, rows);
  NAME(gate)(room->narrow, hidden, rows, &layer->gate, &layer->up, room->wide, room->inside);
  NAME(times)(room->inside, (size_t)layer->gate.blocks * BLOCK, rows, &layer->down, room->wide, hidden);
  for (int row = 0; row < rows; row++) {
    float *x = room->x + (size_t)row * hidden, *dense = room->wide + (size_t)row * hidden;
    float *mixed = room->mixed + (size_t)row * hidden;
    float scale = unit(dense, s->hidden, s->eps), other = unit(mixed, s->hidden, s->eps);
    for (int i = 0; i < s->hidden; i++)
      dense[i] = dense[i] * scale * layer->post_mlp[i] + mixed[i] * other * layer->post_experts[i];
    scale = unit(dense, s->hidden, s->eps);
    for (int i = 0; i < s->hidden; i++) x[i] = (x[i] + dense[i] * scale * layer->post[i]) * layer->scalar;
  }
}

/* ---- what dgemma.c calls ---- */

/* The rows' embeddings; of a canvas with what the last step believed, and with unit root mean square. */
static void NAME(embed)(const Pass *pass, const Room *room, int first, int rows) {
  const Model *model = pass->model;
  const Shape *s = &model->shape;
  int hidden = rounded(s->hidden);
  float root = sqrtf((float)s->hidden);
  for (int row = 0; row < rows; row++) {
    const elem *from = (const elem *)model->embedding + (size_t)pass->ids[first + row] * s->hidden;
    float *x = room->x + (size_t)row * hidden;
    for (int i = 0; i < s->hidden; i++) x[i] = widened(from[i]) * root;
    if (pass->belief)
      NAME(normed)(pass->belief + (size_t)(first + row) * s->hidden, s->hidden, s->eps, room->room,
                   room->narrow + (size_t)row * hidden);
  }
  if (pass->causal) return;
  if (pass->belief) {
    NAME(gate)(room->narrow, hidden, rows, &model->condition_gate, &model->condition_up, room->wide, room->inside);
    NAME(times)(room->inside, (size_t)model->condition_gate.blocks * BLOCK, rows, &model->condition_down, room->wide, hidden);
  }
  for (int row = 0; row < rows; row++) {
    float *x = room->x + (size_t)row * hidden;
    if (pass->belief)
      for (int i = 0; i < s->hidden; i++) x[i] += room->wide[(size_t)row * hidden + i];
    float scale = unit(x, s->hidden, s->eps);
    for (int i = 0; i < s->hidden; i++) x[i] *= scale;
  }
}

static void NAME(layers)(const Pass *pass, int thread, int first, int last) {
  const Shape *s = &pass->model->shape;
  int rows = last - first, hidden = rounded(s->hidden), half = s->head_dim / 2;
  int keys = rounded(pass->prompt->length + pass->rows * pass->tokens);
  Room room;
  size_t bytes = NAME(lay)(&room, NULL, s, rows, keys), turning = (size_t)rows * s->head_dim * sizeof(float);
  char *memory = scratch(pass->model, thread, bytes + turning);
  NAME(lay)(&room, memory, s, rows, keys);
  float *turns = (float *)(memory + bytes);
  for (int row = 0; row < rows; row++)
    for (int i = 0; i < half; i++) {
      float angle = (float)pass->positions[first + row] * pass->model->frequencies[i];
      turns[(size_t)row * s->head_dim + i] = cosf(angle);
      turns[(size_t)row * s->head_dim + half + i] = sinf(angle);
    }
  NAME(embed)(pass, &room, first, rows);
  for (int layer = 0; layer < s->layers; layer++) {
    NAME(project)(pass, &room, layer, first, rows, turns);
    meet(pass->model);
    if (layer == s->layers - 1 && !pass->whole) return;
    NAME(attend)(pass, &room, layer, first, rows);
    NAME(finish)(s, &pass->model->layers[layer], &room, rows);
  }
  for (int row = 0; row < rows; row++)
    memcpy(pass->states + (size_t)(first + row) * s->hidden, room.x + (size_t)row * hidden, s->hidden * sizeof(float));
}

/* Soft-capped scores [rows][vocabulary] of states [rows][hidden]. */
static void NAME(logits)(const Rows *rows, int thread, int first, int last) {
  const Shape *s = &rows->model->shape;
  const Matrix *w = &rows->model->logits;
  int count = last - first, hidden = rounded(s->hidden);
  size_t narrow = ((size_t)count * hidden * sizeof(elem) + 63) / 64 * 64;
  size_t slab = (size_t)count * COLUMNS * sizeof(float);
  char *memory = scratch(rows->model, thread, narrow + slab + hidden * sizeof(float));
  elem *a = (elem *)memory;
  float *columns = (float *)(memory + narrow), *room = (float *)(memory + narrow + slab);
  for (int row = 0; row < count; row++)
    NAME(normed)(rows->in + (size_t)(first + row) * s->hidden, s->hidden, s->eps, room, a + (size_t)row * hidden);
  for (int block = 0; block < w->blocks; block += COLUMNS / BLOCK) {
    int blocks = w->blocks - block < COLUMNS / BLOCK ? w->blocks - block : COLUMNS / BLOCK;
    int wide = s->vocabulary - block * BLOCK < blocks * BLOCK ? s->vocabulary - block * BLOCK : blocks * BLOCK;
    NAME(product)
    (a, hidden, count, (elem *)w->data + (size_t)block * w->in * BLOCK, (size_t)w->in * BLOCK, w->in / PAIR, blocks,
     columns, COLUMNS);
    for (int row = 0; row < count; row++) {
      float *out = rows->out + (size_t)(first + row) * s->vocabulary + block * BLOCK, *in = columns + (size_t)row * COLUMNS;
      for (int i = 0; i < wide; i++) out[i] = s->softcap - 2.0f * s->softcap / (1.0f + exponential(2.0f * in[i]));
    }
  }
}

/* Soft embeddings [rows][hidden] of probabilities [rows][vocabulary]. */
static void NAME(believe)(const Rows *rows, int thread, int first, int last) {
  const Shape *s = &rows->model->shape;
  int count = last - first, hidden = rounded(s->hidden);
  size_t narrow = ((size_t)count * s->vocabulary * sizeof(elem) + 63) / 64 * 64;
  char *memory = scratch(rows->model, thread, narrow + (size_t)count * hidden * sizeof(float));
  elem *a = (elem *)memory;
  float *sums = (float *)(memory + narrow), root = sqrtf((float)s->hidden);
  NAME(narrow)(rows->in + (size_t)first * s->vocabulary, a, (size_t)count * s->vocabulary);
  NAME(times)(a, s->vocabulary, count, &rows->model->believe, sums, hidden);
  for (int row = 0; row < count; row++)
    for (int i = 0; i < s->hidden; i++)
      rows->out[(size_t)(first + row) * s->hidden + i] = sums[(size_t)row * hidden + i] * root;
}

/* Scores [rows][vocabulary] become probabilities, in place; out[rows][2] = the entropy in nats, the likeliest's index. */
static void NAME(soften)(const Rows *rows, int thread, int first, int last) {
  (void)thread;
  int vocabulary = rows->model->shape.vocabulary;
  for (int row = first; row < last; row++) {
    float *scores = (float *)rows->in + (size_t)row * vocabulary, largest = -1e30f, sum = 0, mean = 0;
    for (int i = 0; i < vocabulary; i++) largest = scores[i] > largest ? scores[i] : largest;
    int best = 0;
    while (best < vocabulary - 1 && scores[best] != largest) best++;
    for (int i = 0; i < vocabulary; i++) {
      float distance = scores[i] - largest, share = exponential(distance);
      sum += share;
      mean += share * distance;
      scores[i] = share;
    }
    float scale = 1.0f / sum, entropy = logf(sum) - mean * scale;
    for (int i = 0; i < vocabulary; i++) scores[i] *= scale;
    rows->out[2 * (size_t)row] = entropy > 0 ? entropy : 0;
    rows->out[2 * (size_t)row + 1] = (float)best;
  }
}

#include "attention.h"
#include "experts.h"
#include "layer.h"
#include "loss.h"

const Kind JOIN(kind_, KIND) = {
    .name = KIND_NAME,
    .size = sizeof(elem),
    .pair = PAIR,
    .pack = NAME(pack),
    .narrow = NAME(narrow),
    .layers = NAME(layers),
    .logits = NAME(logits),
    .believe = NAME(believe),
    .soften = NAME(soften),
    .attention = NAME(attention),
    .attention_back = NAME(attention_back),
    .surprise = NAME(surprise),
    .thinned = NAME(thinned),
    .gated = NAME(gated),
    .blend = NAME(blend),
    .blend_back = NAME(blend_back),
    .unit_rows = NAME(unit_rows),
    .heads = NAME(heads),
    .heads_back = NAME(heads_back),
    .absorb = NAME(absorb),
    .absorb_back = NAME(absorb_back),
    .combine = NAME(combine),
    .combine_back = NAME(combine_back),
};
