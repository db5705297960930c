/* ops.c: the tables of operations and scalar functions, expanded from ops.def and scalars.def,
 * and the meaning of each scalar function in float64 (the interpreter's, and that of constant
 * folding). */
#include "rules.h"
#include <math.h>

const OpInfo optab[OP_COUNT] = {
#define OP(name, nin, attr, shape, cls, grad, keeps) \
  [OP_##name] = {#name, nin, CLASS_##cls, KEEPS_##keeps, ATTR_##attr, shape_##shape, grad_##grad},
#include "ops.def"
};

const ScalarInfo scalartab[S_COUNT] = {
#define SCALAR(name, n, text, deriv, flops) [S_##name] = {#name, text, n, flops},
#include "scalars.def"
};

/* Operands of a node: arity by the tables, a MAP's by its scalar. */
int node_arity(const Node *n) {
  return n->op == OP_MAP ? scalartab[n->attr.map.fn].nin : optab[n->op].nin;
}

/* x with `bits` bits after the first, as float32 would hold it: below the smallest normal number
 * the last place stays where it is, above the largest is infinity. */
static double rounded(double x, int bits, double (*nearest)(double)) {
  if (!isfinite(x) || x == 0) return x;
  int last = (ilogb(x) < -126 ? -126 : ilogb(x)) - bits;
  double r = ldexp(nearest(ldexp(x, -last)), last);
  return fabs(r) < 0x1p128 ? r : copysign(INFINITY, x);
}

/* The value of a scalar function; operands beyond its arity are ignored. */
double scalar_apply(Scalar fn, double a, double b, double c) {
  switch (fn) {
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
  case S_tf32: return rounded(a, 10, round); /* ties away from 0 */
  case S_bf16: return rounded(a, 7, rint);   /* ties to even */
  case S_select: return a != 0 ? b : c;
  case S_COUNT: break;
  }
  return NAN;
}
