/* inspect.h: what a kernel does, in words. In: a Program and a Call of it. Out: the parts that were
 * fused into its kernel, in the order in which it computes them: "forward product", "bias",
 * "sigmoid", "update of v with momentum". Read from the kernel's instructions and from the roles
 * of its buffers, so it says what is emitted, not what was intended. */
#ifndef LCW_INSPECT_H
#define LCW_INSPECT_H
#include "kernel.h"

typedef struct {
  const char **part;
  uint32_t npart, cappart;
} Parts;

/* Adds a part, unless it is there. */
void parts_add(Arena *arena, Parts *p, const char *text);
void kernel_parts(const Program *p, const Call *call, Arena *arena, Parts *out);

#endif
