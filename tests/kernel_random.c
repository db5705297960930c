/* kernel_random.c: random kernels (random_kernel.h) compiled for the host, against kernel_eval().
 * usage: kernel_random [first [count [isa]]]; kernel number n depends on n alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kernel_run.h"
#include "random_kernel.h"

/* ---- running -------------------------------------------------------------------------------- */

static bool one_runs(const Kernel *k, HostKernel *code, uint32_t number) {
  Arena arena;
  Text why;
  Buffers b;
  arena_init(&arena, "random", 0);
  text_init(&why, &arena);
  buffers_fill(&arena, k, number, &b);
  bool ok = kernel_agrees(&arena, k, code, &b, &why);
  if (!ok) printf("FAIL %s\n     again: kernel_random %u 1\n", why.s, number);
  arena_release(&arena);
  return ok;
}

static uint32_t batch_run(uint32_t first, uint32_t n, const char *isa) {
  Arena arena;
  Text why;
  HostModel model;
  const HostTable *table = NULL;
  const char *const list[2] = {isa, NULL};
  arena_init(&arena, "batch", 0);
  text_init(&why, &arena);
  Kernel **k = NEW_ARRAY(&arena, Kernel *, n);
  uint32_t failed = 0;
  for (uint32_t i = 0; i < n; i++) {
    k[i] = kernel_random(&arena, first + i);
    target_host.tile(k[i]);
    if (!kernel_verify(k[i], &why)) {
      printf("FAIL kernel %u is not well formed: %s\n", first + i, why.s);
      exit(EXIT_FAILURE);
    }
  }
  HostJit *jit = NULL;
  if (host_compile(&arena, k, n, NULL, list, 2, &model, &why))
    jit = host_load(&model, NULL, &table, &why);
  if (!jit) {
    printf("FAIL %s\n", why.s);
    exit(EXIT_FAILURE);
  }
  for (uint32_t i = 0; i < n; i++) failed += !one_runs(k[i], table[0].kernel[i], first + i);
  host_unload(jit);
  arena_release(&arena);
  return failed;
}

int main(int argc, char **argv) {
  uint32_t first = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1;
  uint32_t count = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 150, failed = 0, run = 0;
  const char *const isa[2] = {argc > 3 ? argv[3] : host_isa(), "baseline"};
  for (uint32_t s = 0; s < 2; s++) {
    if (s && (argc > 3 || !strcmp(isa[0], isa[1]))) break;
    for (uint32_t i = 0; i < count; i += 50) {
      uint32_t n = count - i < 50 ? count - i : 50;
      failed += batch_run(first + i, n, isa[s]);
      run += n;
    }
  }
  printf("%u passed, %u failed, 0 skipped\n", run - failed, failed);
  return failed || !run ? EXIT_FAILURE : EXIT_SUCCESS;
}
