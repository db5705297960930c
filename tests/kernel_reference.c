/* kernel_reference.c: see kernel_reference.h. A stage is run for every point of its space; an
 * instruction that does not vary over an axis of the inner loop runs at that axis' first point
 * only and keeps its value. */
#include "kernel_reference.h"
#include "graph.h" /* Scalar, scalartab */
#include <math.h>
#include <stdlib.h>

typedef struct {
  const Kernel *k;
  double *const *data;
  uint16_t varies[MAX_INSTR];
  double value[MAX_INSTR];
  int32_t index[MAX_AXIS];
  double acc;
} Walk;

static int64_t address_of(const Walk *w, const Arg *a) {
  int64_t at = a->offset;
  for (uint32_t i = 0; i < w->k->naxis; i++) at += a->stride[i] * w->index[i];
  return at;
}

static double load(const Walk *w, uint32_t arg) {
  const Arg *a = &w->k->arg[arg];
  for (uint32_t g = 0; g < a->nguard; g++) {
    int64_t c = a->guard[g].base;
    for (uint32_t i = 0; i < w->k->naxis; i++) c += (int64_t)a->guard[g].coef[i] * w->index[i];
    if (c < 0 || c >= a->guard[g].extent) return 0;
  }
  return w->data[arg][address_of(w, a)];
}

static double scalar(uint32_t fn, double a, double b, double c) {
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
  case S_lt: return a < b;
  case S_le: return a <= b;
  case S_eq: return a == b;
  case S_select: return a != 0 ? b : c;
  case S_COUNT: break;
  }
  abort();
}

/* True if every index over `axes` is at its first value. */
static bool first_over(const Walk *w, uint32_t axes) {
  for (uint32_t i = 0; i < w->k->naxis; i++)
    if (axes >> i & 1 && w->index[i]) return false;
  return true;
}

static void step(Walk *w, uint32_t i, uint32_t inner) {
  const Instr *n = &w->k->instr[i];
  double a = n->op == I_SCALAR || n->op == I_REDUCE || n->op == I_STORE ? w->value[n->a] : 0;
  switch ((InstrOp)n->op) {
  case I_CONST: w->value[i] = (double)n->k; break;
  case I_LOAD: w->value[i] = load(w, n->a); break;
  case I_ACC: w->value[i] = w->acc; break;
  case I_SCALAR: w->value[i] = scalar(n->fn, a, w->value[n->b], w->value[n->c]); break;
  case I_REDUCE: w->value[i] = first_over(w, inner) ? a : scalar(n->fn, w->value[i], a, 0); break;
  case I_STORE: w->data[n->b][address_of(w, &w->k->arg[n->b])] = a; break;
  case I_RANDOM: abort();
  }
}

/* One point of a stage; `inner`: the axes of its innermost loops. */
static void stage_point(Walk *w, uint32_t stage, uint32_t inner) {
  for (uint32_t i = 0; i < w->k->ninstr; i++) {
    const Instr *n = &w->k->instr[i];
    uint32_t still = n->op == I_STORE    ? w->k->space[stage] & ~(uint32_t)w->varies[i]
                     : n->op == I_REDUCE ? 0
                                         : inner & ~(uint32_t)w->varies[i];
    if (n->stage == stage && first_over(w, still)) step(w, i, inner);
  }
}

/* The next point over `axes`, the last axis fastest; false at the end, all at 0 again. */
static bool next_point(Walk *w, uint32_t axes) {
  for (uint32_t i = w->k->naxis; i-- > 0;) {
    if (!(axes >> i & 1)) continue;
    if (++w->index[i] < w->k->extent[i]) return true;
    w->index[i] = 0;
  }
  return false;
}

static void stage_run(Walk *w, uint32_t stage, uint32_t inner) {
  do stage_point(w, stage, inner);
  while (next_point(w, inner));
}

static void contract_column(Walk *w, uint32_t m, uint32_t kk) {
  stage_run(w, STAGE_PROLOGUE, kk);
  do {
    w->acc = 0;
    do w->acc += load(w, w->k->lhs) * load(w, w->k->rhs);
    while (next_point(w, kk));
    stage_point(w, STAGE_EPILOGUE, m);
  } while (next_point(w, m));
  if (w->k->nstage > STAGE_COLUMN) stage_point(w, STAGE_COLUMN, 0);
}

void kernel_reference(const Kernel *k, double *const *data) {
  Walk w = {.k = k, .data = data};
  kernel_varies(k, w.varies);
  uint32_t outer = kernel_axes(k, k->kind == KERNEL_CONTRACT ? PART_N : PART_P);
  do {
    if (k->kind == KERNEL_CONTRACT) contract_column(&w, kernel_axes(k, PART_M), kernel_axes(k, PART_K));
    else
      for (uint32_t s = 0; s < k->nstage; s++) stage_run(&w, s, kernel_axes(k, PART_R));
  } while (next_point(&w, outer));
}

uint64_t arg_elements(const Kernel *k, uint32_t arg) {
  int64_t top = k->arg[arg].offset;
  for (uint32_t i = 0; i < k->naxis; i++)
    if (k->arg[arg].stride[i] > 0) top += k->arg[arg].stride[i] * (k->extent[i] - 1);
  return top < 0 ? 1 : (uint64_t)top + 1;
}
