/* kernel_math.c: every row of scalars.def as a kernel, on a million operands of all sizes and on
 * the edges (zeros, infinities, NaN, the smallest and the largest), against the C library in
 * double: at most 4 units in the last place, exact where one rounding is. A result below the
 * smallest normal number may be 0; sines are asked up to 2^29. Prints the largest error. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "graph.h" /* Scalar, scalartab */
#include "operand.h"
#include "target.h"

enum { N = 1 << 18 };

static double reference(uint32_t fn, double a, double b, double c) {
  switch ((Scalar)fn) {
  case S_add: return a + b;
  case S_sub: return a - b;
  case S_mul: return a * b;
  case S_div: return a / b;
  case S_min: return a < b ? a : b;
  case S_max: return a > b ? a : b;
  case S_pow: return pow(a, b);
  case S_neg: return -a;
  case S_abs: return fabs(a);
  case S_exp: return exp(a);
  case S_log: return log(a);
  case S_sqrt: return sqrt(a);
  case S_sin: return sin(a);
  case S_cos: return cos(a);
  case S_tanh: return tanh(a);
  case S_sigmoid: return 1 / (1 + exp(-a));
  case S_erf: return erf(a);
  case S_floor: return floor(a);
  case S_lt: return a < b ? 1 : 0;
  case S_le: return a <= b ? 1 : 0;
  case S_eq: return a == b ? 1 : 0;
  case S_tf32: return scalar_apply(S_tf32, a, 0, 0);
  case S_bf16: return scalar_apply(S_bf16, a, 0, 0);
  case S_select: return a != 0 ? b : c;
  default: return NAN;
  }
}

static double units_allowed(uint32_t fn) {
  switch ((Scalar)fn) {
  case S_pow:
  case S_exp:
  case S_log:
  case S_sin:
  case S_cos:
  case S_tanh:
  case S_sigmoid:
  case S_erf: return 4;
  default: return 0.5001;
  }
}

/* Distance in units of the last place of a float near `want`. */
static double units(float got, double want) {
  if (isnan(got) && isnan(want)) return 0;
  if (got == (float)want)
    return fabs(want) > 3e38 ? 0
                             : fabs(got - want) / ldexp(1, ilogb(fmax(fabs(want), 0x1p-126)) - 23);
  if (fabs(want) < 0x1p-126 && fabsf(got) <= 0x1p-126f) return 0;
  return fabs((double)got - want) / ldexp(1, ilogb(fmax(fabs(want), 0x1p-126)) - 23);
}

static Kernel *kernel_of(Arena *arena, uint32_t fn) {
  Kernel *k = NEW(arena, Kernel);
  k->kind = KERNEL_MAP, k->naxis = 1, k->nstage = 1, k->space[0] = 1;
  k->part[0] = PART_P, k->extent[0] = N;
  snprintf(k->name, sizeof k->name, "math_%s", scalartab[fn].name);
  for (uint32_t i = 0; i < 4; i++)
    k->arg[i] = (Arg){.use = i < 3 ? ARG_READ : ARG_WRITE, .stride = {1}};
  k->narg = 4;
  for (uint16_t i = 0; i < 3; i++) k->instr[i] = (Instr){.op = I_LOAD, .a = i};
  k->instr[3] = (Instr){.op = I_SCALAR, .fn = (uint8_t)fn, .a = 0, .b = 1, .c = 2};
  k->instr[4] = (Instr){.op = I_STORE, .a = 3, .b = 3};
  k->ninstr = 5;
  target_host.tile(k);
  return k;
}

static bool function_check(uint32_t fn, const Kernel *k, HostKernel *code, float *const buffer[4],
                           const char *isa) {
  double worst = 0;
  uint32_t at = 0;
  code((void *const *)buffer, 0, k->launch.chunks, NULL);
  for (uint32_t i = 0; i < N; i++) {
    float a = buffer[0][i], b = buffer[1][i], c = buffer[2][i];
    if ((fn == S_sin || fn == S_cos) && fabsf(a) > 0x1p29f) continue;
    double u = units(buffer[3][i], reference(fn, (double)a, (double)b, (double)c));
    if (isnan(u)) u = INFINITY;
    if (u > worst) worst = u, at = i;
  }
  bool ok = worst <= units_allowed(fn);
  printf("%s %s %-8s %.3f ulp at %.9g, %.9g: %.9g\n", ok ? "ok  " : "FAIL", isa, scalartab[fn].name,
         worst, (double)buffer[0][at], (double)buffer[1][at], (double)buffer[3][at]);
  return ok;
}

static uint32_t isa_check(Arena *arena, const char *isa, float *const buffer[4]) {
  Kernel *k[S_COUNT];
  HostModel model;
  Text why;
  const HostTable *table = NULL;
  HostJit *jit = NULL;
  const char *const list[2] = {isa, NULL};
  text_init(&why, arena);
  for (uint32_t fn = 0; fn < S_COUNT; fn++) k[fn] = kernel_of(arena, fn);
  if (host_compile(arena, k, S_COUNT, NULL, list, 2, &model, &why))
    jit = host_load(&model, NULL, &table, &why);
  if (!jit) {
    printf("FAIL %s: %s\n", isa, why.s);
    return S_COUNT;
  }
  printf("%s: %d kernels; emit %.1f, optimise %.1f, code %.1f ms\n", isa, S_COUNT, model.emit_ms,
         model.optimise_ms, model.code_ms);
  uint32_t failed = 0;
  for (uint32_t fn = 0; fn < S_COUNT; fn++)
    failed += !function_check(fn, k[fn], table[0].kernel[fn], buffer, isa);
  host_unload(jit);
  return failed;
}

int main(void) {
  Arena arena;
  arena_init(&arena, "math", 0);
  float *buffer[4];
  uint32_t state = 1, failed = 0, run = 0;
  for (uint32_t j = 0; j < 4; j++) buffer[j] = NEW_ARRAY(&arena, float, N);
  for (uint32_t i = 0; i < N; i++)
    for (uint32_t j = 0; j < 3; j++) {
      state = state * 1664525u + 1013904223u;
      buffer[j][i] = operand_draw(i, j, state ^ (state >> 15));
    }
  const char *const isa[2] = {host_isa(), "baseline"};
  for (uint32_t s = 0; s < 2; s++) {
    if (s && !strcmp(isa[0], isa[1])) break;
    failed += isa_check(&arena, isa[s], buffer);
    run += S_COUNT;
  }
  printf("%u passed, %u failed, 0 skipped\n", run - failed, failed);
  arena_release(&arena);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
