/* Models and passes, and the choice of the code that fits the processor: what quantized_runner.py calls.
 *
 * Functions return 0, or NULL, where memory runs out.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "processor.h"
#include "quantized.h"

API void quantized_free(Model *model) {
  if (!model) return;
  team_close(model->team);
  free(model->room.expert_inner);
  free(model->desks);
  free(model->memory);
  free(model);
}

API Model *quantized_new(const Network *network, const char *kind, int threads) {
  Model *model = calloc(1, sizeof *model);
  if (!model) return NULL;
  model->network = *network;
  model->shape = network->shape;
  model->kind = kind_named(kind);
  model->team = team_open(threads);
  model->desks = model->team ? calloc(team_size(model->team), sizeof *model->desks) : NULL;
  model->room.expert_inner = calloc(model->shape.experts + 1, sizeof *model->room.expert_inner);
  if (!model->kind || !model->desks || !model->room.expert_inner) {
    quantized_free(model);
    return NULL;
  }
  for (int i = 0; i < team_size(model->team); i++) model->desks[i] = (Desk){.team = model->team, .thread = i};
  return model;
}

/* ---- passes ---- */

static void run_pass(const void *what, int thread) {
  const Pass *pass = what;
  pass->model->kind->pass(pass, thread);
}

/* Run tokens behind a prompt. Their keys and values stand behind its end until the next pass; see quantized_keep. */
API int quantized_run(const Pass *pass) {
  Model *model = pass->model;
  int keys = pass->prompt->length + pass->tokens;
  if (!prompt_reserve(pass->prompt, keys) || !make_room(model, pass->tokens, keys)) return 0;
  team_run(model->team, run_pass, pass);
  if (pass->wanted_count)
    memcpy(pass->states, model->room.x, (size_t)pass->wanted_count * model->shape.hidden * sizeof(float));
  return 1;
}

static void run_scores(const void *what, int thread) {
  const Scores *scores = what;
  scores->model->kind->scores(scores, thread);
}

API int quantized_scores(const Scores *scores) {
  if (!make_ranking_room(scores->model, scores->rows)) return 0;
  team_run(scores->model->team, run_scores, scores);
  return 1;
}

/* ---- ranking ---- */

static void run_rank(const void *what, int thread) {
  const Ranking *ranking = what;
  ranking->model->kind->rank(ranking, thread);
}

/* The logarithm of the sum of a row's exponentials. */
static float whole(const Ranking *ranking, int row) {
  int slices = slices_of(ranking->model->shape.vocabulary);
  const Share *shares = ranking->shares;
  float largest = shares[row].largest;
  double sum = 0;
  for (int slice = 1; slice < slices; slice++) {
    float other = shares[(size_t)slice * ranking->rows + row].largest;
    largest = other > largest ? other : largest;
  }
  for (int slice = 0; slice < slices; slice++) {
    const Share *share = &shares[(size_t)slice * ranking->rows + row];
    sum += share->sum * exp((double)(share->largest - largest));
  }
  return largest + (float)log(sum);
}

/* Put a candidate where it belongs among the best, which are sorted. */
static void insert(int32_t *best, float *scores, int count, int32_t token, float score) {
  int at = count - 1;
  if (score <= scores[at]) return;
  for (; at > 0 && scores[at - 1] < score; at--) {
    best[at] = best[at - 1];
    scores[at] = scores[at - 1];
  }
  best[at] = token;
  scores[at] = score;
}

static void choose(const Ranking *ranking, int row) {
  int count = ranking->best_count, slices = slices_of(ranking->model->shape.vocabulary);
  int32_t *best = ranking->best + (size_t)row * count;
  float *scores = ranking->best_likelihood + (size_t)row * count;
  for (int i = 0; i < count; i++) scores[i] = -FLT_MAX, best[i] = -1;
  for (int slice = 0; slice < slices; slice++) {
    size_t at = ((size_t)slice * ranking->rows + row) * count;
    for (int i = 0; i < count && ranking->candidate_scores[at + i] > scores[count - 1]; i++)
      insert(best, scores, count, ranking->candidates[at + i], ranking->candidate_scores[at + i]);
  }
}

static void settle(const Ranking *ranking, int row) {
  float logarithm = whole(ranking, row);
  float *asked = ranking->asked_likelihood + (size_t)row * ranking->asked_count;
  float *best = ranking->best_likelihood + (size_t)row * ranking->best_count;
  if (ranking->best_count) choose(ranking, row);
  for (int i = 0; i < ranking->best_count; i++) best[i] -= logarithm;
  for (int i = 0; i < ranking->asked_count; i++) asked[i] -= logarithm;
}

API int quantized_rank(const Ranking *asked) {
  Ranking ranking = *asked;
  size_t entries = (size_t)slices_of(ranking.model->shape.vocabulary) * ranking.rows, best = entries * ranking.best_count;
  ranking.shares = malloc(entries * sizeof *ranking.shares);
  ranking.candidates = malloc(best * sizeof *ranking.candidates + 1);
  ranking.candidate_scores = malloc(best * sizeof *ranking.candidate_scores + 1);
  int whole = ranking.shares && ranking.candidates && ranking.candidate_scores &&
              make_ranking_room(ranking.model, ranking.rows);
  if (whole) {
    team_run(ranking.model->team, run_rank, &ranking);
    for (int row = 0; row < ranking.rows; row++) settle(&ranking, row);
  }
  free(ranking.shares);
  free(ranking.candidates);
  free(ranking.candidate_scores);
  return whole;
}
