/* kernel_keep.c: random numbers that are kept in an output (compiler/lower/keep.c). Each row of
 * `trial` is a ROW kernel, y = x + sum of x, x made of random numbers and made again by the second
 * stage. In one form y can hold x, in the other it was something before and cannot. Both are
 * compiled, agree with kernel_eval() and leave the same bits; how often they make random numbers is
 * counted. */
#include "graph.h"
#include "kernel_run.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 37, LENGTH = 45, ACROSS = 1, GUARDED = 2, PLAIN = 4 };

/* What x is made of, and how many RANDOMs are left in a kernel that may keep them. */
static const struct { const char *name; Scalar fn; int how; uint32_t left; } trial[] = {
    {"a square root", S_sqrt, 0, 1},
    {"rows that lie in lanes", S_sqrt, ACROSS, 1},
    {"a product, rounded with the sum", S_mul, 0, 1},
    {"an output with a guard", S_sqrt, GUARDED, 2},
    {"nothing random", S_sqrt, PLAIN, 0},
};
enum { TRIALS = sizeof trial / sizeof *trial };

static uint16_t add(Kernel *k, Instr n) {
  k->instr[k->ninstr] = n;
  return k->ninstr++;
}

/* x of the stage: the function of a random number, or of what is loaded. */
static uint16_t value_add(Kernel *k, uint8_t stage, Scalar fn, bool plain) {
  Instr from = {.op = plain ? I_LOAD : I_RANDOM, .stage = stage, .a = plain ? 2 : 0, .b = 1, .c = 2};
  uint16_t random = add(k, from);
  uint16_t c = add(k, (Instr){.op = I_CONST, .stage = stage, .k = 1.7f});
  return add(k, (Instr){.op = I_SCALAR, .stage = stage, .fn = (uint8_t)fn, .a = random, .b = c});
}

/* The kernel of a trial; `before`: y was something before. */
static Kernel *kernel_make(Arena *arena, uint32_t i, bool before) {
  Kernel *k = NEW(arena, Kernel);
  int64_t p = trial[i].how & ACROSS ? LENGTH : 1, r = trial[i].how & ACROSS ? 1 : ROWS;
  k->kind = KERNEL_ROW, k->naxis = 2, k->nstage = 2, k->space[0] = k->space[1] = 3;
  k->part[0] = PART_P, k->extent[0] = ROWS, k->part[1] = PART_R, k->extent[1] = LENGTH;
  snprintf(k->name, sizeof k->name, "keep%u_%d", i, before);
  k->arg[0] = k->arg[1] = (Arg){.dtype = DTYPE_U32, .use = ARG_READ};
  k->arg[2] = (Arg){.use = ARG_READ, .stride = {p, r}};
  k->arg[3] = (Arg){.use = before ? ARG_READ | ARG_WRITE : ARG_WRITE, .stride = {p, r}};
  k->narg = 4;
  if (trial[i].how & GUARDED)
    k->arg[3].nguard = 1, k->arg[3].guard[0] = (Guard){.coef = {1}, .extent = ROWS};
  uint16_t x = value_add(k, 0, trial[i].fn, trial[i].how & PLAIN);
  uint16_t sum = add(k, (Instr){.op = I_REDUCE, .fn = S_add, .a = x, .axes = 2});
  uint16_t again = value_add(k, 1, trial[i].fn, trial[i].how & PLAIN);
  uint16_t y = add(k, (Instr){.op = I_SCALAR, .stage = 1, .fn = S_add, .a = again, .b = sum});
  add(k, (Instr){.op = I_STORE, .stage = 1, .a = y, .b = 3});
  target_host.tile(k);
  return k;
}

static uint32_t randoms_count(const Kernel *k) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < k->ninstr; i++) n += k->instr[i].op == I_RANDOM;
  return n;
}

/* Both forms of a trial on equal buffers: NULL if all is as it should be. */
static const char *trial_run(Arena *arena, uint32_t i, Kernel *const k[2], HostKernel *const code[2],
                             Text *why) {
  Buffers b[2];
  uint32_t most = trial[i].how & PLAIN ? 0 : 2;
  for (uint32_t form = 0; form < 2; form++) {
    if (!kernel_verify(k[form], why)) return why->s;
    buffers_fill(arena, k[form], i + 1, &b[form]);
    memcpy(b[form].arg[3], b[0].arg[3], b[0].bytes[3]);
    if (!kernel_agrees(arena, k[form], code[form], &b[form], why)) return why->s;
  }
  if (randoms_count(k[0]) != trial[i].left) return "it makes random numbers more or less often";
  if (randoms_count(k[1]) != most) return "it keeps them where something else was";
  return memcmp(b[0].arg[3], b[1].arg[3], b[0].bytes[3]) ? "the bits differ" : NULL;
}

static uint32_t isa_check(Arena *arena, const char *isa) {
  Kernel *k[TRIALS][2];
  HostModel model;
  Text why;
  const HostTable *table = NULL;
  HostJit *jit = NULL;
  const char *const list[2] = {isa, NULL};
  uint32_t failed = 0;
  text_init(&why, arena);
  for (uint32_t i = 0; i < 2 * TRIALS; i++) k[i / 2][i % 2] = kernel_make(arena, i / 2, i % 2);
  if (host_compile(arena, k[0], 2 * TRIALS, NULL, list, 2, &model, &why))
    jit = host_load(&model, NULL, &table, &why);
  if (!jit) return printf("FAIL %s: %s\n", isa, why.s), TRIALS;
  for (uint32_t i = 0; i < TRIALS; i++) {
    const char *wrong = trial_run(arena, i, k[i], table[0].kernel + 2 * i, &why);
    failed += wrong != NULL;
    printf("%s %s: %s%s%s\n", wrong ? "FAIL" : "ok  ", isa, trial[i].name, wrong ? ": " : "",
           wrong ? wrong : "");
  }
  host_unload(jit);
  return failed;
}

int main(void) {
  Arena arena;
  const char *const isa[2] = {host_isa(), "baseline"};
  uint32_t isas = strcmp(isa[0], isa[1]) ? 2 : 1, failed = 0;
  arena_init(&arena, "keep", 0);
  for (uint32_t i = 0; i < isas; i++) failed += isa_check(&arena, isa[i]);
  printf("%u passed, %u failed, 0 skipped\n", isas * TRIALS - failed, failed);
  arena_release(&arena);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
