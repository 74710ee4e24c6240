/* x86-64 with AVX2 and FMA, in float32. */
#if defined(__x86_64__) && defined(__GNUC__)
#pragma GCC target("avx2,fma")

typedef float elem;
#define KIND avx2
#define KIND_NAME "AVX2"
#define PAIR 1
#define LANES 8
#define TALL 4
#define WIDEST(rows) ((rows) > 3 ? 1 : (rows) > 1 ? 2 : 4)
#include "forward.h"
#endif
