/* cuda_counts.c: how contractions use memory, as the simulated device counts it. Forward, dgrad,
 * wgrad and wgrad with the update, with their lcw terms, in every precision and by every tile, on
 * whole tiles:
 *
 *   result      within the error bound of kernel_eval(), under all checks
 *   conflicts   shared memory is passed over as often as it would be without bank conflicts
 *   sectors     asynchronous copies, which are the loop's, read at most 1.05 of what they need
 *
 * usage: cuda_counts [nvrtc|clang]; a compiler that is not there is skipped by name. */
#include "cuda_trial.h"
#include "proof_kernels.h"
#include <stdio.h>

static const Proof role[] = {PROOF_linear_forward, PROOF_linear_dgrad, PROOF_linear_wgrad,
                             PROOF_linear_update};
static const ProofShape whole = {.batch = 128, .in = 128, .out = 128, .copy = true};
static const char *const precision_name[PRECISIONS] = {"fp32", "tf32", "bf16"};
static const uint32_t most_tile[PRECISIONS] = {2, 3, 3};

static Kernel *kernel_make(Arena *arena, Proof which, Precision precision, uint32_t tile) {
  Kernel *k = NEW(arena, Kernel);
  proof_kernel[which].build(k, &whole);
  k->precision = (uint8_t)precision;
  if (precision == PRECISION_BF16) k->arg[k->lhs].dtype = k->arg[k->rhs].dtype = DTYPE_BF16;
  snprintf(k->name, sizeof k->name, "%s_%s_%u", proof_kernel[which].name, precision_name[precision],
           tile);
  return k;
}

static void kernel_check(Trial *t, Arena *arena, Count *c, const Kernel *k) {
  Text why;
  text_init(&why, arena);
  bool good = trial_agrees(t, arena, k, 1, &why);
  const SimCounters *n = trial_counters(t, k->name);
  trial_verdict(c, good && n, t, k->name, good ? "was not counted" : why.s);
  if (!good || !n) return;
  const char *passes = arena_printf(
      arena, "%llu passes over shared memory, %llu without bank conflicts",
      (unsigned long long)n->shared_wavefronts, (unsigned long long)n->shared_ideal);
  const char *sectors = arena_printf(arena, "copies read %llu sectors, %llu are needed",
                                     (unsigned long long)n->copy_sectors,
                                     (unsigned long long)n->copy_ideal);
  bool clear = n->shared_ideal > 0 && n->shared_wavefronts == n->shared_ideal;
  bool lean = n->copy_ideal > 0 && (double)n->copy_sectors <= 1.05 * (double)n->copy_ideal;
  trial_verdict(c, clear, t, k->name, passes);
  trial_verdict(c, lean, t, k->name, sectors);
}

/* The roles by one tile of one precision: a program. */
static void tile_check(Trial *t, Count *c, Precision precision, uint32_t tile) {
  Arena arena;
  Text why;
  Kernel *k[COUNT_OF(role)];
  arena_init(&arena, "program", 0);
  text_init(&why, &arena);
  for (uint32_t i = 0; i < COUNT_OF(role); i++)
    k[i] = kernel_make(&arena, role[i], precision, tile);
  t->options.tile = tile;
  if (!trial_compile(t, &arena, k, COUNT_OF(role), &why))
    trial_verdict(c, false, t, precision_name[precision], why.s);
  else
    for (uint32_t i = 0; i < COUNT_OF(role); i++) kernel_check(t, &arena, c, k[i]);
  arena_release(&arena);
}

static void tiles_check(Trial *t, Arena *arena, Count *c, const void *none) {
  (void)arena, (void)none;
  for (Precision p = PRECISION_FP32; p < PRECISIONS; p++)
    for (uint32_t tile = 1; tile <= most_tile[p]; tile++) tile_check(t, c, p, tile);
}

int main(int argc, char **argv) {
  return trials_run(argc > 1 ? argv[1] : NULL, tiles_check, NULL);
}
