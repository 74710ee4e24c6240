/* What the parts of the native network share: shapes, packed weights, prompts, and the arguments of one pass.
 *
 * forward.h is compiled once for each kind of processor (forward_*.c); dgemma.c chooses among them when it runs. None
 * of this knows Python, tokenizers or regions; native.py says what the arguments mean.
 */
#ifndef DGEMMA_H
#define DGEMMA_H

#include <stddef.h>
#include <stdint.h>

enum { BLOCK = 16 }; /* output columns of a weight that lie side by side; keys of a prompt that do */

typedef struct {
  int32_t vocabulary, hidden, heads, kv_heads, head_dim, dense, experts, top_k, width, layers;
  float eps, softcap;
} Shape;

/* A matrix [out, in] as [out / BLOCK][in / pair][BLOCK][pair], zeros where `out` is no multiple of BLOCK. */
typedef struct {
  void *data;
  int in, blocks;
} Matrix;

typedef struct {
  Matrix qkv, out, gate, up, down, router;
  Matrix *expert_gate, *expert_up, *expert_down;
  const float *turn;           /* scales of queries and keys [heads + kv_heads][head_dim] */
  const float *post_attention, *post_mlp, *post_experts, *post; /* scales [hidden] */
  float scalar;
  int shared; /* whether the values are the keys before their scale and rotation */
} Layer;

typedef struct Kind Kind;

typedef struct {
  Shape shape;
  const Kind *kind;
  void *embedding; /* [vocabulary][hidden] */
  Matrix logits, believe, condition_gate, condition_up, condition_down;
  const float *frequencies; /* [head_dim / 2] */
  Layer *layers;
  float *scales;            /* owns what the layers' scales point to */
  void **scratch;           /* of each thread */
  size_t *scratch_size;
  struct Pool *pool;
  int threads;
} Model;

/* Keys [layer][head][capacity / BLOCK][head_dim / pair][BLOCK][pair] and values
 * [layer][head][head_dim / BLOCK][capacity / pair][BLOCK][pair]: as weights are, so that one product serves both. */
typedef struct {
  const Model *model;
  int length, capacity; /* tokens */
  char *keys, *values;
} Prompt;

typedef struct {
  Model *model;
  Prompt *prompt;
  const int64_t *ids, *positions; /* [rows × tokens] */
  const float *belief;            /* [rows × tokens][hidden] or NULL */
  int rows, tokens;               /* rows see the prompt and themselves, not each other */
  const uint8_t *seen;            /* of one row: whether a token sees another [tokens][tokens]; NULL: as usual */
  int causal;                     /* of the prompt's kind, not a canvas */
  int whole;                      /* 0: the last layer stops at its keys and values */
  float *states;                  /* [rows × tokens][hidden] */
} Pass;

typedef struct {
  Model *model;
  const float *in;
  float *out;
  int rows;
} Rows;

/* Attention while training: queries [queries][heads][size], keys and values [keys][kv_heads][size], and what each query
 * sees: the keys from … to and from … to [queries][4]. */
typedef struct {
  const float *query, *key, *value;
  const int32_t *ranges;
  int queries, keys, heads, kv_heads, size;
  float *out, *normalisers; /* [queries][heads][size], and the logarithms of the sums [queries][heads] */
  const float *d_out;
  float *d_query, *d_key, *d_value;
} Attention;

typedef struct {
  void *scores; /* [rows][vocabulary], of elements */
  const int64_t *targets;
  const float *weights;
  int rows, vocabulary;
  float cap, *losses; /* nats [rows] */
} Surprise;

/* What the scores' gradient is carried on to, thinned: see loss.h. */
typedef struct {
  Surprise surprise;
  const float *states; /* [rows][hidden] */
  const void *weight;  /* [vocabulary][hidden], of elements */
  const float *offsets; /* 0 … 1, drawn at random [rows] */
  int hidden;
  float grain;     /* the smallest entry that is kept as it is */
  float *d_states; /* [rows][hidden] */
  float *d_weight; /* [vocabulary][hidden], to which is added */
} Thinned;

typedef struct {
  const void *in, *d_out; /* of elements; see experts.h */
  void *out;
  int rows, width;
} Gated;

typedef struct {
  const void *rows; /* [tokens × top_k][hidden], of elements */
  const int64_t *places; /* [tokens][top_k] */
  const float *weights;  /* likewise; NULL: all are 1 */
  int tokens, top_k, hidden;
  float *out;
  const float *d_out;
  void *d_rows;
  float *d_weights;
} Blend;

typedef struct {
  const float *x;    /* [rows][hidden], like all others */
  const void *d_out; /* of elements, like `out`; given: backward */
  void *out;
  float *d_x;
  int rows, hidden;
  float eps;
} UnitRows;

/* Of one layer while training; see layer.h. */
typedef struct {
  const void *projected; /* [tokens][all heads × size], of elements */
  const float *query_norm, *key_norm; /* [size] */
  const float *turn; /* cosines, then sines [tokens][size] */
  int tokens, heads, kv_heads, size, shared;
  float eps;
  float *query, *key, *value; /* [tokens][heads or kv_heads][size] */
  const float *d_query, *d_key, *d_value;
  void *d_projected;
  float *d_query_norm, *d_key_norm;
} Heads;

typedef struct {
  const float *x;     /* [rows][hidden], like all others */
  const void *y;      /* of elements, like `normed`, `d_normed` and `d_y` */
  const float *scale; /* [hidden] */
  int rows, hidden;
  float eps;
  float *out;
  void *normed;
  const float *d_out;
  const void *d_normed;
  float *d_x;
  void *d_y;
  float *d_scale;
} Absorbed;

typedef struct {
  const float *x;    /* [rows][hidden], like all others */
  const void *dense; /* of elements, like d_dense */
  const float *mixed;
  const float *dense_scale, *mixed_scale, *scale; /* [hidden] */
  int rows, hidden;
  float eps, factor;
  float *out;
  const float *d_out;
  float *d_x;
  void *d_dense;
  float *d_mixed, *d_dense_scale, *d_mixed_scale, *d_scale;
} Combined;

struct Kind {
  const char *name;
  int size, pair; /* bytes of an element of a matrix, and how many are multiplied at once */
  void (*pack)(const float *weight, int out, int in, void *packed);
  void (*narrow)(const float *in, void *out, size_t count);
  void (*layers)(const Pass *pass, int thread, int first, int last);
  void (*logits)(const Rows *rows, int thread, int first, int last);
  void (*believe)(const Rows *rows, int thread, int first, int last);
  void (*soften)(const Rows *rows, int thread, int first, int last);
  int (*attention)(const Attention *attention);
  int (*attention_back)(const Attention *attention);
  int (*surprise)(const Surprise *surprise);
  int (*thinned)(const Thinned *thinned);
  int (*gated)(const Gated *gated);
  int (*blend)(const Blend *blend);
  int (*blend_back)(const Blend *blend);
  int (*unit_rows)(const UnitRows *what);
  int (*heads)(const Heads *what);
  int (*heads_back)(const Heads *what);
  int (*absorb)(const Absorbed *what);
  int (*absorb_back)(const Absorbed *what);
  int (*combine)(const Combined *what);
  int (*combine_back)(const Combined *what);
};

/* All threads of a pass wait here until the last one arrives. */
void meet(Model *model);
/* At least so many bytes that belong to the thread until its next call; NULL where there is no memory. */
void *scratch(Model *model, int thread, size_t bytes);

/* Memory for registers of every width; NULL where there is none. */
void *aligned(size_t bytes);

static inline int blocks_of(int count) { return (count + BLOCK - 1) / BLOCK; }
static inline int rounded(int count) { return blocks_of(count) * BLOCK; }

#endif
