/* kernel_eval.c: see kernel_eval.h. Every instruction is evaluated over its whole space before
 * the next one, so nothing is shared with the way a target walks. Slow, and meant to be. */
#include "kernel_eval.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "graph.h"
#include "random.h"

static const double U = 0x1p-24, TINY = 0x1p-126;

typedef struct { double v, e; } Bounded;

typedef struct {
  const Kernel *k;
  void *const *arg;
  Shadow *shadow;
  uint16_t varies[MAX_INSTR];
  Bounded *value[MAX_INSTR];       /* over the axes of varies, the last fastest */
} Eval;

/* ---- points ------------------------------------------------------------------------------ */

static void point_of(const Kernel *k, uint16_t axes, uint64_t flat, int64_t *index) {
  memset(index, 0, MAX_AXIS * sizeof *index);
  for (uint32_t i = k->naxis; i-- > 0;)
    if (axes >> i & 1)
      index[i] = (int64_t)(flat % (uint64_t)k->extent[i]), flat /= (uint64_t)k->extent[i];
}

static uint64_t flat_of(const Kernel *k, uint16_t axes, const int64_t *index) {
  uint64_t flat = 0;
  for (uint32_t i = 0; i < k->naxis; i++)
    if (axes >> i & 1) flat = flat * (uint64_t)k->extent[i] + (uint64_t)index[i];
  return flat;
}

/* The element an argument is addressed at; false outside a guard. */
static bool arg_at(const Kernel *k, uint32_t arg, const int64_t *index, int64_t *at) {
  const Arg *a = &k->arg[arg];
  *at = a->offset;
  for (uint32_t i = 0; i < k->naxis; i++) *at += a->stride[i] * index[i];
  for (uint32_t g = 0; g < a->nguard; g++) {
    int64_t x = a->guard[g].base;
    for (uint32_t i = 0; i < k->naxis; i++) x += a->guard[g].coef[i] * index[i];
    if (x < 0 || x >= a->guard[g].extent) return false;
  }
  return true;
}

static uint16_t arg_axes(const Kernel *k, uint32_t arg) {
  uint32_t axes = 0;
  for (uint32_t i = 0; i < k->naxis; i++) {
    if (k->arg[arg].stride[i]) axes |= 1u << i;
    for (uint32_t g = 0; g < k->arg[arg].nguard; g++)
      if (k->arg[arg].guard[g].coef[i]) axes |= 1u << i;
  }
  return (uint16_t)axes;
}

uint64_t kernel_arg_elements(const Kernel *k, uint32_t arg) {
  int64_t index[MAX_AXIS], at, most = 1; /* keys of the generator have two */
  uint16_t axes = arg_axes(k, arg);
  for (uint64_t i = 0; i < kernel_extent(k, axes); i++) {
    point_of(k, axes, i, index);
    if (arg_at(k, arg, index, &at) && at > most) most = at;
  }
  return (uint64_t)most + 1;
}

/* ---- scalars ------------------------------------------------------------------------------ */

static double apply(uint32_t fn, double a, double b, double c) {
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

/* How many roundings of half an ulp a function may make. */
static double budget(uint32_t fn) {
  switch ((Scalar)fn) {
  case S_add: case S_sub: case S_mul: return 1;
  case S_div: case S_sqrt: return 2;
  case S_pow:
  case S_exp:
  case S_log:
  case S_sin:
  case S_cos:
  case S_tanh:
  case S_sigmoid:
  case S_erf: return 8;
  default: return 0;
  }
}

/* The largest change of the result when each operand moves within its error. */
static double spread(uint32_t fn, const Bounded *x, double r) {
  double most = 0;
  for (int corner = 0; corner < 8; corner++) {
    double at[3];
    for (int i = 0; i < 3; i++) at[i] = x[i].v + (corner >> i & 1 ? x[i].e : -x[i].e);
    if ((fn == S_sqrt || fn == S_log || fn == S_pow) && x[0].v >= 0) at[0] = fmax(at[0], 0);
    double d = fabs(apply(fn, at[0], at[1], at[2]) - r);
    if (d > most) most = d;
  }
  if ((fn == S_sin || fn == S_cos) && x[0].e > most) most = x[0].e;
  return most;
}

static Bounded scalar_eval(uint32_t fn, Bounded a, Bounded b, Bounded c) {
  Bounded x[3] = {a, b, c};
  double r = apply(fn, a.v, b.v, c.v), e = 0;
  if (a.e + b.e + c.e != 0) e = spread(fn, x, r);
  return (Bounded){r, e + budget(fn) * (U * (fabs(r) + e) + TINY)};
}

/* ---- instructions -------------------------------------------------------------------------- */

static Bounded value_at(const Eval *e, uint32_t i, const int64_t *index) {
  return e->value[i][flat_of(e->k, e->varies[i], index)];
}

static Bounded load_at(const Eval *e, uint32_t arg, const int64_t *index) {
  int64_t at;
  if (!arg_at(e->k, arg, index, &at)) return (Bounded){0, 0};
  return (Bounded){e->shadow[arg].value[at], e->shadow[arg].error[at]};
}

/* An operand of the contraction, gathered: a row over K for each point of its outer part. */
static Bounded *operand_rows(const Eval *e, uint32_t arg, AxisPart outer) {
  const Kernel *k = e->k;
  uint16_t rows = kernel_axes(k, outer), columns = kernel_axes(k, PART_K);
  uint64_t n = kernel_extent(k, columns), count = kernel_extent(k, rows) * n;
  Bounded *table = malloc(count * sizeof *table);
  int64_t row[MAX_AXIS], index[MAX_AXIS];
  if (!table) abort();
  for (uint64_t i = 0; i < count; i++) {
    if (i % n == 0) point_of(k, rows, i / n, row);
    point_of(k, columns, i % n, index);
    for (uint32_t j = 0; j < k->naxis; j++) index[j] += row[j];
    table[i] = load_at(e, arg, index);
  }
  return table;
}

/* One sum of products over K. */
static Bounded product_sum(const Bounded *a, const Bounded *b, uint64_t n) {
  double sum = 0, err = 0, size = 0;
  for (uint64_t i = 0; i < n; i++) {
    sum += a[i].v * b[i].v;
    err += fabs(a[i].v) * b[i].e + fabs(b[i].v) * a[i].e + a[i].e * b[i].e;
    size += (fabs(a[i].v) + a[i].e) * (fabs(b[i].v) + b[i].e);
  }
  return (Bounded){sum, err + (double)n * U / (1 - (double)n * U) * size + TINY};
}

static void contract_eval(Eval *e, uint32_t i) {
  const Kernel *k = e->k;
  uint16_t m = kernel_axes(k, PART_M), n = kernel_axes(k, PART_N);
  uint64_t depth = kernel_extent(k, kernel_axes(k, PART_K));
  Bounded *lhs = operand_rows(e, k->lhs, PART_M), *rhs = operand_rows(e, k->rhs, PART_N);
  int64_t index[MAX_AXIS];
  for (uint64_t j = 0; j < kernel_extent(k, e->varies[i]); j++) {
    point_of(k, e->varies[i], j, index);
    e->value[i][j] = product_sum(lhs + flat_of(k, m, index) * depth,
                                 rhs + flat_of(k, n, index) * depth, depth);
  }
  free(lhs);
  free(rhs);
}

static Bounded random_at(const Eval *e, const Instr *n, const int64_t *index) {
  const uint32_t *step = (const uint32_t *)e->arg[n->a] + e->k->arg[n->a].offset;
  const uint32_t *stream = (const uint32_t *)e->arg[n->b] + e->k->arg[n->b].offset;
  int64_t at;
  (void)arg_at(e->k, n->c, index, &at);
  uint32_t counter[4] = {(uint32_t)at, (uint32_t)((uint64_t)at >> 32), step[0], 0};
  uint32_t key[2] = {stream[0] ^ step[1], stream[1]};
  return (Bounded){(double)(random_philox(counter, key).word[0] >> 8) * 0x1p-24, 0};
}

static Bounded instr_at(const Eval *e, const Instr *n, const int64_t *index) {
  switch ((InstrOp)n->op) {
  case I_CONST: return (Bounded){(double)n->k, 0};
  case I_LOAD: return load_at(e, n->a, index);
  case I_RANDOM: return random_at(e, n, index);
  case I_SCALAR: {
    Bounded zero = {0, 0}, a = value_at(e, n->a, index);
    Bounded b = scalartab[n->fn].nin > 1 ? value_at(e, n->b, index) : zero;
    return scalar_eval(n->fn, a, b, scalartab[n->fn].nin > 2 ? value_at(e, n->c, index) : zero);
  }
  default: return (Bounded){NAN, 0};
  }
}

static void reduce_eval(Eval *e, uint32_t i) {
  const Instr *n = &e->k->instr[i];
  uint16_t all = e->varies[n->a] | n->axes;
  double count = (double)kernel_extent(e->k, n->axes), gamma = count * U / (1 - count * U);
  int64_t index[MAX_AXIS];
  for (uint64_t j = 0; j < kernel_extent(e->k, e->varies[i]); j++)
    e->value[i][j] = (Bounded){n->fn == S_max ? -INFINITY : 0, 0};
  for (uint64_t j = 0; j < kernel_extent(e->k, all); j++) {
    point_of(e->k, all, j, index);
    Bounded x = value_at(e, n->a, index), *sum = &e->value[i][flat_of(e->k, e->varies[i], index)];
    if (n->fn == S_max) *sum = (Bounded){fmax(sum->v, x.v), fmax(sum->e, x.e)};
    else sum->v += x.v, sum->e += x.e + gamma * (fabs(x.v) + x.e);
  }
}

static void store_eval(Eval *e, uint32_t i) {
  const Instr *n = &e->k->instr[i];
  int64_t index[MAX_AXIS], at;
  for (uint64_t j = 0; j < kernel_extent(e->k, e->varies[i]); j++) {
    point_of(e->k, e->varies[i], j, index);
    if (!arg_at(e->k, n->b, index, &at)) continue;
    Bounded x = value_at(e, n->a, index);
    if (e->k->arg[n->b].dtype == DTYPE_BF16) x = scalar_eval(S_bf16, x, (Bounded){0}, (Bounded){0});
    e->shadow[n->b].value[at] = x.v;
    e->shadow[n->b].error[at] = x.e;
  }
}

static double element(const void *p, uint32_t dtype, uint64_t i) {
  switch ((DType)dtype) {
  case DTYPE_U8: return ((const uint8_t *)p)[i];
  case DTYPE_I32: return (float)((const int32_t *)p)[i];
  case DTYPE_U32: return (float)((const uint32_t *)p)[i];
  case DTYPE_F64: return (float)((const double *)p)[i];
  case DTYPE_BF16: {
    uint32_t w = (uint32_t)((const uint16_t *)p)[i] << 16;
    float f;
    memcpy(&f, &w, sizeof f);
    return f;
  }
  default: return ((const float *)p)[i];
  }
}

void kernel_eval(Arena *arena, const Kernel *k, void *const *arg, Shadow *shadow) {
  Eval e = {.k = k, .arg = arg, .shadow = shadow};
  kernel_varies(k, e.varies);
  for (uint32_t a = 0; a < k->narg; a++) {
    uint64_t n = kernel_arg_elements(k, a);
    shadow[a] = (Shadow){NEW_ARRAY(arena, double, n), NEW_ARRAY(arena, double, n), n};
    for (uint64_t i = 0; i < n; i++) shadow[a].value[i] = element(arg[a], k->arg[a].dtype, i);
  }
  for (uint32_t i = 0; i < k->ninstr; i++) {
    const Instr *n = &k->instr[i];
    int64_t index[MAX_AXIS];
    if (n->op == I_STORE) { store_eval(&e, i); continue; }
    uint64_t count = kernel_extent(k, e.varies[i]);
    e.value[i] = NEW_ARRAY(arena, Bounded, count);
    if (n->op == I_REDUCE) { reduce_eval(&e, i); continue; }
    if (n->op == I_ACC) { contract_eval(&e, i); continue; }
    for (uint64_t j = 0; j < count; j++) {
      point_of(k, e.varies[i], j, index);
      e.value[i][j] = instr_at(&e, n, index);
    }
  }
}
