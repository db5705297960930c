/* kernel_proof.c: the proof of kernel.h on the host: every kernel of proof_kernels.h, at shapes
 * that straddle the tiles, for every instruction set of this machine, against float64 under a
 * running error bound. Instruction sets that the machine lacks are compiled, not run; the shape of
 * avx512 code runs on avx2 all the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kernel_run.h"
#include "proof_kernels.h"

static const ProofShape shapes[] = {
  {.batch = 3, .in = 5, .out = 7, .size = 4},
  {.batch = 7, .in = 24, .out = 33, .size = 6},
  {.batch = 20, .in = 16, .out = 16, .size = 4},
  {.batch = 13, .in = 67, .out = 50, .size = 2},
  {.batch = 131, .in = 64, .out = 10, .size = 2},
  {.batch = 9, .in = 700, .out = 40, .size = 2},
  {.batch = 4, .in = 130, .out = 144, .size = 4},
};

typedef struct { Kernel *kernel; Proof proof; ProofShape shape; } Case;
typedef struct { Case *item; uint32_t n, cap; Kernel **kernel; uint32_t nkernel, capkernel; } Cases;
typedef struct { uint32_t passed, failed, skipped; } Score;

static void case_add(Arena *arena, Cases *all, Proof proof, ProofShape shape) {
  Kernel *k = NEW(arena, Kernel);
  char why_text[32];
  proof_kernel[proof].build(k, &shape);
  snprintf(why_text, sizeof why_text, "_%u", all->nkernel);
  strncat(k->name, why_text, sizeof k->name - strlen(k->name) - 1);
  target_host.tile(k);
  PUSH(arena, all, kernel, k);
  if (all->n == all->cap) {
    uint32_t cap = all->cap ? 2 * all->cap : 64;
    all->item = arena_grow(arena, all->item, all->cap * sizeof *all->item, cap * sizeof *all->item);
    all->cap = cap;
  }
  all->item[all->n++] = (Case){k, proof, shape};
}

static void cases_make(Arena *arena, Cases *all) {
  for (uint32_t p = 0; p < PROOF_COUNT; p++)
    for (uint32_t s = 0; s < COUNT_OF(shapes); s++)
      for (uint32_t v = 0; v < 4; v++) {
        ProofShape shape = shapes[s];
        bool conv = p == PROOF_conv_forward || p == PROOF_conv_wgrad || p == PROOF_conv_dgrad;
        if (conv && shape.in > 200) continue;
        if (p == PROOF_conv_dgrad) shape.row = (int32_t)(v >> 1), shape.column = (int32_t)(v & 1);
        else shape.plain = v & 1, shape.copy = v >> 1;
        if ((p == PROOF_bn_backward || p == PROOF_softmax_loss) && v) continue;
        case_add(arena, all, (Proof)p, shape);
      }
}

/* Labels name classes, iota counts them. */
static void case_fill(const Case *c, Buffers *b) {
  if (c->proof != PROOF_softmax_loss) return;
  for (int32_t i = 0; i < c->shape.batch; i++) ((int32_t *)b->arg[1])[i] = i * 7 % c->shape.out;
  for (int32_t i = 0; i < c->shape.out; i++) ((float *)b->arg[2])[i] = (float)i;
}

static bool case_runs(const Case *c, HostKernel *code, uint32_t number) {
  Arena arena;
  Text why;
  Buffers b;
  arena_init(&arena, "case", 0);
  text_init(&why, &arena);
  buffers_fill(&arena, c->kernel, number * 77 + 1, &b);
  case_fill(c, &b);
  bool ok = kernel_agrees(&arena, c->kernel, code, &b, &why);
  if (!ok) printf("FAIL %s\n", why.s);
  arena_release(&arena);
  return ok;
}

/* True if this machine can run code for `isa`; host_isa() names the best it can. */
static bool can_run(const char *isa) {
  static const char *const order[] = {"baseline", "avx2", "avx512_on_avx2", "avx512"};
  uint32_t best = 0, asked = 0;
  for (uint32_t i = 0; i < COUNT_OF(order); i++) {
    if (!strcmp(order[i], host_isa())) best = i == 1 ? 2 : i;
    if (!strcmp(order[i], isa)) asked = i;
  }
  return asked <= best;
}

static void isa_check(Arena *arena, const Cases *all, const char *isa, Score *score) {
  const char *const list[2] = {isa, NULL};
  HostModel model;
  Text why;
  text_init(&why, arena);
  const HostTable *table = NULL;
  HostJit *jit = NULL;
  if (!host_compile(arena, all->kernel, all->nkernel, NULL, list, 2, &model, &why) ||
      !(jit = host_load(&model, NULL, &table, &why))) {
    printf("FAIL %s: %s\n", isa, why.s);
    score->failed++;
    return;
  }
  printf("%s: %u kernels; emit %.0f ms, optimise %.0f ms, code %.0f ms\n", isa, all->nkernel,
         model.emit_ms, model.optimise_ms, model.code_ms);
  for (uint32_t i = 0; i < all->n; i++) {
    if (!can_run(isa)) score->skipped++;
    else if (case_runs(&all->item[i], table[0].kernel[i], i)) score->passed++;
    else score->failed++;
  }
  host_unload(jit);
}

int main(int argc, char **argv) {
  Arena arena;
  Cases all = {0};
  Score score = {0};
  arena_init(&arena, "proof", 0);
  cases_make(&arena, &all);
  static const char *const isa[] = {"avx512", "avx512_on_avx2", "avx2", "baseline"};
  for (uint32_t i = 0; i < COUNT_OF(isa); i++)
    if (argc < 2 || !strcmp(argv[1], isa[i])) isa_check(&arena, &all, isa[i], &score);
  printf("%u passed, %u failed, %u skipped\n", score.passed, score.failed, score.skipped);
  arena_release(&arena);
  return score.failed || !score.passed ? EXIT_FAILURE : EXIT_SUCCESS;
}
