/* x86-64 with AVX-512, in float32. */
#if defined(__x86_64__) && defined(__GNUC__)
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512")

typedef float elem;
#define KIND avx512
#define KIND_NAME "AVX-512"
#define PAIR 1
#define LANES 16
#define TALL 8
#define WIDEST(rows) ((rows) > 6 ? 3 : (rows) > 4 ? 4 : (rows) == 4 ? 6 : 8)
#include "forward.h"
#endif
