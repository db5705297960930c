/* derive.c: derivatives of the scalar functions, one rule per name in scalars.def.
 *
 * In: a MAP y, one of its operands i, and dy, the adjoint of y. Out: what dy gives to the
 * operand, before broadcasting is undone; 0 where it is zero everywhere. A rule uses the
 * result y wherever that saves an evaluation (exp, sqrt, tanh, sigmoid, div), and selects
 * instead of multiplying by a mask, so that no 0 * inf appears. */
#include "rules.h"
#include "seed.h"

#define IN(k) (g->node[y].in[k])

static Val times(Graph *g, Val a, Val b) { return graph_map2(g, S_mul, a, b); }

/* dy where the condition holds, else 0; or the other way round. */
static Val where(Graph *g, Val condition, Val dy) {
  return graph_map3(g, S_select, condition, dy, graph_const(g, 0));
}
static Val where_not(Graph *g, Val condition, Val dy) {
  return graph_map3(g, S_select, condition, graph_const(g, 0), dy);
}

/* The rule of the row of y's function. */
Val derive(Graph *g, Val y, int i, Val dy) {
  switch ((Scalar)g->node[y].attr.map.fn) {
#define SCALAR(name, n, text, deriv, flops) \
  case S_##name: return derive_##deriv(g, y, i, dy);
#include "scalars.def"
  case S_COUNT: break;
  }
  return 0;
}

/* Steps and comparisons. */
Val derive_zero(Graph *g, Val y, int i, Val dy) {
  (void)g, (void)y, (void)i, (void)dy;
  return 0;
}

/* Sums pass dy on. */
Val derive_add(Graph *g, Val y, int i, Val dy) {
  (void)g, (void)y, (void)i;
  return dy;
}

/* A rounding is the identity as far as slopes go. */
Val derive_same(Graph *g, Val y, int i, Val dy) {
  (void)g, (void)y, (void)i;
  return dy;
}

Val derive_sub(Graph *g, Val y, int i, Val dy) {
  (void)y;
  return i == 0 ? dy : graph_map1(g, S_neg, dy);
}

/* dy times the other operand. */
Val derive_mul(Graph *g, Val y, int i, Val dy) { return times(g, dy, IN(1 - i)); }

/* d(a/b) = da/b - (a/b) db/b */
Val derive_div(Graph *g, Val y, int i, Val dy) {
  Val each = graph_map2(g, S_div, dy, IN(1));
  return i == 0 ? each : graph_map1(g, S_neg, times(g, each, y));
}

/* The branch that the forward value took: a where a < b, else b. */
Val derive_min(Graph *g, Val y, int i, Val dy) {
  Val first = graph_map2(g, S_lt, IN(0), IN(1));
  return i == 0 ? where(g, first, dy) : where_not(g, first, dy);
}

Val derive_max(Graph *g, Val y, int i, Val dy) {
  Val first = graph_map2(g, S_lt, IN(1), IN(0));
  return i == 0 ? where(g, first, dy) : where_not(g, first, dy);
}

/* d pow(a, b) = b pow(a, b-1) da + pow(a, b) log(a) db; the second is 0 where a is 0 */
Val derive_pow(Graph *g, Val y, int i, Val dy) {
  if (i == 0) {
    Val less = graph_map2(g, S_sub, IN(1), graph_const(g, 1));
    return times(g, dy, times(g, IN(1), graph_map2(g, S_pow, IN(0), less)));
  }
  Val zero = graph_map2(g, S_eq, IN(0), graph_const(g, 0));
  return times(g, dy, times(g, y, where_not(g, zero, graph_map1(g, S_log, IN(0)))));
}

Val derive_neg(Graph *g, Val y, int i, Val dy) {
  (void)y, (void)i;
  return graph_map1(g, S_neg, dy);
}

/* The sign of a, 0 at 0. */
Val derive_abs(Graph *g, Val y, int i, Val dy) {
  Val zero = graph_const(g, 0);
  Val above = graph_map2(g, S_lt, zero, IN(i)), below = graph_map2(g, S_lt, IN(i), zero);
  return times(g, dy, graph_map2(g, S_sub, above, below));
}

/* dy times the result. */
Val derive_exp(Graph *g, Val y, int i, Val dy) {
  (void)i;
  return times(g, dy, y);
}

Val derive_log(Graph *g, Val y, int i, Val dy) { return graph_map2(g, S_div, dy, IN(i)); }

/* dy / (2 y) */
Val derive_sqrt(Graph *g, Val y, int i, Val dy) {
  (void)i;
  return graph_map2(g, S_div, times(g, dy, graph_const(g, 0.5)), y);
}

Val derive_sin(Graph *g, Val y, int i, Val dy) { return times(g, dy, graph_map1(g, S_cos, IN(i))); }

Val derive_cos(Graph *g, Val y, int i, Val dy) {
  return graph_map1(g, S_neg, times(g, dy, graph_map1(g, S_sin, IN(i))));
}

/* 1 - y y */
Val derive_tanh(Graph *g, Val y, int i, Val dy) {
  (void)i;
  Val square = SEED(101, y, times(g, y, y)); /* caught by tests/graph_op.c */
  return times(g, dy, graph_map2(g, S_sub, graph_const(g, 1), square));
}

/* y (1 - y) */
Val derive_sigmoid(Graph *g, Val y, int i, Val dy) {
  (void)i;
  return times(g, dy, times(g, y, graph_map2(g, S_sub, graph_const(g, 1), y)));
}

/* 2 / sqrt(pi) exp(-a a) */
Val derive_erf(Graph *g, Val y, int i, Val dy) {
  Val square = times(g, IN(i), IN(i));
  Val bell = graph_map1(g, S_exp, graph_map1(g, S_neg, square));
  return times(g, dy, times(g, graph_const(g, 1.1283791670955126), bell));
}

/* The branch taken; the condition has no derivative. */
Val derive_select(Graph *g, Val y, int i, Val dy) {
  if (i == 0) return 0;
  return i == 1 ? where(g, IN(0), dy) : where_not(g, IN(0), dy);
}
