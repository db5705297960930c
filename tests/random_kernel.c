/* random_kernel.c: see random_kernel.h. */
#include "random_kernel.h"
#include <stdio.h>
#include <string.h>
#include "graph.h" /* Scalar */

typedef struct {
  Kernel *k;
  uint32_t state;
  uint8_t stage;
  uint16_t pool[MAX_INSTR];
  uint32_t npool;
} Gen;

static uint32_t below(Gen *g, uint32_t n) {
  g->state = g->state * 1664525u + 1013904223u;
  return (uint32_t)(((uint64_t)(g->state >> 4) * n) >> 28);
}

/* ---- axes and arguments --------------------------------------------------------------------- */

static void axis_add(Gen *g, AxisPart part, uint32_t most) {
  Kernel *k = g->k;
  k->part[k->naxis] = (uint8_t)part;
  k->extent[k->naxis++] = (int32_t)(1 + below(g, below(g, 4) ? most : 3 * most));
}

/* Dense strides over `axes` in a random order, now and then with gaps. */
static void arg_layout(Gen *g, Arg *a, uint16_t axes) {
  uint32_t order[MAX_AXIS], n = 0;
  for (uint32_t i = 0; i < g->k->naxis; i++)
    if (axes >> i & 1) order[n++] = i;
  for (uint32_t i = n; i > 1 && below(g, 2); i--) {
    uint32_t j = below(g, i), t = order[i - 1];
    order[i - 1] = order[j], order[j] = t;
  }
  int64_t stride = below(g, 8) ? 1 : 2;
  while (n-- > 0) {
    a->stride[order[n]] = stride;
    stride *= g->k->extent[order[n]] + (below(g, 4) ? 0 : (int32_t)below(g, 3));
  }
  a->offset = below(g, 3);
}

static void guard_add(Gen *g, Arg *a, uint16_t axes) {
  Guard *q = &a->guard[a->nguard++];
  int32_t size = 1;
  for (uint32_t i = 0; i < g->k->naxis; i++)
    if ((axes >> i & 1) && below(g, 2))
      q->coef[i] = (int32_t)(1 + below(g, 2)), size += q->coef[i] * g->k->extent[i];
  q->base = -(int32_t)below(g, 3);
  q->extent = 1 + (int32_t)below(g, (uint32_t)size);
}

static uint8_t arg_add(Gen *g, int use, uint16_t axes) {
  static const uint8_t types[] = {DTYPE_F32, DTYPE_F32, DTYPE_F32, DTYPE_F32,
                                  DTYPE_U8,  DTYPE_I32, DTYPE_BF16};
  Arg *a = &g->k->arg[g->k->narg];
  a->use = (uint8_t)use;
  a->dtype = use == ARG_READ ? types[below(g, COUNT_OF(types))] : DTYPE_F32;
  arg_layout(g, a, axes);
  if (use == ARG_READ && !below(g, 4)) guard_add(g, a, axes);
  return g->k->narg++;
}

static uint16_t some_axes(Gen *g, uint16_t all) {
  uint32_t axes = 0;
  for (uint32_t i = 0; i < g->k->naxis; i++)
    if ((all >> i & 1) && below(g, 3)) axes |= 1u << i;
  return (uint16_t)axes;
}

/* ---- programs ------------------------------------------------------------------------------- */

static uint16_t instr_add(Gen *g, Instr n) {
  n.stage = g->stage;
  g->k->instr[g->k->ninstr] = n;
  return g->k->ninstr++;
}

static uint16_t apply(Gen *g, Scalar fn, uint16_t a, uint16_t b, uint16_t c) {
  return instr_add(g, (Instr){.op = I_SCALAR, .fn = (uint8_t)fn, .a = a, .b = b, .c = c});
}

static uint16_t constant(Gen *g, float x) { return instr_add(g, (Instr){.op = I_CONST, .k = x}); }
static uint16_t pick(Gen *g) { return g->pool[below(g, g->npool)]; }
static void keep(Gen *g, uint16_t i) { g->pool[g->npool++] = i; }

/* A value of size about 1 from any value. */
static uint16_t tame(Gen *g, uint16_t a) {
  return apply(g, S_tanh, apply(g, S_mul, a, constant(g, 0.25f), 0), 0, 0);
}

/* One more value from those at hand, never out of the domain of its function. */
static uint16_t grow(Gen *g) {
  uint16_t a = pick(g), b = pick(g), c = pick(g);
  switch (below(g, 18)) {
  case 0: return apply(g, S_add, a, b, 0);
  case 1: return apply(g, S_sub, a, b, 0);
  case 2: return apply(g, S_mul, tame(g, a), b, 0);
  case 3:
    return apply(g, S_div, a, apply(g, S_add, constant(g, 1), apply(g, S_abs, b, 0, 0), 0), 0);
  case 4: return apply(g, S_min, a, b, 0);
  case 5: return apply(g, S_max, a, b, 0);
  case 6: return apply(g, S_exp, tame(g, a), 0, 0);
  case 7:
    return apply(g, S_log, apply(g, S_add, apply(g, S_abs, a, 0, 0), constant(g, 0.5f), 0), 0, 0);
  case 8: return apply(g, S_sqrt, apply(g, S_abs, a, 0, 0), 0, 0);
  case 9: return apply(g, S_sin, a, 0, 0);
  case 10: return apply(g, S_cos, a, 0, 0);
  case 11: return apply(g, S_sigmoid, a, 0, 0);
  case 12: return apply(g, S_erf, a, 0, 0);
  case 13: return apply(g, S_floor, a, 0, 0);
  case 14: return apply(g, S_select, apply(g, below(g, 2) ? S_lt : S_le, a, b, 0), b, c);
  case 15:
    return apply(g, S_pow, apply(g, S_add, apply(g, S_abs, a, 0, 0), constant(g, 0.5f), 0),
                 tame(g, b), 0);
  case 16: return apply(g, below(g, 2) ? S_tf32 : S_bf16, a, 0, 0);
  default: return apply(g, S_neg, a, 0, 0);
  }
}

static void load_some(Gen *g, uint16_t space, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) {
    uint8_t arg = arg_add(g, ARG_READ, some_axes(g, space));
    keep(g, instr_add(g, (Instr){.op = I_LOAD, .a = arg}));
  }
}

static void grow_some(Gen *g, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) keep(g, grow(g));
}

/* Stores a value to an argument over `axes`, at times one that is read in place. */
static void store(Gen *g, uint16_t value, uint16_t axes) {
  bool in_place = !below(g, 3);
  uint8_t arg = arg_add(g, in_place ? ARG_READ | ARG_WRITE : ARG_WRITE, axes);
  if (in_place) value = apply(g, S_sub, value, instr_add(g, (Instr){.op = I_LOAD, .a = arg}), 0);
  instr_add(g, (Instr){.op = I_STORE, .a = value, .b = arg});
}

static uint16_t reduce(Gen *g, uint16_t value, uint16_t axes) {
  Scalar fn = below(g, 4) ? S_add : S_max;
  return instr_add(g, (Instr){.op = I_REDUCE, .fn = (uint8_t)fn, .a = value, .axes = axes});
}

static void random_add(Gen *g, uint16_t axes) {
  uint8_t keys = arg_add(g, ARG_READ, 0), stream = arg_add(g, ARG_READ, 0),
          place = arg_add(g, ARG_READ, axes);
  for (uint32_t i = 0; i < 3; i++) {
    Arg *a = &g->k->arg[keys + i];
    a->dtype = i < 2 ? DTYPE_U32 : DTYPE_F32, a->nguard = 0, a->offset = 0;
    memset(a->guard, 0, sizeof a->guard);
  }
  keep(g, instr_add(g, (Instr){.op = I_RANDOM, .a = keys, .b = stream, .c = place}));
}

/* ---- kinds ---------------------------------------------------------------------------------- */

static void map_make(Gen *g) {
  for (uint32_t i = 0, n = 1 + below(g, 3); i < n; i++) axis_add(g, PART_P, 24);
  uint16_t all = kernel_axes(g->k, PART_P);
  g->k->nstage = 1, g->k->space[0] = all;
  load_some(g, all, 1 + below(g, 3));
  if (!below(g, 3)) random_add(g, all);
  grow_some(g, 1 + below(g, 6));
  store(g, pick(g), all);
  store(g, g->pool[g->npool - 1], all);
}

static void row_make(Gen *g) {
  for (uint32_t i = 0, n = 2 + below(g, 3); i < n; i++)
    axis_add(g, i == 0 || (i > 1 && below(g, 2)) ? PART_R : PART_P, 20);
  if (below(g, 2)) { /* the reduced axis last */
    int32_t e = g->k->extent[0];
    for (uint32_t i = 0; i + 1 < g->k->naxis; i++)
      g->k->part[i] = g->k->part[i + 1], g->k->extent[i] = g->k->extent[i + 1];
    g->k->part[g->k->naxis - 1] = PART_R, g->k->extent[g->k->naxis - 1] = e;
  }
  uint16_t rows = kernel_axes(g->k, PART_P), walk = kernel_axes(g->k, PART_R), all = rows | walk;
  uint16_t sum[MAX_STAGE];
  g->k->nstage = (uint8_t)(2 + below(g, 2));
  for (uint8_t s = 0; s < g->k->nstage; s++) {
    g->stage = s, g->npool = 0, g->k->space[s] = all;
    for (uint8_t j = 0; j < s; j++) keep(g, sum[j]);
    load_some(g, all, 1 + below(g, 2));
    grow_some(g, below(g, 4));
    if (s + 1 < g->k->nstage) sum[s] = reduce(g, pick(g), walk);
    if (s && below(g, 2)) store(g, apply(g, S_neg, sum[s - 1], 0, 0), rows);
    if (s + 1 == g->k->nstage) store(g, g->pool[g->npool - 1], all);
  }
}

static void contract_make(Gen *g) {
  Kernel *k = g->k;
  for (uint32_t i = 0, n = 1 + below(g, 2) * below(g, 2); i < n; i++) axis_add(g, PART_M, 20);
  for (uint32_t i = 0, n = 1 + (below(g, 4) == 0); i < n; i++) axis_add(g, PART_N, 24);
  for (uint32_t i = 0, n = 1 + below(g, 2) * below(g, 2); i < n; i++) axis_add(g, PART_K, 16);
  uint16_t m = kernel_axes(k, PART_M), n = kernel_axes(k, PART_N), kk = kernel_axes(k, PART_K);
  k->lhs = arg_add(g, ARG_READ, m | kk), k->rhs = arg_add(g, ARG_READ, kk | n);
  k->nstage = 3, k->space[0] = kk | n, k->space[1] = m | n, k->space[2] = n;
  uint16_t before = 0, after = 0, across = 0;
  if (below(g, 2)) {
    keep(g, instr_add(g, (Instr){.op = I_LOAD, .a = k->rhs}));
    load_some(g, kk | n, 1);
    before = reduce(g, apply(g, S_mul, g->pool[0], g->pool[1], 0), kk);
  }
  g->stage = STAGE_EPILOGUE, g->npool = 0;
  keep(g, instr_add(g, (Instr){.op = I_ACC}));
  if (before) keep(g, before);
  load_some(g, m | n, below(g, 3));
  grow_some(g, below(g, 4));
  uint16_t last = g->pool[g->npool - 1];
  store(g, apply(g, S_add, g->pool[0], last, 0), m | n);
  if (below(g, 3) == 0) across = reduce(g, pick(g), n);
  if (below(g, 2)) {
    after = reduce(g, pick(g), m);
    g->stage = STAGE_COLUMN, g->npool = 0;
    keep(g, after);
    load_some(g, n, 1);
    store(g, apply(g, S_add, g->pool[0], g->pool[1], 0), n);
  }
  if (!across) return;
  g->stage = STAGE_ROW, g->npool = 0, k->nstage = 4, k->space[STAGE_ROW] = m;
  keep(g, across);
  load_some(g, m, 1);
  store(g, apply(g, S_add, g->pool[0], g->pool[1], 0), m);
}

Kernel *kernel_random(Arena *arena, uint32_t number) {
  static void (*const make[3])(Gen *) = {map_make, row_make, contract_make};
  Kernel *k = NEW(arena, Kernel);
  Gen g = {.k = k, .state = number * 2654435761u + 12345u};
  k->kind = (uint8_t)(number % 3);
  snprintf(k->name, sizeof k->name, "random_%u", number);
  make[number % 3](&g);
  if (below(&g, 2)) kernel_collapse(k);
  return k;
}
