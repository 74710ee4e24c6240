/* Any other processor, in float32 and registers of four floats (NEON on ARM). */
typedef float elem;
#define KIND plain
#define KIND_NAME "plain"
#define PAIR 1
#define LANES 4
#define TALL 4
#define WIDEST(rows) ((rows) > 1 ? 1 : 2)
#include "forward.h"
