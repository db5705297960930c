/* random_kernel.h: random kernels of every kind: any number of axes in any order, permuted and padded
 * layouts, guards, element types, stages, sums. In: a number. Out: a kernel that depends on it
 * alone, well formed, with operands in the domain of every function. */
#ifndef LCW_RANDOM_KERNEL_H
#define LCW_RANDOM_KERNEL_H
#include "kernel.h"

Kernel *kernel_random(Arena *arena, uint32_t number);

#endif
