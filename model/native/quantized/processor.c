/* What this processor can run. */
#include "processor.h"

#include <string.h>

#include "api.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>

extern const Kind kind_avx512_vnni, kind_avx_vnni, kind_avx2;

/* Some compilers do not know F16C and AVX-VNNI by name. Where AVX2 is there, the system keeps their registers. */
static int has_f16c(void) {
  unsigned a, b, c, d;
  return __get_cpuid(1, &a, &b, &c, &d) && (c >> 29 & 1);
}

static int has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c(); }

static int has_avx_vnni(void) {
  unsigned a, b, c, d;
  return has_avx2() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
}

static int has_avx512_vnni(void) {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vnni");
}
#elif defined(__aarch64__) && defined(__GNUC__)
extern const Kind kind_neon_i8mm, kind_neon_dot;

#if defined(__linux__)
#include <sys/auxv.h>

static int has_dot(void) { return (getauxval(AT_HWCAP) >> 20 & 1); }    /* HWCAP_ASIMDDP */
static int has_i8mm(void) { return (getauxval(AT_HWCAP2) >> 13 & 1); } /* HWCAP2_I8MM */
#elif defined(__APPLE__)
#include <sys/sysctl.h>

static int has(const char *feature) {
  int value = 0;
  size_t size = sizeof value;
  return !sysctlbyname(feature, &value, &size, NULL, 0) && value;
}
static int has_dot(void) { return has("hw.optional.arm.FEAT_DotProd"); }
static int has_i8mm(void) { return has("hw.optional.arm.FEAT_I8MM"); }
#else
static int has_dot(void) { return 0; }
static int has_i8mm(void) { return 0; }
#endif
#endif

extern const Kind kind_plain;

static int always(void) { return 1; }

/* The fastest first. */
static const struct {
  const Kind *kind;
  int (*runs)(void);
} kinds[] = {
#if defined(__x86_64__) && defined(__GNUC__)
    {&kind_avx512_vnni, has_avx512_vnni},
    {&kind_avx_vnni, has_avx_vnni},
    {&kind_avx2, has_avx2},
#elif defined(__aarch64__) && defined(__GNUC__)
    {&kind_neon_i8mm, has_i8mm},
    {&kind_neon_dot, has_dot},
#endif
    {&kind_plain, always},
};

enum { KINDS = sizeof kinds / sizeof *kinds };

const Kind *kind_named(const char *name) {
  for (int i = 0; i < KINDS; i++)
    if (!strcmp(kinds[i].kind->name, name)) return kinds[i].kind;
  return NULL;
}

/* The name of a kind that runs here, the fastest first; NULL behind the last one. */
API const char *quantized_kind(int index) {
  for (int i = 0; i < KINDS; i++)
    if (kinds[i].runs() && index-- == 0) return kinds[i].kind->name;
  return NULL;
}
