/* The kinds of processors whose code was compiled. */
#include "quantized.h"

/* NULL where there is none of that name. */
const Kind *kind_named(const char *name);
