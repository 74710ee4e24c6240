/* x86-64 with AVX-512 and its bfloat16 products. */
#if defined(__x86_64__) && defined(__GNUC__)
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma,prefer-vector-width=512")
#include <immintrin.h>
#include <stdint.h>

typedef uint16_t elem;
#define KIND avx512_bf16
#define KIND_NAME "AVX512-BF16"
#define PAIR 2
#define LANES 16
#define TALL 8
#define WIDEST(rows) ((rows) > 6 ? 3 : (rows) > 4 ? 4 : (rows) == 4 ? 6 : 8)
#include "forward.h"
#endif
