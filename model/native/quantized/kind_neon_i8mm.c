/* AArch64 with products of matrices of bytes: two rows of eight columns times two tokens. */
#if defined(__aarch64__) && defined(__GNUC__)
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("i8mm,dotprod"))), apply_to = function)
#else
#pragma GCC target("arch=armv8.6-a+i8mm+dotprod")
#endif
#include "neon.h"

#define KIND neon_i8mm
#define KIND_NAME "NEON-I8MM"
#define PRODUCTS_OF_A_GROUP "neon_pairs.h"

#include "kind.h"
#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
