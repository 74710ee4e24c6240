/* Models, prompts and threads, and the choice of the code that fits the processor: what native.py calls.
 *
 * A pass is split by rows: every thread runs all layers for its own. The caller is one of the threads; the others sleep
 * between passes. Functions return 0, or NULL, where memory runs out.
 */
#include "dgemma.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define API __attribute__((visibility("default")))

#if defined(__x86_64__) && defined(__GNUC__)
extern const Kind kind_avx512_bf16, kind_avx512, kind_avx2;
#endif
extern const Kind kind_plain;

enum { FEW_ROWS = 8, PATIENCE = 2000, PARTS = 14 };

/* ---- processors ---- */

/* The names of the kinds that run here, the fastest first, separated by commas. */
API const char *dgemma_kinds(void) {
#if defined(__x86_64__) && defined(__GNUC__)
  __builtin_cpu_init();
  int wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (wide && __builtin_cpu_supports("avx512bf16")) return "AVX512-BF16,AVX-512,AVX2,plain";
  if (wide) return "AVX-512,AVX2,plain";
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "AVX2,plain";
#endif
  return "plain";
}

static const Kind *find_kind(const char *name) {
#if defined(__x86_64__) && defined(__GNUC__)
  const Kind *all[] = {&kind_avx512_bf16, &kind_avx512, &kind_avx2, &kind_plain};
#else
  const Kind *all[] = {&kind_plain};
#endif
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (!strcmp(all[i]->name, name)) return all[i];
  return NULL;
}

/* ---- threads ---- */

typedef struct Pool {
  pthread_mutex_t lock;
  pthread_cond_t begun, ended;
  pthread_t *threads;
  int count, working, stop; /* threads beside the caller's; how many of them are at work */
  unsigned round;
  void (*work)(const void *what, int thread, int first, int last);
  const void *what;
  int rows, shares;
  atomic_int arrived;
  atomic_uint turn;
} Pool;

typedef struct {
  Pool *pool;
  int thread;
} Worker;

static void share_out(Pool *pool, int thread) {
  int units = (pool->rows + FEW_ROWS - 1) / FEW_ROWS, shares = pool->shares;
  int first = units * thread / shares * FEW_ROWS, last = units * (thread + 1) / shares * FEW_ROWS;
  pool->work(pool->what, thread, first, last < pool->rows ? last : pool->rows);
}

static void *work(void *argument) {
  Worker worker = *(Worker *)argument;
  Pool *pool = worker.pool;
  free(argument);
  unsigned seen = 0;
  pthread_mutex_lock(&pool->lock);
  for (;;) {
    while (pool->round == seen && !pool->stop) pthread_cond_wait(&pool->begun, &pool->lock);
    if (pool->stop) break;
    seen = pool->round;
    if (worker.thread >= pool->shares) continue;
    pthread_mutex_unlock(&pool->lock);
    share_out(pool, worker.thread);
    pthread_mutex_lock(&pool->lock);
    if (--pool->working == 0) pthread_cond_signal(&pool->ended);
  }
  pthread_mutex_unlock(&pool->lock);
  return NULL;
}

void meet(Model *model) {
  Pool *pool = model->pool;
  if (pool->shares == 1) return;
  unsigned turn = atomic_load(&pool->turn);
  if (atomic_fetch_add(&pool->arrived, 1) == pool->shares - 1) {
    atomic_store(&pool->arrived, 0);
    atomic_store(&pool->turn, turn + 1);
    return;
  }
  for (int tries = 0; atomic_load(&pool->turn) == turn; tries++)
    if (tries > PATIENCE) sched_yield(); /* on a busy machine the other one may be waiting for this core */
}

static void run(Model *model, void (*function)(const void *, int, int, int), const void *what, int rows) {
  Pool *pool = model->pool;
  int units = (rows + FEW_ROWS - 1) / FEW_ROWS;
  pool->work = function, pool->what = what, pool->rows = rows;
  pool->shares = units < pool->count + 1 ? units : pool->count + 1;
  if (pool->shares == 1) {
    share_out(pool, 0);
    return;
  }
  pthread_mutex_lock(&pool->lock);
  pool->working = pool->shares - 1;
  pool->round++;
  pthread_cond_broadcast(&pool->begun);
  pthread_mutex_unlock(&pool->lock);
  share_out(pool, 0);
  pthread_mutex_lock(&pool->lock);
  while (pool->working) pthread_cond_wait(&pool->ended, &pool->lock);
  pthread_mutex_unlock(&pool->lock);
}

static void close_pool(Pool *pool) {
  if (!pool) return;
  pthread_mutex_lock(&pool->lock);
  pool->stop = 1;
  pthread_cond_broadcast(&pool->begun);
  pthread_mutex_unlock(&pool->lock);
  for (int i = 0; i < pool->count; i++) pthread_join(pool->threads[i], NULL);
  free(pool->threads);
  free(pool);
}

static Pool *open_pool(int threads) {
  Pool *pool = calloc(1, sizeof *pool);
  if (!pool) return NULL;
  pthread_mutex_init(&pool->lock, NULL);
  pthread_cond_init(&pool->begun, NULL);
  pthread_cond_init(&pool->ended, NULL);
  pool->threads = calloc(threads, sizeof *pool->threads);
  for (int i = 1; pool->threads && i < threads; i++) {
    Worker *worker = malloc(sizeof *worker);
    if (!worker) break;
    *worker = (Worker){pool, i};
    if (pthread_create(&pool->threads[pool->count], NULL, work, worker)) {
      free(worker); /* fewer threads do it too */
      break;
    }
    pool->count++;
  }
  return pool;
}

/* ---- memory ---- */

void *aligned(size_t bytes) {
  void *memory = NULL;
  return posix_memalign(&memory, 64, bytes ? bytes : 64) ? NULL : memory;
}

void *scratch(Model *model, int thread, size_t bytes) {
  if (model->scratch_size[thread] < bytes) {
    free(model->scratch[thread]);
    model->scratch[thread] = aligned(bytes + bytes / 2);
    if (!model->scratch[thread]) abort(); /* a few megabytes: nothing would go on without them */
    memset(model->scratch[thread], 0, bytes + bytes / 2); /* columns that fill up a block are read, times zero */
    model->scratch_size[thread] = bytes + bytes / 2;
  }
  return model->scratch[thread];
}

static Matrix packed(const Model *model, const float *weight, int out, int in) {
  Matrix matrix = {aligned((size_t)rounded(out) * in * model->kind->size), in, blocks_of(out)};
  if (matrix.data) model->kind->pack(weight, out, in, matrix.data);
  return matrix;
}

static int pack_layer(Model *model, Layer *layer, const float *const *from, float **scales) {
  const Shape *s = &model->shape;
  int projected = (s->heads + (layer->shared ? 1 : 2) * s->kv_heads) * s->head_dim;
  size_t expert = (size_t)s->width * s->hidden, sizes[] = {(size_t)(s->heads + s->kv_heads) * s->head_dim, s->hidden,
                                                           s->hidden, s->hidden, s->hidden};
  const float **to[] = {&layer->turn, &layer->post_attention, &layer->post_mlp, &layer->post_experts, &layer->post};
  layer->qkv = packed(model, from[0], projected, s->hidden);
  layer->out = packed(model, from[1], s->hidden, s->heads * s->head_dim);
  layer->gate = packed(model, from[2], s->dense, s->hidden);
  layer->up = packed(model, from[3], s->dense, s->hidden);
  layer->down = packed(model, from[4], s->hidden, s->dense);
  layer->router = packed(model, from[5], s->experts, s->hidden);
  layer->expert_gate = calloc(3 * s->experts, sizeof(Matrix));
  if (!layer->expert_gate) return 0;
  layer->expert_up = layer->expert_gate + s->experts;
  layer->expert_down = layer->expert_up + s->experts;
  int whole = layer->qkv.data && layer->out.data && layer->gate.data && layer->up.data && layer->down.data && layer->router.data;
  for (int i = 0; i < s->experts; i++) {
    layer->expert_gate[i] = packed(model, from[6] + i * expert, s->width, s->hidden);
    layer->expert_up[i] = packed(model, from[7] + i * expert, s->width, s->hidden);
    layer->expert_down[i] = packed(model, from[8] + i * expert, s->hidden, s->width);
    whole = whole && layer->expert_gate[i].data && layer->expert_up[i].data && layer->expert_down[i].data;
  }
  for (int i = 0; i < 5; i++) {
    memcpy(*scales, from[9 + i], sizes[i] * sizeof(float));
    *to[i] = *scales;
    *scales += sizes[i];
  }
  return whole;
}

/* ---- models ---- */

API void dgemma_free(Model *model) {
  if (!model) return;
  const Shape *s = &model->shape;
  close_pool(model->pool);
  Matrix outside[] = {model->logits, model->believe, model->condition_gate, model->condition_up, model->condition_down};
  for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) free(outside[i].data);
  for (int i = 0; model->layers && i < s->layers; i++) {
    Layer *layer = &model->layers[i];
    Matrix own[] = {layer->qkv, layer->out, layer->gate, layer->up, layer->down, layer->router};
    for (size_t k = 0; k < sizeof own / sizeof *own; k++) free(own[k].data);
    for (int k = 0; layer->expert_gate && k < 3 * s->experts; k++) free(layer->expert_gate[k].data);
    free(layer->expert_gate);
  }
  for (int i = 0; model->scratch && i < model->threads; i++) free(model->scratch[i]);
  free(model->scratch);
  free(model->scratch_size);
  free(model->layers);
  free(model->scales);
  free(model->embedding);
  free(model);
}

/* outside: embedding, scores, beliefs, gate, up, down of self-conditioning, frequencies.
 * layers: for each one PARTS pointers, in the order of pack_layer. All are read, none is kept. */
API Model *dgemma_new(const Shape *shape, const char *kind, int threads, const float *const *outside,
                      const float *const *layers, const float *scalars, const int32_t *shared) {
  Model *model = calloc(1, sizeof *model);
  if (!model) return NULL;
  model->shape = *shape;
  const Shape *s = &model->shape;
  model->kind = find_kind(kind);
  model->threads = threads;
  size_t half = s->head_dim / 2, of_layer = (size_t)(s->heads + s->kv_heads) * s->head_dim + 4 * (size_t)s->hidden;
  model->embedding = model->kind ? aligned((size_t)s->vocabulary * s->hidden * model->kind->size) : NULL;
  model->scales = calloc(half + s->layers * of_layer, sizeof(float));
  model->layers = calloc(s->layers, sizeof(Layer));
  model->scratch = calloc(threads, sizeof(void *));
  model->scratch_size = calloc(threads, sizeof(size_t));
  model->pool = open_pool(threads);
  int whole = model->embedding && model->scales && model->layers && model->scratch && model->scratch_size && model->pool;
  if (whole) {
    model->kind->narrow(outside[0], model->embedding, (size_t)s->vocabulary * s->hidden);
    model->logits = packed(model, outside[1], s->vocabulary, s->hidden);
    model->believe = packed(model, outside[2], s->hidden, s->vocabulary);
    model->condition_gate = packed(model, outside[3], s->dense, s->hidden);
    model->condition_up = packed(model, outside[4], s->dense, s->hidden);
    model->condition_down = packed(model, outside[5], s->hidden, s->dense);
    whole = model->logits.data && model->believe.data && model->condition_gate.data && model->condition_up.data &&
            model->condition_down.data;
    float *scales = model->scales;
    memcpy(scales, outside[6], half * sizeof(float));
    model->frequencies = scales;
    scales += half;
    for (int i = 0; i < s->layers; i++) {
      model->layers[i].scalar = scalars[i];
      model->layers[i].shared = shared[i];
      whole = pack_layer(model, &model->layers[i], layers + (size_t)i * PARTS, &scales) && whole;
    }
  }
  if (whole) return model;
  dgemma_free(model);
  return NULL;
}

/* ---- prompts ---- */

API Prompt *dgemma_prompt(const Model *model) {
  Prompt *prompt = calloc(1, sizeof *prompt);
  if (prompt) prompt->model = model;
  return prompt;
}

API void dgemma_prompt_free(Prompt *prompt) {
  free(prompt->keys);
  free(prompt->values);
  free(prompt);
}

/* Copy the first tokens of all layers and heads into buffers of another capacity; both hold at least so many. */
static void copy_tokens(const Model *model, const Prompt *from, char *keys, char *values, int capacity, int tokens) {
  const Shape *s = &model->shape;
  size_t size = model->kind->size, heads = (size_t)s->layers * s->kv_heads;
  size_t key = s->head_dim * size, value = BLOCK * size, columns = heads * blocks_of(s->head_dim);
  for (size_t i = 0; i < heads; i++)
    memcpy(keys + i * capacity * key, from->keys + i * from->capacity * key, rounded(tokens) * key);
  for (size_t i = 0; i < columns; i++)
    memcpy(values + i * capacity * value, from->values + i * from->capacity * value, rounded(tokens) * value);
}

/* Room for so many tokens; 0 where there is none. */
static int reserve(Prompt *prompt, int tokens) {
  if (tokens <= prompt->capacity) return 1;
  const Shape *s = &prompt->model->shape;
  int capacity = rounded(tokens > 2 * prompt->capacity ? tokens : 2 * prompt->capacity);
  size_t each = (size_t)s->layers * s->kv_heads * capacity * prompt->model->kind->size;
  char *keys = aligned(each * s->head_dim), *values = aligned(each * rounded(s->head_dim));
  if (!keys || !values) {
    free(keys);
    free(values);
    return 0;
  }
  /* What lies behind the end is multiplied too, by zero: it must be a number. */
  memset(keys, 0, each * s->head_dim);
  memset(values, 0, each * rounded(s->head_dim));
  if (prompt->length) copy_tokens(prompt->model, prompt, keys, values, capacity, prompt->length);
  free(prompt->keys);
  free(prompt->values);
  prompt->keys = keys, prompt->values = values, prompt->capacity = capacity;
  return 1;
}

API void dgemma_truncate(Prompt *prompt, int length) {
  if (length < prompt->length) prompt->length = length;
}

/* Become the first tokens of another prompt. */
API int dgemma_copy(Prompt *prompt, const Prompt *other, int length) {
  prompt->length = 0;
  if (!reserve(prompt, length)) return 0;
  if (length) copy_tokens(prompt->model, other, prompt->keys, prompt->values, prompt->capacity, length);
  prompt->length = length;
  return 1;
}

/* ---- passes ---- */

static void run_layers(const void *what, int thread, int first, int last) {
  const Pass *pass = what;
  pass->model->kind->layers(pass, thread, first, last);
}

API int dgemma_run(const Pass *pass) {
  if (!reserve(pass->prompt, pass->prompt->length + pass->rows * pass->tokens)) return 0;
  run(pass->model, run_layers, pass, pass->rows * pass->tokens);
  return 1;
}

API void dgemma_keep(Prompt *prompt, int tokens) { prompt->length += tokens; }

#define OVER_ROWS(name)                                                                                            \
  static void run_##name(const void *what, int thread, int first, int last) {                                      \
    const Rows *rows = what;                                                                                       \
    rows->model->kind->name(rows, thread, first, last);                                                            \
  }                                                                                                                \
  API void dgemma_##name(const Rows *rows) { run(rows->model, run_##name, rows, rows->rows); }

OVER_ROWS(logits)
OVER_ROWS(believe)
OVER_ROWS(soften)

/* ---- training, by the caller's thread alone ---- */

/* ---- training: 0 where there is no memory ---- */

#define TRAINING(name, type)                                                                                       \
  API int dgemma_##name(const char *kind, const type *what) { return find_kind(kind)->name(what); }
TRAINING(attention, Attention)
TRAINING(attention_back, Attention)
TRAINING(unit_rows, UnitRows)
TRAINING(heads, Heads)
TRAINING(heads_back, Heads)
TRAINING(absorb, Absorbed)
TRAINING(absorb_back, Absorbed)
TRAINING(gated, Gated)
TRAINING(blend, Blend)
TRAINING(blend_back, Blend)
TRAINING(combine, Combined)
TRAINING(combine_back, Combined)
TRAINING(surprise, Surprise)
TRAINING(thinned, Thinned)
