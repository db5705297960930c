/* kernel_run.h: runs a compiled kernel in this process and holds it against kernel_eval(). */
#ifndef LCW_KERNEL_RUN_H
#define LCW_KERNEL_RUN_H
#include "kernel_eval.h"
#include "target.h"

/* Buffers of a kernel, each between canaries, with random contents that suit its types. */
typedef struct { void *arg[MAX_ARG]; uint64_t bytes[MAX_ARG]; } Buffers;

void buffers_fill(Arena *arena, const Kernel *k, uint32_t seed, Buffers *b);
/* Of a contraction in tf32: its operands are what tf32 holds of them. */
void buffers_round(const Kernel *k, Buffers *b);

/* Compares all elements of all arguments with what kernel_eval() made of their contents before, and
 * the canaries. False and a line in `why` at the first difference. */
bool buffers_agree(const Kernel *k, const Shadow *shadow, const Buffers *b, Text *why);

/* Launches every chunk, the last one first, with poisoned scratch; compares. */
bool kernel_agrees(Arena *arena, const Kernel *k, HostKernel *code, Buffers *b, Text *why);

#endif
