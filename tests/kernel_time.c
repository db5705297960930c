/* kernel_time.c: how fast the host's kernels are. Prints GFLOP/s beside the peak of fused
 * multiply-adds measured in the same run, on one core, best of many short runs. Not a test.
 * usage: kernel_time [avx512|avx2|baseline] [text of a name] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "kernel_run.h"
#include "proof_kernels.h"

typedef struct { const char *text; Proof proof; ProofShape shape; } Timing;

static const Timing timings[] = {
  {"forward 128x256x256 plain", PROOF_linear_forward, {128, 256, 256, 0, 0, 0, true, false}},
  {"forward 128x256x256 lcw", PROOF_linear_forward, {128, 256, 256, 0, 0, 0, false, false}},
  {"forward 128x256x3072 lcw", PROOF_linear_forward, {128, 3072, 256, 0, 0, 0, false, false}},
  {"forward 128x256x784 lcw", PROOF_linear_forward, {128, 784, 256, 0, 0, 0, false, false}},
  {"forward 128x10x256 lcw", PROOF_linear_forward, {128, 256, 10, 0, 0, 0, false, false}},
  {"dgrad 128x256x256 plain", PROOF_linear_dgrad, {128, 256, 256, 0, 0, 0, true, false}},
  {"dgrad 128x256x256 lcw", PROOF_linear_dgrad, {128, 256, 256, 0, 0, 0, false, false}},
  {"wgrad 256x256x128 plain", PROOF_linear_wgrad, {128, 256, 256, 0, 0, 0, true, false}},
  {"wgrad 256x256x128 lcw", PROOF_linear_wgrad, {128, 256, 256, 0, 0, 0, false, false}},
  {"update 256x256x128 lcw", PROOF_linear_update, {128, 256, 256, 0, 0, 0, false, false}},
  {"update 3072x256x128 lcw", PROOF_linear_update, {128, 3072, 256, 0, 0, 0, false, false}},
  {"conv forward 64->64 32x32 batch 8", PROOF_conv_forward, {8, 64, 64, 32, 0, 0, false, false}},
  {"conv dgrad 64->64 32x32 batch 8", PROOF_conv_dgrad, {8, 64, 64, 32, 1, 1, false, false}},
  {"conv wgrad 64->64 32x32 batch 8", PROOF_conv_wgrad, {8, 64, 64, 32, 0, 0, false, false}},
  {"bn backward 64 channels 32x32 batch 8", PROOF_bn_backward, {8, 64, 64, 32, 0, 0, false, false}},
  {"softmax 128x10", PROOF_softmax_loss, {128, 256, 10, 0, 0, 0, false, false}},
};

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

#define LANES(isa, reg, op)                                                                     \
  __attribute__((target(isa))) static double peak_##reg(void) {                                 \
    const long n = 100000;                                                                      \
    double start = seconds();                                                                   \
    __asm__ volatile("mov %0, %%rcx\n1:\n" op "dec %%rcx\njnz 1b\n" ::"r"(n)                    \
                     : "rcx", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",   \
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm14", "xmm15");                     \
    return (double)n * 12 / (seconds() - start) * 1e-9;                                         \
  }
#define EACH(F) F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11)
#define FMA_Y(i) "vfmadd231ps %%ymm14, %%ymm15, %%ymm" #i "\n"
#define FMA_Z(i) "vfmadd231ps %%zmm14, %%zmm15, %%zmm" #i "\n"
#define ADD_X(i) "addps %%xmm15, %%xmm" #i "\n"
LANES("avx512f", zmm, EACH(FMA_Z))
LANES("avx2,fma", ymm, EACH(FMA_Y))
LANES("sse2", xmm, EACH(ADD_X))

/* GFLOP/s of one core; the baseline's peak is one multiply and one add a cycle and port pair. */
static double peak(const char *isa) {
  double best = 0;
  for (int i = 0; i < 200; i++) {
    double p = !strcmp(isa, "avx512") ? 32 * peak_zmm()
               : !strcmp(isa, "avx2") ? 16 * peak_ymm()
                                      : 8 * peak_xmm();
    if (p > best) best = p;
  }
  return best;
}

static double best_time(const Kernel *k, HostKernel *code, Buffers *b, void *scratch) {
  double best = 1e9, began = seconds();
  for (int run = 0; run < 5 || seconds() - began < 0.3; run++) {
    double start = seconds();
    code(b->arg, 0, k->launch.chunks, scratch);
    double t = seconds() - start;
    if (t < best) best = t;
  }
  return best;
}

static void timing_run(Arena *arena, const Timing *t, const char *isa, double top) {
  Kernel *k = NEW(arena, Kernel);
  Buffers b;
  HostModel model;
  Text why;
  const HostTable *table;
  void *scratch;
  const char *const list[2] = {isa, NULL};
  proof_kernel[t->proof].build(k, &t->shape);
  target_host.tile(k);
  text_init(&why, arena);
  HostJit *jit = NULL;
  if (host_compile(arena, &k, 1, NULL, list, 1, &model, &why))
    jit = host_load(&model, NULL, &table, &why);
  if (!jit || posix_memalign(&scratch, 4096, k->launch.scratch + 64)) {
    printf("%s: %s\n", t->text, why.s ? why.s : "no memory");
    return;
  }
  buffers_fill(arena, k, 1, &b);
  double s = best_time(k, table[0].kernel[0], &b, scratch), rate = (double)k->flops / s * 1e-9;
  double sums = 2e-9 * (double)kernel_extent(k, (uint16_t)((1u << k->naxis) - 1)) / s;
  if (k->kind != KERNEL_CONTRACT) sums = 0;
  printf("%-38s %9.2f us %7.1f GFLOP/s, contraction alone %7.1f = %5.1f %% of peak; compile %.1f + "
         "%.1f + %.1f ms\n",
         t->text, s * 1e6, rate, sums, 100 * sums / top, model.emit_ms, model.optimise_ms,
         model.code_ms);
  free(scratch);
  host_unload(jit);
}

int main(int argc, char **argv) {
  const char *isa = argc > 1 ? argv[1] : host_isa();
  double top = peak(isa);
  printf("%s: peak %.1f GFLOP/s on one core\n", isa, top);
  for (size_t i = 0; i < COUNT_OF(timings); i++) {
    if (argc > 2 && !strstr(timings[i].text, argv[2])) continue;
    Arena arena;
    arena_init(&arena, "timing", 0);
    timing_run(&arena, &timings[i], isa, top);
    arena_release(&arena);
  }
  return 0;
}
