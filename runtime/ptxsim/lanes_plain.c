/* lanes_plain.c: lanes.inc for every processor, and the table of what it can do. */
#if defined __GNUC__ && !defined __clang__
#pragma GCC optimize("O3")
#endif
#define LANES_TABLE lanes_plain
#include "lanes.inc"

#define SIZE(T) (uint8_t)sizeof(lane_##T)
const Operation operation[] = {
#define L1(name, class, D, A, value)                                                               \
  {#name, KIND_LANES, CLASS_##class, 1, SIZE(D), {SIZE(A)}},
#define L2(name, class, D, A, B, value)                                                            \
  {#name, KIND_LANES, CLASS_##class, 2, SIZE(D), {SIZE(A), SIZE(B)}},
#define L3(name, class, D, A, B, C, value)                                                         \
  {#name, KIND_LANES, CLASS_##class, 3, SIZE(D), {SIZE(A), SIZE(B), SIZE(C)}},
#define L4(name, class, D, A, B, C, E, value)                                                      \
  {#name, KIND_LANES, CLASS_##class, 4, SIZE(D), {SIZE(A), SIZE(B), SIZE(C), SIZE(E)}},
#define CMP(name, T, value) {#name, KIND_COMPARE, CLASS_integer, 2, 0, {SIZE(T), SIZE(T)}},
#include "ptx.def"
};
const size_t operation_count = COUNT_OF(operation);

const LanesTable *lanes_here(void) {
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &lanes_fast;
#endif
  return &lanes_plain;
}
