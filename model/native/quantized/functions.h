/* Functions of single numbers and rows, written so that the compiler turns loops over them into vectors. */

INLINE float exponential(float x) { /* within 2 units in the last place, 0 far below */
  x = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
  float n = rintf(x * 1.44269504f), r = x - n * 0.693359375f + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  int32_t bits = ((int32_t)n + 127) << 23;
  float power;
  memcpy(&power, &bits, 4);
  return p * power;
}

/* Round one group of activations. */
INLINE void round_group(const float *x, int8_t *codes, float *scale, float *sum) {
  float largest = 0;
  for (int i = 0; i < GROUP; i++) largest = fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
  float steps = largest > 0 ? 127.0f / largest : 0;
  int32_t all = 0;
  for (int i = 0; i < GROUP; i++) {
    int32_t code = (int32_t)rintf(x[i] * steps);
    codes[i] = (int8_t)code;
    all += code;
  }
  *scale = largest / 127.0f;
  *sum = *scale * (float)all;
}

/* Round some groups of one token's row. */
static void NAME(round)(const float *x, int columns, const Rounded *out, int token, int at) {
  for (int i = 0; i < columns / GROUP; i++) {
    size_t group = group_at(out, token, at / GROUP + i);
    round_group(x + i * GROUP, out->codes + group * GROUP, out->scales + group, out->sums + group);
  }
}

/* Scale a row to unit root mean square, then by the norm's weights, and round it. */
static void NAME(norm)(const float *x, const float *weights, float eps, const Rounded *out, int token) {
  float squares = 0, group[GROUP];
  for (int i = 0; i < out->columns; i++) squares += x[i] * x[i];
  float scale = 1.0f / sqrtf(squares / out->columns + eps);
  for (int at = 0; at < out->columns; at += GROUP) {
    for (int i = 0; i < GROUP; i++) group[i] = x[at + i] * scale * weights[at + i];
    NAME(round)(group, GROUP, out, token, at);
  }
}

/* Cosines, then sines of a position's angles. */
static void NAME(turns)(float position, const float *frequencies, int half, float *out) {
  for (int i = 0; i < half; i++) {
    out[i] = cosf(position * frequencies[i]);
    out[half + i] = sinf(position * frequencies[i]);
  }
}

/* Turn a head's vector by a position. */
INLINE void rotate(float *x, const float *turns, int size) {
  int half = size / 2;
  for (int i = 0; i < half; i++) {
    float a = x[i], b = x[i + half];
    x[i] = a * turns[i] - b * turns[half + i];
    x[i + half] = b * turns[i] + a * turns[half + i];
  }
}
