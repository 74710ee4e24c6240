/* The memory of a pass: laid out anew for each, allocated when one needs more than all before it. */
#include <stdlib.h>
#include <string.h>

#include "quantized.h"

enum { LINE = 64 };

typedef struct {
  char *base; /* NULL: sizes are only counted */
  size_t used;
} Shelf;

void *aligned(size_t bytes) {
  void *memory = NULL;
  return posix_memalign(&memory, LINE, bytes ? bytes : LINE) ? NULL : memory;
}

static void *put(Shelf *shelf, size_t count, size_t size) {
  void *at = shelf->base ? shelf->base + shelf->used : NULL;
  shelf->used += (count * size + LINE - 1) / LINE * LINE;
  return at;
}

static Rounded put_rounded(Shelf *shelf, int tokens, int columns) {
  size_t groups = ((size_t)tokens + TOGETHER - 1) / TOGETHER * TOGETHER * (columns / GROUP);
  int8_t *codes = put(shelf, groups * GROUP, sizeof *codes);
  float *scales = put(shelf, groups, sizeof *scales);
  return (Rounded){codes, scales, put(shelf, groups, sizeof *scales), columns};
}

static void put_room(Shelf *shelf, Model *model, int tokens) {
  const Shape *s = &model->shape;
  int attended = s->heads * s->head_dim;
  Room *room = &model->room;
  room->x = put(shelf, (size_t)tokens * s->hidden, sizeof(float));
  room->turns = put(shelf, (size_t)tokens * s->head_dim, sizeof(float));
  room->queries = put(shelf, (size_t)tokens * attended, sizeof(float));
  room->normed = put_rounded(shelf, tokens, s->hidden);
  room->attended = put_rounded(shelf, tokens, attended);
  room->inner = put_rounded(shelf, tokens, s->inner);
}

static void put_expert_room(Shelf *shelf, Model *model, int tokens) {
  const Shape *s = &model->shape;
  Room *room = &model->room;
  room->expert_normed = put_rounded(shelf, tokens, s->hidden);
  room->shares = put(shelf, (size_t)tokens * s->experts, sizeof *room->shares);
  for (int expert = 0; expert < s->experts; expert++) room->expert_inner[expert] = put_rounded(shelf, tokens, s->width);
}

static void put_desks(Shelf *shelf, Model *model, size_t sums, size_t keys, size_t tokens) {
  for (int thread = 0; thread < team_size(model->team); thread++) {
    Desk *desk = &model->desks[thread];
    desk->sums = put(shelf, sums, sizeof(float));
    desk->scores = put(shelf, TALLEST * keys, sizeof(float));
    desk->found = put(shelf, (size_t)TALLEST * model->shape.head_dim, sizeof(float));
    desk->masked = put(shelf, tokens, sizeof *desk->masked);
  }
}

static void put_all(Shelf *shelf, Model *model, int tokens, int keys) {
  const Shape *s = &model->shape;
  size_t widest = s->head_dim > 2 * GROUP ? s->head_dim : 2 * GROUP;
  put_room(shelf, model, tokens);
  if (s->experts) put_expert_room(shelf, model, tokens);
  put_desks(shelf, model, tokens * widest, padded(keys), tokens);
}

static void put_ranking(Shelf *shelf, Model *model, int rows) {
  model->room.normed = put_rounded(shelf, rows, model->shape.hidden);
  put_desks(shelf, model, (size_t)rows * SLICE, 0, 0);
}

static int provide(Model *model, size_t bytes) {
  if (bytes <= model->memory_size) return 1;
  free(model->memory);
  model->memory = aligned(bytes);
  model->memory_size = model->memory ? bytes : 0;
  return model->memory != NULL;
}

int make_room(Model *model, int tokens, int keys) {
  Shelf counted = {NULL, 0};
  put_all(&counted, model, tokens, keys);
  if (!provide(model, counted.used)) return 0;
  put_all(&(Shelf){model->memory, 0}, model, tokens, keys);
  return 1;
}

int make_ranking_room(Model *model, int rows) {
  Shelf counted = {NULL, 0};
  put_ranking(&counted, model, rows);
  if (!provide(model, counted.used)) return 0;
  put_ranking(&(Shelf){model->memory, 0}, model, rows);
  return 1;
}
