/* lanes_fast.c: lanes.inc for AVX2 with FMA; on other machines than x86-64 nobody asks for it. */
#include <math.h>
#include <string.h>
#include "part.h"
#ifdef __x86_64__
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma,popcnt,lzcnt,bmi,bmi2"))), apply_to = function)
#else
#pragma GCC optimize("O3")
#pragma GCC target("avx2,fma,popcnt,lzcnt,bmi,bmi2")
#endif
#define LANES_TABLE lanes_fast
#include "lanes.inc"
#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
