/* tiny_cuda.c: see tiny_cuda.h. */
#include "tiny_cuda.h"
#include <stddef.h>
#include <string.h>

__asm__(".section .rodata\n"
        ".global tiny_ptx\n"
        "tiny_ptx: .incbin \"tests/tiny_cuda.ptx\"\n"
        ".byte 0\n"
        ".previous\n");

/* In the order of tiny_plan.c. */
static const struct { const char *symbol; uint32_t grid, block, shared, workspace; } kernel[] = {
    {"tiny_init", TINY_INPUTS, TINY_CLASSES, 0, 0},
    {"tiny_transpose", TINY_CLASSES, TINY_INPUTS, 0, 0},
    {"tiny_forward", TINY_BATCH, TINY_INPUTS, 4 * (TINY_INPUTS + TINY_CLASSES), 0},
    {"tiny_update", TINY_INPUTS, TINY_CLASSES, 0, 0},
    {"tiny_bias", 1, TINY_CLASSES, 0, 0},
    {"tiny_watch", TINY_CLASSES, 1, 0, 4 * (PLAN_TICKETS + 2 * TINY_CLASSES)},
};

TinyPlan *tiny_cuda_plan_new(void) {
  TinyPlan *p = tiny_plan_new();
  for (uint32_t i = 0; p && i < TINY_KERNELS; i++) {
    PlanKernel *k = &p->kernel[i];
    k->symbol = k->name;
    strcpy(p->text.kernel[i], kernel[i].symbol);
    k->grid[0] = kernel[i].grid;
    k->block[0] = kernel[i].block;
    k->grid[1] = k->grid[2] = k->block[1] = k->block[2] = 1;
    k->shared = kernel[i].shared;
    k->workspace = kernel[i].workspace;
    k->scratch = 0;
  }
  return p;
}
