/* What the parts of the quantised runner share: weights as they lie in the file, prompts, and the arguments of a pass.
 *
 * The network is of the Llama and Qwen2 families: RMSNorm, grouped-query attention with rotated halves, a SiLU-gated
 * MLP. kind.h is compiled once for each kind of processor; model.c chooses among them when it runs. None of this knows
 * Python, tokenizers or files: quantized_runner.py says what the arguments mean and keeps the mapped weights alive.
 */
#ifndef QUANTIZED_H
#define QUANTIZED_H

#include <stddef.h>
#include <stdint.h>

enum {
  TILE = 16,             /* rows of a matrix that lie side by side; keys of a prompt that do */
  GROUP = 32,            /* columns that share a scale */
  QUAD = 4,              /* columns whose products one instruction adds */
  QUADS = GROUP / QUAD,
  BYTES = TILE * GROUP,  /* of a group of a tile with eight bits for each weight */
  NIBBLES = BYTES / 2,   /* the same with four */
  TOGETHER = 8,          /* tokens whose activations lie side by side */
  SLICE = 16 * TILE,     /* tokens of the vocabulary that are ranked at once */
  TALLEST = 8,           /* rows of a tile of products on any processor, at most */
  ATTENDING = 4,         /* tokens whose attention is a unit of work */
};

/* A matrix [rows, columns] with a multiple of GROUP columns, filled up with zeros to a multiple of TILE rows.
 *
 * Four bits: [tile][group][QUADS / 2][TILE][QUAD] bytes. The low half belongs to column 4q + e of the group, the high
 * half to column 4q + e + 16; a weight is half × scale + minimum. Eight bits: [tile][group][QUADS][TILE][QUAD] signed
 * bytes; a weight is byte × scale. */
typedef struct {
  const uint8_t *codes;
  const uint16_t *scales, *minima; /* float16 [tile][group][TILE]; no minima: eight bits */
  int32_t rows, columns;
} Matrix;

typedef struct {
  Matrix query, key, value, out, gate, up, down;
  /* Of all experts, one after the other: [experts × width, hidden], and [experts × hidden, width]. */
  Matrix expert_gate, expert_up, expert_down;
  const float *query_bias, *key_bias, *value_bias, *out_bias; /* or NULL */
  const float *attention_norm, *mlp_norm;                     /* [hidden] */
  const float *expert_norm, *router; /* [hidden] and [experts][hidden]; or NULL: the layer has none */
} Layer;

typedef struct {
  int32_t vocabulary, hidden, layers, heads, kv_heads, head_dim, inner; /* inner: width of the MLP */
  int32_t experts, chosen, width; /* of a layer, of them for a token, and the width of one */
  int32_t mask;                   /* the token that reaches them */
  float eps;
} Shape;

typedef struct Kind Kind;
typedef struct Team Team;

/* Weights as they are mapped, norms and biases; they stay where they are and must outlive the model. */
typedef struct {
  Shape shape;
  Matrix embedding, output; /* the same where they are tied */
  const float *norm;        /* of the last states [hidden] */
  const float *frequencies; /* radians of a position [head_dim / 2] */
  const Layer *layers;
} Network;

/* Activations, rounded to eight bits with a scale for each group; TOGETHER tokens stand beside each other. */
typedef struct {
  int8_t *codes; /* [tokens / TOGETHER][columns / GROUP][TOGETHER][GROUP] */
  float *scales; /* [tokens / TOGETHER][columns / GROUP][TOGETHER] */
  float *sums;   /* of what the codes stand for, likewise: a weight's minimum multiplies it */
  int columns;
} Rounded;

/* What the threads of a pass share. */
typedef struct {
  float *x;       /* [tokens][hidden] */
  float *turns;   /* cosines, then sines [tokens][head_dim] */
  float *queries; /* [kv_heads][rows][heads / kv_heads][head_dim] */
  Rounded normed, attended, inner;
  Rounded expert_normed, *expert_inner; /* of masked tokens; the latter of each expert */
  float *shares;                        /* of the experts [masked tokens][experts]; 0: not chosen */
} Room;

/* Where one thread works. */
typedef struct {
  Team *team;
  int thread;
  float *sums;   /* products of a few tiles with all tokens */
  float *scores; /* of a few queries [8][keys] */
  float *found;  /* their answers [8][head_dim] */
  int32_t *masked; /* rows whose tokens are masked [tokens] */
} Desk;

typedef struct {
  Network network;
  Shape shape; /* of the network */
  const Kind *kind;
  Team *team;
  Room room;
  Desk *desks;  /* [threads] */
  char *memory; /* that the room and the desks lie in */
  size_t memory_size;
} Model;

/* Keys [layer][head][capacity / TILE][head_dim][TILE] and values [layer][head][head_dim / TILE][capacity][TILE], both
 * float16: as the products of attention want them. */
typedef struct {
  const Model *model;
  int length, capacity; /* tokens */
  uint16_t *keys, *values;
} Prompt;

typedef struct {
  Model *model;
  Prompt *prompt;
  const int32_t *ids, *positions; /* [tokens] */
  const uint8_t *seen;            /* whether a token sees another [tokens][tokens]; NULL: itself and those before it */
  const int32_t *wanted;          /* tokens whose states are wanted, ascending */
  int32_t tokens, wanted_count;   /* none wanted: the last layer stops at its keys and values */
  float *states;                  /* [wanted][hidden], before the last norm */
} Pass;

typedef struct {
  Model *model;
  const float *states; /* [rows][hidden], before the last norm */
  float *scores;       /* [rows][vocabulary] */
  int32_t rows;
} Scores;

/* What is known of a slice of the vocabulary for one row. */
typedef struct {
  float largest, sum; /* of exp(score - largest) */
} Share;

typedef struct {
  Model *model;
  const float *states; /* [rows][hidden], before the last norm */
  int32_t rows, best_count, asked_count;
  int32_t *best;          /* the likeliest tokens [rows][best_count], the likeliest first */
  float *best_likelihood; /* their log-likelihoods */
  const int32_t *asked;   /* tokens [rows][asked_count]; what is none has no likelihood */
  float *asked_likelihood; /* their log-likelihoods */
  /* Filled in on the way, for each slice: */
  Share *shares;       /* [slices][rows] */
  int32_t *candidates; /* [slices][rows][best_count] */
  float *candidate_scores;
} Ranking;

struct Kind {
  const char *name;
  void (*pass)(const Pass *pass, int thread);
  void (*scores)(const Scores *scores, int thread);
  void (*rank)(const Ranking *ranking, int thread);
};

/* ---- team.c: threads that work on the same thing ---- */

Team *team_open(int threads);
void team_close(Team *team);
int team_size(const Team *team);
/* Let every thread, the caller's among them, do the same work; they share it out by `team_take`. */
void team_run(Team *team, void (*work)(const void *what, int thread), const void *what);
/* A unit of work, 0 … count - 1, that nobody has taken yet; `count` where none is left. A thread takes neighbours: its
 * own share first, then what the others have not got to. */
int team_take(Team *team, int thread, int count);
/* All threads wait here until the last one arrives; then all units can be taken anew. */
void team_meet(Team *team);

/* ---- memory.c ---- */

/* Memory for registers of every width; NULL where there is none. */
void *aligned(size_t bytes);
/* Lay out the model's room and desks for so many tokens, which see so many keys; 0 where memory runs out. */
int make_room(Model *model, int tokens, int keys);
/* The same for the rows of `Scores` or `Ranking`. */
int make_ranking_room(Model *model, int rows);

/* ---- prompt.c ---- */

/* Room for so many tokens; 0 where there is none. */
int prompt_reserve(Prompt *prompt, int tokens);

static inline int tiles_of(int rows) { return (rows + TILE - 1) / TILE; }
static inline int padded(int rows) { return tiles_of(rows) * TILE; }
/* Where a group of a token's activations is, counted in groups. */
static inline size_t group_at(const Rounded *all, int token, int group) {
  return ((size_t)(token / TOGETHER) * (all->columns / GROUP) + group) * TOGETHER + token % TOGETHER;
}
static inline int slices_of(int vocabulary) { return (vocabulary + SLICE - 1) / SLICE; }

#endif
