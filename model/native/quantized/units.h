/* How the threads share out a pass. */

/* A layer at work: its index, and which tokens go on behind its keys and values. */
typedef struct {
  const Pass *pass;
  const Layer *layer;
  const int32_t *which; /* tokens; NULL: all of them */
  int index, rows;
} Work;

/* Take units of a phase until none is left. */
#define EACH_UNIT(unit, desk, count)                                                                               \
  for (int unit = team_take((desk)->team, (desk)->thread, count); unit < (count);                                  \
       unit = team_take((desk)->team, (desk)->thread, count))

/* Some columns of silu(gate) × up: gates[rows][GROUP]. */
static void NAME(gated)(const Matrix *gate, const Matrix *up, int group, const Rounded *in, int rows, float *gates,
                        float *ups) {
  NAME(products)(gate, group * GROUP / TILE, GROUP / TILE, in, rows, gates, GROUP);
  NAME(products)(up, group * GROUP / TILE, GROUP / TILE, in, rows, ups, GROUP);
  for (int i = 0; i < rows * GROUP; i++) gates[i] *= ups[i] / (1.0f + exponential(-gates[i]));
}
