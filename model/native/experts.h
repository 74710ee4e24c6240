/* What stands around the experts' products while training; behind forward.h.
 *
 * A token's choices are rows that are grouped by expert; `places` tells where each token's are. */

/* sigmoid(z) and z' of the gate whose GELU is gate × sigmoid(z). */
INLINE float opened(float gate) { return 1.0f / (1.0f + exponential(-1.5957691f * (gate + 0.044715f * gate * gate * gate))); }
INLINE float opening(float gate) { return 1.5957691f * (1.0f + 0.134145f * gate * gate); }

/* out[rows][width] = GELU(first half) × second half of in[rows][2 width]; or, given d_out, what becomes of it there. */
static int NAME(gated)(const Gated *what) {
  int width = what->width;
  float *row = aligned(2 * (size_t)width * sizeof(float)), *other = row + width;
  if (!row) return 0;
  for (int i = 0; i < what->rows; i++) {
    const elem *gate = (const elem *)what->in + (size_t)i * 2 * width, *up = gate + width;
    if (!what->d_out) {
      for (int k = 0; k < width; k++) row[k] = widened(gate[k]) * opened(widened(gate[k])) * widened(up[k]);
      NAME(narrow)(row, (elem *)what->out + (size_t)i * width, width);
      continue;
    }
    const elem *given = (const elem *)what->d_out + (size_t)i * width;
    for (int k = 0; k < width; k++) {
      float g = widened(gate[k]), s = opened(g), d = widened(given[k]);
      row[k] = d * widened(up[k]) * s * (1.0f + g * (1.0f - s) * opening(g));
      other[k] = d * g * s;
    }
    NAME(narrow)(row, (elem *)what->out + (size_t)i * 2 * width, 2 * width);
  }
  free(row);
  return 1;
}

/* out[tokens][hidden] = the weighted sum of each token's rows. */
static int NAME(blend)(const Blend *what) {
  int hidden = what->hidden;
  for (int i = 0; i < what->tokens; i++) {
    float *out = what->out + (size_t)i * hidden;
    memset(out, 0, hidden * sizeof(float));
    for (int choice = i * what->top_k; choice < (i + 1) * what->top_k; choice++) {
      const elem *row = (const elem *)what->rows + (size_t)what->places[choice] * hidden;
      float weight = what->weights ? what->weights[choice] : 1.0f;
      for (int k = 0; k < hidden; k++) out[k] += weight * widened(row[k]);
    }
  }
  return 1;
}

/* d_rows and d_weights from d_out. */
static int NAME(blend_back)(const Blend *what) {
  int hidden = what->hidden;
  float *part = aligned(hidden * sizeof(float));
  if (!part) return 0;
  for (int i = 0; i < what->tokens; i++) {
    const float *given = what->d_out + (size_t)i * hidden;
    for (int choice = i * what->top_k; choice < (i + 1) * what->top_k; choice++) {
      size_t at = (size_t)what->places[choice] * hidden;
      const elem *row = (const elem *)what->rows + at;
      float weight = what->weights[choice], likeness = 0;
      for (int k = 0; k < hidden; k++) {
        likeness += given[k] * widened(row[k]);
        part[k] = weight * given[k];
      }
      what->d_weights[choice] = likeness;
      NAME(narrow)(part, (elem *)what->d_rows + at, hidden);
    }
  }
  free(part);
  return 1;
}
