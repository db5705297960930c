/* cuda_ops.c: MAP and ROW kernels as CUDA text, compiled by NVRTC and by clang, run on the
 * simulated device with every check:
 *
 *   functions   every row of scalars.def on operands of all sizes and on the edges, against the C
 *               library: within 2^-21 of the value, exact where one rounding is
 *   types       every element type loaded, and stored, four at a time and one by one
 *   shapes      maps, rows that are contiguous, rows beside each other, around the sizes of groups,
 *               teams, blocks and pieces; against kernel_eval()
 *   sectors     memory moved by those that touch it in order: at most 1.05 of what is needed
 *   networks    every kernel of the networks of tests/whole, against kernel_eval()
 *
 *   cubins      functions for every architecture that NVRTC knows, types and shapes for the oldest and the
 *               newest: code, and nothing spilled
 *
 * usage: cuda_ops [nvrtc|clang]; a compiler that is not there is skipped by name. */
#include "command.h"
#include "cuda_trial.h"
#include "graph.h"
#include "operand.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 1 << 14, MANY = 160 };
typedef struct { Kernel *k[MANY]; uint32_t n; } List;

/* ---- kernels by hand ------------------------------------------------------------------------- */

static uint16_t add(Kernel *k, Instr n) {
  k->instr[k->ninstr] = n;
  return k->ninstr++;
}
static uint16_t scalar(Kernel *k, uint8_t stage, Scalar fn, uint16_t a, uint16_t b) {
  return add(k, (Instr){.op = I_SCALAR, .stage = stage, .fn = (uint8_t)fn, .a = a, .b = b});
}
static uint16_t argument(Kernel *k, uint8_t dtype, int use, int64_t s0, int64_t s1) {
  k->arg[k->narg] = (Arg){.dtype = dtype, .use = (uint8_t)use, .stride = {s0, s1}};
  return k->narg++;
}
static uint16_t load(Kernel *k, uint8_t stage, uint16_t arg) {
  return add(k, (Instr){.op = I_LOAD, .stage = stage, .a = arg});
}
static void store(Kernel *k, uint8_t stage, uint16_t value, uint16_t arg) {
  add(k, (Instr){.op = I_STORE, .stage = stage, .a = value, .b = arg});
}
static uint16_t reduce(Kernel *k, uint8_t stage, Scalar fn, uint16_t value, uint16_t axes) {
  return add(
      k, (Instr){.op = I_REDUCE, .stage = stage, .fn = (uint8_t)fn, .a = value, .axes = axes});
}

static Kernel *kernel_new(Arena *arena, List *list, KernelKind kind, int stages, const char *name) {
  Kernel *k = NEW(arena, Kernel);
  k->kind = (uint8_t)kind, k->nstage = (uint8_t)stages;
  snprintf(k->name, sizeof k->name, "k%u_%s", list->n, name);
  return list->k[list->n++] = k;
}
static void axis(Kernel *k, AxisPart part, int32_t extent) {
  k->part[k->naxis] = (uint8_t)part, k->extent[k->naxis++] = extent;
  for (uint32_t s = 0; s < k->nstage; s++) k->space[s] = (uint16_t)((1u << k->naxis) - 1);
}

/* ---- functions ------------------------------------------------------------------------------- */

static bool function_rounds_once(Scalar fn) {
  switch (fn) {
  case S_pow: case S_exp: case S_log: case S_sin: case S_cos: case S_tanh: case S_sigmoid:
  case S_erf: return false;
  default: return true;
  }
}

static bool value_close(Scalar fn, float got, double want) {
  if (isnan(want)) return isnan(got);
  if (got == (float)want) return true;
  if (fabs(want) < 0x1p-126 && fabsf(got) <= 0x1p-126f) return true;
  return !function_rounds_once(fn) && fabs((double)got - want) <= 0x1p-21 * fabs(want);
}

static void function_check(Trial *t, Count *c, Scalar fn, const Kernel *k, Buffers *b) {
  Text why;
  Arena arena;
  arena_init(&arena, "function", 0);
  text_init(&why, &arena);
  bool good = trial_run(t, k, b, &why);
  for (uint32_t i = 0; i < N && good; i++) {
    float x[4];
    for (uint32_t j = 0; j < 4; j++) x[j] = ((const float *)b->arg[j])[i];
    if ((fn == S_sin || fn == S_cos) && fabsf(x[0]) > 0x1p29f) continue;
    good = value_close(fn, x[3], scalar_apply(fn, (double)x[0], (double)x[1], (double)x[2]));
    if (!good)
      text_add(&why, "%.9g, %.9g: %.9g, should be %.9g", (double)x[0], (double)x[1], (double)x[3],
               scalar_apply(fn, (double)x[0], (double)x[1], (double)x[2]));
  }
  trial_verdict(c, good, t, scalartab[fn].name, why.s);
  arena_release(&arena);
}

/* Cubins of a list for each architecture, or for the first and the last; with NVRTC. */
static void cubins_check(Trial *t, Arena *arena, Count *c, const List *list, const char *what,
                         bool each) {
  static const uint32_t arch[] = {80, 86, 90, 100, 120};
  for (size_t i = 0; t->nvrtc && i < COUNT_OF(arch); i += each ? 1 : COUNT_OF(arch) - 1) {
    Text why;
    text_init(&why, arena);
    if (!nvrtc_supports(t->nvrtc, arch[i], &why)) {
      printf("skip %s for sm_%u: this NVRTC knows %s\n", what, arch[i], why.s);
      c->skipped++;
      continue;
    }
    why.n = 0;
    bool good = trial_cubin(t, arena, list->k, list->n, arch[i], &why);
    trial_verdict(c, good, t, arena_printf(arena, "%s for sm_%u", what, arch[i]), why.s);
  }
}

static void functions_check(Trial *t, Arena *arena, Count *c) {
  List list = {.n = 0};
  Buffers b;
  Text why;
  uint32_t state = 1;
  for (Scalar fn = 0; fn < S_COUNT; fn++) {
    Kernel *k = kernel_new(arena, &list, KERNEL_MAP, 1, scalartab[fn].name);
    axis(k, PART_P, N);
    for (uint16_t i = 0; i < 4; i++) argument(k, DTYPE_F32, i < 3 ? ARG_READ : ARG_WRITE, 1, 0);
    for (uint16_t i = 0; i < 3; i++) load(k, 0, i);
    add(k, (Instr){.op = I_SCALAR, .fn = (uint8_t)fn, .a = 0, .b = 1, .c = 2});
    store(k, 0, 3, 3);
  }
  text_init(&why, arena);
  if (!trial_compile(t, arena, list.k, list.n, &why)) {
    trial_verdict(c, false, t, "functions", why.s);
    return;
  }
  cubins_check(t, arena, c, &list, "functions", true);
  buffers_fill(arena, list.k[0], 1, &b);
  for (uint32_t i = 0; i < N; i++)
    for (uint32_t j = 0; j < 3; j++) {
      state = state * 1664525u + 1013904223u;
      ((float *)b.arg[j])[i] = operand_draw(i, j, state ^ (state >> 15));
    }
  for (Scalar fn = 0; fn < S_COUNT; fn++) function_check(t, c, fn, list.k[fn], &b);
}

/* ---- types and shapes ------------------------------------------------------------------------ */

static void list_check(Trial *t, Arena *arena, Count *c, List *list) {
  Text why;
  text_init(&why, arena);
  bool formed = true;
  for (uint32_t i = 0; i < list->n && formed; i++) formed = kernel_verify(list->k[i], &why);
  if (!formed || !trial_compile(t, arena, list->k, list->n, &why)) {
    trial_verdict(c, false, t, "program", why.s);
    return;
  }
  for (uint32_t i = 0; i < list->n; i++) {
    Arena one;
    Text said;
    arena_init(&one, "kernel", 0);
    text_init(&said, &one);
    bool good = trial_agrees(t, &one, list->k[i], i + 1, &said);
    trial_verdict(c, good, t, list->k[i]->name, said.s);
    arena_release(&one);
  }
}

/* From one type to another, along rows of `n` elements, `pitch` apart. */
static void copy_make(Arena *arena, List *list, uint8_t from, uint8_t to, int32_t n,
                      int64_t pitch) {
  Kernel *k = kernel_new(arena, list, KERNEL_MAP, 1, "copy");
  axis(k, PART_P, 3), axis(k, PART_P, n);
  uint16_t in = argument(k, from, ARG_READ, pitch, 1), out = argument(k, to, ARG_WRITE, pitch, 1);
  store(k, 0, scalar(k, 0, S_abs, load(k, 0, in), 0), out);
}

static void types_make(Arena *arena, List *list) {
  for (uint8_t type = 0; type < DTYPE_COUNT; type++)
    for (uint32_t i = 0; i < 3; i++) {
      int32_t n = i ? 60 : 61;
      copy_make(arena, list, type, DTYPE_F32, n, i == 2 ? 63 : 64);
      bool whole = type == DTYPE_U8 || type == DTYPE_I32 || type == DTYPE_U32;
      copy_make(arena, list, whole ? DTYPE_U8 : DTYPE_F32, type, n, i == 2 ? 63 : 64);
    }
}

/* x + b of the last axis, in place beside a copy; b is shared by all rows. */
static void map_make(Arena *arena, List *list, int32_t rows, int32_t columns) {
  Kernel *k = kernel_new(arena, list, KERNEL_MAP, 1, "map");
  axis(k, PART_P, rows), axis(k, PART_P, columns);
  uint16_t x = argument(k, DTYPE_F32, ARG_READ | ARG_WRITE, columns, 1);
  uint16_t b = argument(k, DTYPE_F32, ARG_READ, 0, 1), r = argument(k, DTYPE_F32, ARG_READ, 1, 0);
  uint16_t y = argument(k, DTYPE_BF16, ARG_WRITE, columns, 1);
  uint16_t sum = scalar(k, 0, S_add, load(k, 0, x), load(k, 0, b));
  store(k, 0, sum, x);
  store(k, 0, scalar(k, 0, S_mul, sum, load(k, 0, r)), y);
}

/* Softmax, its largest element and the sum of its exponentials beside it. */
static void softmax_make(Arena *arena, List *list, int32_t rows, int32_t length, bool beside) {
  Kernel *k = kernel_new(arena, list, KERNEL_ROW, 3, "softmax");
  axis(k, PART_P, rows), axis(k, PART_R, length);
  int64_t p = beside ? 1 : length, r = beside ? rows : 1;
  uint16_t x = argument(k, DTYPE_F32, ARG_READ, p, r), y = argument(k, DTYPE_F32, ARG_WRITE, p, r);
  uint16_t most = argument(k, DTYPE_F32, ARG_WRITE, 1, 0);
  uint16_t total = argument(k, DTYPE_F32, ARG_READ | ARG_WRITE, 1, 0);
  uint16_t m = reduce(k, 0, S_max, load(k, 0, x), 2);
  store(k, 0, m, most); /* after the walk */
  uint16_t e = scalar(k, 1, S_exp, scalar(k, 1, S_sub, load(k, 1, x), m), 0);
  uint16_t sum = reduce(k, 1, S_add, e, 2);
  uint16_t z = scalar(k, 2, S_exp, scalar(k, 2, S_sub, load(k, 2, x), m), 0);
  store(k, 2, scalar(k, 2, S_div, z, sum), y);
  store(k, 2, scalar(k, 2, S_add, sum, load(k, 2, total)), total);
}

/* Mean and largest of x y: a row that is walked once, and what comes after. */
static void means_make(Arena *arena, List *list, int32_t rows, int32_t length, bool beside) {
  Kernel *k = kernel_new(arena, list, KERNEL_ROW, 2, "means");
  axis(k, PART_P, rows), axis(k, PART_R, length);
  int64_t p = beside ? 1 : length, r = beside ? rows : 1;
  uint16_t x = argument(k, DTYPE_F32, ARG_READ, p, r), y = argument(k, DTYPE_F32, ARG_READ, 0, 1);
  uint16_t mean = argument(k, DTYPE_F32, ARG_READ | ARG_WRITE, 1, 0);
  uint16_t most = argument(k, DTYPE_F32, ARG_WRITE, 1, 0);
  uint16_t v = scalar(k, 0, S_mul, load(k, 0, x), load(k, 0, y));
  uint16_t sum = reduce(k, 0, S_add, v, 2), m = reduce(k, 0, S_max, v, 2);
  uint16_t n = add(k, (Instr){.op = I_CONST, .stage = 1, .k = 1.0f / (float)length});
  store(k, 1, scalar(k, 1, S_add, scalar(k, 1, S_mul, sum, n), load(k, 1, mean)), mean);
  store(k, 1, m, most);
}

static void shapes_make(Arena *arena, List *list) {
  static const int32_t map[][2] = {{1, 1},   {1, 3},   {1, 4},    {5, 7},    {1, 255}, {2, 510},
                                   {3, 342}, {1, 1024}, {4, 260}, {33, 64},  {1, 4097}};
  static const int32_t row[][2] = {{1, 1},    {3, 5},    {7, 8},    {10, 10},  {33, 12},  {65, 31},
                                   {5, 100},  {64, 32},  {2, 1000}, {3, 2052}, {1, 9000}, {8, 4099},
                                   {11, 200}, {40, 300}, {70, 33},  {256, 128}};
  for (size_t i = 0; i < COUNT_OF(map); i++) map_make(arena, list, map[i][0], map[i][1]);
  for (size_t i = 0; i < COUNT_OF(row); i++)
    for (int beside = 0; beside < 2; beside++) {
      softmax_make(arena, list, row[i][0], row[i][1], beside);
      means_make(arena, list, row[i][0], row[i][1], beside);
    }
}

/* Kernels that touch whole sectors in order. */
static void sectors_check(Trial *t, Arena *arena, Count *c) {
  List list = {.n = 0};
  copy_make(arena, &list, DTYPE_U8, DTYPE_F32, 1024, 1024);
  copy_make(arena, &list, DTYPE_F32, DTYPE_BF16, 1024, 1024);
  copy_make(arena, &list, DTYPE_F32, DTYPE_F32, 999, 999);
  map_make(arena, &list, 64, 256);
  softmax_make(arena, &list, 128, 256, false);
  softmax_make(arena, &list, 256, 128, true);
  means_make(arena, &list, 64, 1024, true);
  means_make(arena, &list, 4, 8192, false);
  for (uint32_t i = 0; i < list.n; i++)
    snprintf(list.k[i]->name, sizeof list.k[i]->name, "sectors_%u", i);
  list_check(t, arena, c, &list);
  for (uint32_t i = 0; i < list.n; i++) {
    double ratio = trial_sectors(t, list.k[i]->name);
    trial_verdict(c, ratio >= 1 && ratio <= 1.05, t, list.k[i]->name,
            arena_printf(arena, "%.3f of the sectors needed", ratio));
  }
}

/* ---- networks -------------------------------------------------------------------------------- */

static void network_check(Trial *t, Count *c, const char *const *argument, int narg) {
  static Arguments a;
  Compile compile;
  List list = {.n = 0};
  if (arguments_parse(&a, "train", true, 1, 2, narg, (char **)(uintptr_t)argument) >= 0 ||
      !arguments_compile(&a, &compile)) {
    trial_verdict(c, false, t, argument[0], "its arguments");
    return;
  }
  if (!compile_run(&compile, a.place[0], PASS_lower)) {
    trial_verdict(c, false, t, argument[0], "does not compile");
  } else {
    for (uint32_t i = 0; i < compile.program->nkernel && list.n < MANY; i++)
      list.k[list.n++] = compile.program->kernel[i];
    list_check(t, &compile.perm, c, &list);
  }
  compile_release(&compile);
}

static void networks_check(Trial *t, Count *c) {
  static const char *const network[][4] = {
    {"tests/whole/activations.lcwnet", "mlp", "--lower=unfused"},
    {"tests/whole/bn.lcwnet", "mlp"},
    {"tests/whole/dropout.lcwnet", "mlp"},
    {"tests/whole/free.lcwnet", "mlp"},
    {"tests/whole/halves.lcwnet", "mlp", "--lower=projected"},
    {"tests/whole/layernorm.lcwnet", "mlp", "--lower=fused:update"},
    {"tests/whole/mlp.lcwnet", "mlp", "--lower=dense"},
    {"tests/whole/mse.lcwnet", "mlp"},
    {"tests/whole/split.lcwnet", "mlp"},
    {"tests/whole/targets.lcwnet", "mlp"},
  };
  for (size_t i = 0; i < COUNT_OF(network); i++)
    network_check(t, c, network[i], network[i][2] ? 3 : 2);
}

/* ---- all ------------------------------------------------------------------------------------- */

static void all_check(Trial *t, Arena *arena, Count *c, const void *none) {
  List list = {.n = 0};
  (void)none;
  functions_check(t, arena, c);
  types_make(arena, &list);
  shapes_make(arena, &list);
  list_check(t, arena, c, &list);
  cubins_check(t, arena, c, &list, "types and shapes", false);
  sectors_check(t, arena, c);
  networks_check(t, c);
}

int main(int argc, char **argv) { return trials_run(argc > 1 ? argv[1] : NULL, all_check, NULL); }
