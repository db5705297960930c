/* arrange.h: where every buffer of a Program lies in the arena. */
#ifndef LCW_ARRANGE_H
#define LCW_ARRANGE_H
#include "kernel.h"

enum { ARENA_ALIGN = 64 };

uint64_t buffer_bytes(const Buffer *b);

/* Fills offset[0..nbuffer) and returns the arena's size. Temporaries share memory when their
 * lifetimes (first to last call that names them, within one phase) do not meet. */
uint64_t arrange_buffers(const Program *p, uint64_t *offset, Arena *pass);

#endif
