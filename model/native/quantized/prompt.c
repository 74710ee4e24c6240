/* Keys and values of prompts, which grow, shrink and are copied in place. */
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "quantized.h"

API Prompt *quantized_prompt(const Model *model) {
  Prompt *prompt = calloc(1, sizeof *prompt);
  if (prompt) prompt->model = model;
  return prompt;
}

API void quantized_prompt_free(Prompt *prompt) {
  free(prompt->keys);
  free(prompt->values);
  free(prompt);
}

/* Copy the first tokens of all layers and heads into buffers of another capacity; both hold at least so many. */
static void copy_tokens(const Prompt *from, uint16_t *keys, uint16_t *values, int capacity, int tokens) {
  const Shape *s = &from->model->shape;
  size_t heads = (size_t)s->layers * s->kv_heads, columns = heads * (s->head_dim / TILE);
  size_t size = sizeof *keys, key = (size_t)padded(tokens) * s->head_dim, value = (size_t)tokens * TILE;
  for (size_t i = 0; i < heads; i++)
    memcpy(keys + i * capacity * s->head_dim, from->keys + i * from->capacity * s->head_dim, key * size);
  for (size_t i = 0; i < columns; i++)
    memcpy(values + i * capacity * TILE, from->values + i * from->capacity * TILE, value * size);
}

int prompt_reserve(Prompt *prompt, int tokens) {
  if (tokens <= prompt->capacity) return 1;
  const Shape *s = &prompt->model->shape;
  int capacity = padded(tokens > 2 * prompt->capacity ? tokens : 2 * prompt->capacity);
  size_t bytes = (size_t)s->layers * s->kv_heads * capacity * s->head_dim * sizeof *prompt->keys;
  uint16_t *keys = aligned(bytes), *values = aligned(bytes);
  if (!keys || !values) {
    free(keys);
    free(values);
    return 0;
  }
  memset(keys, 0, bytes); /* keys that fill up a tile are scored too, and ignored: they must be numbers */
  if (prompt->length) copy_tokens(prompt, keys, values, capacity, prompt->length);
  free(prompt->keys);
  free(prompt->values);
  prompt->keys = keys, prompt->values = values, prompt->capacity = capacity;
  return 1;
}

API int quantized_length(const Prompt *prompt) { return prompt->length; }

API void quantized_truncate(Prompt *prompt, int length) {
  if (length < prompt->length) prompt->length = length;
}

/* Become the first tokens of another prompt. */
API int quantized_copy(Prompt *prompt, const Prompt *other, int length) {
  prompt->length = 0;
  if (!prompt_reserve(prompt, length)) return 0;
  if (length) copy_tokens(other, prompt->keys, prompt->values, prompt->capacity, length);
  prompt->length = length;
  return 1;
}

static void move_token(const Prompt *prompt, int from, int to) {
  const Shape *s = &prompt->model->shape;
  size_t heads = (size_t)s->layers * s->kv_heads, columns = heads * (s->head_dim / TILE);
  size_t source = (size_t)(from / TILE) * s->head_dim * TILE + from % TILE;
  size_t target = (size_t)(to / TILE) * s->head_dim * TILE + to % TILE;
  for (size_t head = 0; head < heads; head++) {
    uint16_t *keys = prompt->keys + head * prompt->capacity * s->head_dim;
    for (int i = 0; i < s->head_dim; i++) keys[target + i * TILE] = keys[source + i * TILE];
  }
  for (size_t column = 0; column < columns; column++) {
    uint16_t *values = prompt->values + column * prompt->capacity * TILE;
    memcpy(values + (size_t)to * TILE, values + (size_t)from * TILE, TILE * sizeof *values);
  }
}

/* Make these tokens of the last pass, ascending, part of the prompt. */
API void quantized_keep(Prompt *prompt, const int32_t *tokens, int count) {
  int before = prompt->length;
  for (int i = 0; i < count; i++)
    if (tokens[i] != i) move_token(prompt, before + tokens[i], before + i);
  prompt->length = before + count;
}
