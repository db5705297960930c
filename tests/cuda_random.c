/* cuda_random.c: random kernels (random_kernel.h) as CUDA text, compiled by NVRTC and by clang, run
 * on the simulated device with every check, against kernel_eval(). A compiler that is not there is
 * skipped by name.
 * usage: cuda_random [first [count [nvrtc|clang]]]; kernel number n depends on n alone. */
#include "cuda_trial.h"
#include "random_kernel.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 30 }; /* kernels of one program */

typedef struct { uint32_t first, count; } Range;

static void verdict(Count *c, bool good, TrialCompiler compiler, uint32_t number, const char *why) {
  good ? c->passed++ : c->failed++;
  const char *name = trial_compiler[compiler];
  if (!good) printf("FAIL %s\n     again: cuda_random %u 1 %s\n", why, number, name);
}

/* The kernels of a batch; one that has no CUDA text is skipped, and said. */
static uint32_t batch_make(Trial *t, Arena *arena, Count *c, uint32_t first, uint32_t n,
                           Kernel **k) {
  uint32_t made = 0;
  for (uint32_t i = 0; i < n; i++) {
    Text text, why;
    text_init(&text, arena), text_init(&why, arena);
    k[made] = kernel_random(arena, first + i);
    if (!kernel_verify(k[made], &why)) verdict(c, false, t->compiler, first + i, why.s);
    else if (cuda_text(k[made], &t->options, &text, &why)) made++;
    else printf("skip random_%u: %s\n", first + i, why.s), c->skipped++;
  }
  return made;
}

static void batch_run(Trial *t, Count *c, uint32_t first, uint32_t n) {
  Arena arena;
  Text why;
  Kernel *k[BATCH];
  arena_init(&arena, "batch", 0);
  text_init(&why, &arena);
  n = batch_make(t, &arena, c, first, n, k);
  bool compiled = trial_compile(t, &arena, k, n, &why);
  if (!compiled) verdict(c, false, t->compiler, first, why.s);
  for (uint32_t i = 0; i < n && compiled; i++) {
    Arena one;
    Text said;
    uint32_t number = (uint32_t)strtoul(strchr(k[i]->name, '_') + 1, NULL, 10);
    arena_init(&one, "kernel", 0);
    text_init(&said, &one);
    bool same = trial_agrees(t, &one, k[i], number, &said);
    verdict(c, same, t->compiler, number, said.s);
    arena_release(&one);
  }
  arena_release(&arena);
}

static void range_run(Trial *t, Arena *arena, Count *c, const void *range) {
  const Range *r = range;
  (void)arena;
  for (uint32_t i = 0; i < r->count; i += BATCH)
    batch_run(t, c, r->first + i, r->count - i < BATCH ? r->count - i : BATCH);
}

int main(int argc, char **argv) {
  Range range = {1, 120};
  if (argc > 1) range.first = (uint32_t)strtoul(argv[1], NULL, 10);
  if (argc > 2) range.count = (uint32_t)strtoul(argv[2], NULL, 10);
  return trials_run(argc > 3 ? argv[3] : NULL, range_run, &range);
}
