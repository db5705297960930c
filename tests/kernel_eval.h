/* kernel_eval.h: what a Kernel means, in float64, with a running error bound: the oracle of both
 * targets' kernels. In: a kernel and its arguments' bytes. Out: for every element of every
 * argument the value and how far a float32 evaluation in any order of summation may be off. */
#ifndef LCW_KERNEL_EVAL_H
#define LCW_KERNEL_EVAL_H
#include "kernel.h"

typedef struct { double *value, *error; uint64_t n; } Shadow;

/* Elements that an argument's buffer must have. */
uint64_t kernel_arg_elements(const Kernel *k, uint32_t arg);

/* Fills shadow[narg] with what the arguments hold after a launch that found `arg` in them. */
void kernel_eval(Arena *arena, const Kernel *k, void *const *arg, Shadow *shadow);

#endif
