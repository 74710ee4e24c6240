/* Runs one network with one kind of processor's code and writes down what comes out: driver KIND THREADS JOB RESULT.
 *
 * The job is a row of arrays, each behind its length in bytes (int64), in the order in which they are taken here.
 */
#include <stdio.h>
#include <stdlib.h>

#include "quantized.h"

Model *quantized_new(const Network *network, const char *kind, int threads);
Prompt *quantized_prompt(const Model *model);
void quantized_keep(Prompt *prompt, const int32_t *tokens, int count);
int quantized_run(const Pass *pass);
int quantized_scores(const Scores *scores);
int quantized_rank(const Ranking *ranking);

enum { BEST = 3 };

static void *take(FILE *job, int64_t *size) {
  int64_t bytes;
  if (fread(&bytes, sizeof bytes, 1, job) != 1) exit(2);
  if (size) *size = bytes;
  if (!bytes) return NULL;
  void *memory = aligned(bytes);
  if (!memory || fread(memory, 1, bytes, job) != (size_t)bytes) exit(2);
  return memory;
}

static Matrix take_matrix(FILE *job) {
  const int32_t *sizes = take(job, NULL);
  if (!sizes) return (Matrix){0};
  Matrix matrix = {take(job, NULL), NULL, NULL, sizes[0], sizes[1]};
  matrix.scales = take(job, NULL);
  matrix.minima = take(job, NULL);
  return matrix;
}

static Layer take_layer(FILE *job) {
  Layer layer;
  Matrix *matrices[] = {&layer.query, &layer.key, &layer.value, &layer.out, &layer.gate, &layer.up, &layer.down,
                        &layer.expert_gate, &layer.expert_up, &layer.expert_down};
  const float **vectors[] = {&layer.query_bias, &layer.key_bias,       &layer.value_bias,
                             &layer.out_bias,   &layer.attention_norm, &layer.mlp_norm,
                             &layer.expert_norm, &layer.router};
  for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++) *matrices[i] = take_matrix(job);
  for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) *vectors[i] = take(job, NULL);
  return layer;
}

static Network take_network(FILE *job) {
  Network network = {.shape = *(Shape *)take(job, NULL)};
  network.embedding = take_matrix(job);
  network.output = take_matrix(job);
  network.norm = take(job, NULL);
  network.frequencies = take(job, NULL);
  Layer *layers = calloc(network.shape.layers, sizeof *layers);
  for (int i = 0; i < network.shape.layers; i++) layers[i] = take_layer(job);
  network.layers = layers;
  return network;
}

/* All tokens in two passes, so that the second one reads what the first one remembered. */
static float *run(Model *model, const int32_t *ids, int count, int first) {
  Prompt *prompt = quantized_prompt(model);
  int32_t *places = malloc(count * sizeof *places);
  float *states = malloc((size_t)count * model->shape.hidden * sizeof *states);
  for (int i = 0; i < count; i++) places[i] = i;
  Pass begun = {model, prompt, ids, places, NULL, places, first, first, states};
  Pass ended = {model, prompt, ids + first, places + first, NULL, places, count - first, count - first,
                states + (size_t)first * model->shape.hidden};
  if (!quantized_run(&begun)) exit(3);
  quantized_keep(prompt, places, first);
  if (!quantized_run(&ended)) exit(3);
  return states;
}

int main(int argc, char **argv) {
  if (argc != 5) return 1;
  FILE *job = fopen(argv[3], "rb"), *result = fopen(argv[4], "wb");
  if (!job || !result) return 1;
  Network network = take_network(job);
  int64_t bytes;
  const int32_t *ids = take(job, &bytes);
  int count = (int)(bytes / sizeof *ids), vocabulary = network.shape.vocabulary;
  Model *model = quantized_new(&network, argv[1], atoi(argv[2]));
  if (!model) return 4;
  float *states = run(model, ids, count, count / 2);
  float *scores = malloc((size_t)count * vocabulary * sizeof *scores), likelihood[BEST], asked;
  int32_t best[BEST];
  if (!quantized_scores(&(Scores){model, states, scores, count})) return 5;
  if (!quantized_rank(&(Ranking){model, states, 1, BEST, 1, best, likelihood, ids, &asked, NULL, NULL, NULL})) return 5;
  fwrite(states, sizeof *states, (size_t)count * network.shape.hidden, result);
  fwrite(scores, sizeof *scores, (size_t)count * vocabulary, result);
  fwrite(best, sizeof *best, BEST, result);
  fwrite(likelihood, sizeof *likelihood, BEST, result);
  fwrite(&asked, sizeof asked, 1, result);
  return fclose(result) ? 6 : 0;
}
