/* kernel_reference.h: what a Kernel means, in float64: the oracle of the proof kernels on every
 * target. It walks the description naively and shares nothing with an emitter. */
#ifndef LCW_KERNEL_REFERENCE_H
#define LCW_KERNEL_REFERENCE_H
#include "kernel.h"

/* Runs k on `data`, an array of double per argument, addressed as the description says. */
void kernel_reference(const Kernel *k, double *const *data);

/* Elements from the first to the last that an argument touches, whatever its guards say. */
uint64_t arg_elements(const Kernel *k, uint32_t arg);

#endif
