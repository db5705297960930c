/* fold.c: the short forms of graph_add(), which simplify as they build.
 *
 * In: an operation on values. Out: a value equal to it, often an older one. Only rewritings
 * that keep every bit, NaN and infinity are made (so x * 0 stays), with one exception: x + 0
 * becomes x also where x is -0. Constants of one value fold in float64. Each form returns 0
 * for a 0 operand, so that a chain of them needs one test at its end. */
#include "rules.h"

/* ---- constants ----------------------------------------------------------------------- */

/* Whether all elements of the value are one known number. */
static bool is_constant(const Graph *g, Val v) {
  return g->node[v].op == OP_CONST && g->node[v].attr.constant.kind == CONST_FILL;
}

/* Whether they are this number. */
static bool is_fill(const Graph *g, Val v, double value) {
  return is_constant(g, v) && g->node[v].attr.constant.value == value;
}

/* Whether v is the MAP of this function. */
static bool is_map(const Graph *g, Val v, Scalar fn) {
  return g->node[v].op == OP_MAP && g->node[v].attr.map.fn == fn;
}

/* The MAP without folding. */
static Val map_add(Graph *g, Scalar fn, Val a, Val b, Val c) {
  Val in[MAX_IN] = {a, b, c};
  return graph_add(g, OP_MAP, in, NULL, (Attr){.map = {(uint8_t)fn}});
}

/* Operand v in place of the MAP of `in`, if it has that MAP's shape and type; else 0. */
static Val instead(Graph *g, Val v, Val other) {
  const Node *n = &g->node[v];
  const Shape *s = &g->node[other].shape;
  if (n->dtype != DTYPE_F32 || s->rank > n->shape.rank) return 0;
  for (int i = 0; i < s->rank; i++)
    if (s->dim[i].n != n->shape.dim[i].n && s->dim[i].n != 1) return 0;
  return v;
}

/* The MAP of constants of one value each, as such a constant. */
static Val fold_constants(Graph *g, Scalar fn, const Val *in) {
  double x[MAX_IN] = {0};
  for (int i = 0; i < scalartab[fn].nin; i++) {
    if (!is_constant(g, in[i])) return 0;
    x[i] = g->node[in[i]].attr.constant.value;
  }
  Node n = {.op = OP_MAP, .attr.map.fn = (uint8_t)fn, .in = {in[0], in[1], in[2]}};
  if (!shape_broadcast(g, &n)) return 0;
  return graph_fill(g, n.shape, scalar_apply(fn, x[0], x[1], x[2]));
}

/* ---- maps ---------------------------------------------------------------------------- */

/* A function of one operand. */
Val graph_map1(Graph *g, Scalar fn, Val a) {
  if (!a) return 0;
  Val in[MAX_IN] = {a, 0, 0}, v = fold_constants(g, fn, in);
  if (v) return v;
  if (fn == S_neg && is_map(g, a, S_neg)) return g->node[a].in[0];
  if ((fn == S_tf32 || fn == S_bf16) && is_map(g, a, fn)) return a; /* rounded already */
  if (fn == S_tf32 && is_map(g, a, S_bf16)) return a;
  return map_add(g, fn, a, 0, 0);
}

/* Operations with a neutral operand: x + 0, 0 + x, x - 0, x * 1, 1 * x, x / 1, pow(x, 1). */
static Val fold_neutral(Graph *g, Scalar fn, Val a, Val b) {
  switch (fn) {
  case S_add:
    if (is_fill(g, b, 0)) return instead(g, a, b);
    return is_fill(g, a, 0) ? instead(g, b, a) : 0;
  case S_mul:
    if (is_fill(g, b, 1)) return instead(g, a, b);
    return is_fill(g, a, 1) ? instead(g, b, a) : 0;
  case S_sub: return is_fill(g, b, 0) ? instead(g, a, b) : 0;
  case S_div:
  case S_pow: return is_fill(g, b, 1) ? instead(g, a, b) : 0;
  default: return 0;
  }
}

/* Signs and squares: a + -b, -a + b, a - -b, x * -1, pow(x, 2). */
static Val fold_sign(Graph *g, Scalar fn, Val a, Val b) {
  if (fn == S_add && is_map(g, b, S_neg)) return graph_map2(g, S_sub, a, g->node[b].in[0]);
  if (fn == S_add && is_map(g, a, S_neg)) return graph_map2(g, S_sub, b, g->node[a].in[0]);
  if (fn == S_sub && is_map(g, b, S_neg)) return graph_map2(g, S_add, a, g->node[b].in[0]);
  if (fn == S_mul && is_fill(g, b, -1) && instead(g, a, b)) return graph_map1(g, S_neg, a);
  if (fn == S_mul && is_fill(g, a, -1) && instead(g, b, a)) return graph_map1(g, S_neg, b);
  if (fn == S_pow && is_fill(g, b, 2) && instead(g, a, b)) return graph_map2(g, S_mul, a, a);
  return 0;
}

/* A function of two. */
Val graph_map2(Graph *g, Scalar fn, Val a, Val b) {
  if (!a || !b) return 0;
  Val in[MAX_IN] = {a, b, 0}, v = fold_constants(g, fn, in);
  if (!v) v = fold_neutral(g, fn, a, b);
  if (!v) v = fold_sign(g, fn, a, b);
  return v ? v : map_add(g, fn, a, b, 0);
}

/* A function of three; a select by a constant is one of its operands. */
Val graph_map3(Graph *g, Scalar fn, Val a, Val b, Val c) {
  if (!a || !b || !c) return 0;
  Val in[MAX_IN] = {a, b, c}, v = fold_constants(g, fn, in);
  if (v || fn != S_select || !is_constant(g, a)) return v ? v : map_add(g, fn, a, b, c);
  Val taken = is_fill(g, a, 0) ? c : b, other = taken == b ? c : b;
  if (instead(g, taken, a) && instead(g, taken, other)) return taken;
  return map_add(g, fn, a, b, c);
}

/* Repeats dimensions of 1: a times ones, which is exact. */
Val graph_broadcast(Graph *g, Val a, Shape s) {
  if (!a) return 0;
  const Node *n = &g->node[a];
  if (shape_equal(&n->shape, &s)) return a;
  return graph_map2(g, S_mul, a, graph_fill(g, s, 1));
}

/* ---- the others ---------------------------------------------------------------------- */

/* Axes of one element are left out; without any other, the operand is its own reduction. */
Val graph_reduce(Graph *g, Scalar fn, Val a, uint32_t axes) {
  if (!a) return 0;
  const Node *n = &g->node[a];
  for (int i = 0; i < n->shape.rank; i++)
    if (n->shape.dim[i].n == 1) axes &= ~(1u << i);
  if (!axes && n->dtype == DTYPE_F32) return a;
  return graph_add(g, OP_REDUCE, &a, NULL, (Attr){.reduce = {(uint8_t)axes, (uint8_t)fn}});
}

/* The operand that a plain transpose of v would be, 0 if v is not one of a matrix. */
static Val transpose_of(const Graph *g, Val v) {
  const Node *n = &g->node[v];
  return n->op == OP_TRANSPOSE && n->shape.rank == 2 ? n->in[0] : 0;
}

/* A product; transposed operands become flags. */
Val graph_matmul(Graph *g, Val a, bool ta, Val b, bool tb) {
  if (!a || !b) return 0;
  Val in[MAX_IN] = {a, b, 0};
  bool flag[2] = {ta, tb};
  for (int i = 0; i < 2; i++)
    if (transpose_of(g, in[i])) in[i] = transpose_of(g, in[i]), flag[i] = !flag[i];
  return graph_add(g, OP_MATMUL, in, NULL, (Attr){.gemm = {.ta = flag[0], .tb = flag[1]}});
}

static bool is_single(const Graph *g, Val v) { return shape_elements(&g->node[v].shape) == 1; }

/* Whether v is a MAP of an input, element by element, and of single numbers. */
static bool is_decoded(const Graph *g, Val v) {
  const Node *n = &g->node[v];
  for (int i = 0; n->op == OP_MAP && i < node_arity(n); i++) {
    bool element = shape_equal(&g->node[n->in[i]].shape, &n->shape);
    bool decoded = g->node[n->in[i]].op == OP_INPUT || is_decoded(g, n->in[i]);
    if (!(element && decoded) && !is_single(g, n->in[i])) return false;
  }
  return n->op == OP_MAP && !is_single(g, v);
}

/* What is decoded from an input has its new shape from the start: there it can be summed by rows. */
static Val decoded_reshape(Graph *g, Val v, Shape s) {
  const Node n = g->node[v];
  Val in[MAX_IN] = {0};
  for (int i = 0; i < node_arity(&n); i++)
    in[i] = graph_reshape(g, n.in[i], is_single(g, n.in[i]) ? (Shape){0} : s);
  return map_add(g, (Scalar)n.attr.map.fn, in[0], in[1], in[2]);
}

/* The same elements in another shape; back to the first shape is the first value. */
Val graph_reshape(Graph *g, Val a, Shape s) {
  if (!a) return 0;
  Val source = g->node[a].op == OP_RESHAPE ? g->node[a].in[0] : a;
  if (shape_equal(&g->node[source].shape, &s)) return source;
  if (is_decoded(g, source)) return decoded_reshape(g, source, s);
  return graph_add(g, OP_RESHAPE, &source, &s, (Attr){.map = {0}});
}

/* Whether a permutation moves only dimensions of 1, so that the elements keep their order. */
static bool keeps_order(const Shape *a, const uint8_t *perm) {
  int last = -1;
  for (int i = 0; i < a->rank; i++) {
    if (a->dim[perm[i]].n == 1) continue;
    if (perm[i] < last) return false;
    last = perm[i];
  }
  return true;
}

/* A permutation of axes: two become one, and one that keeps the order a reshape. */
Val graph_transpose(Graph *g, Val a, const uint8_t *perm) {
  if (!a) return 0;
  Attr attr = {.perm = {{0}}};
  Val source = a;
  for (int i = 0; i < g->node[a].shape.rank; i++) attr.perm.perm[i] = perm[i];
  Val v = graph_add(g, OP_TRANSPOSE, &a, NULL, attr);
  if (v && g->node[a].op == OP_TRANSPOSE) {
    source = g->node[a].in[0];
    for (int i = 0; i < g->node[a].shape.rank; i++)
      attr.perm.perm[i] = g->node[a].attr.perm.perm[perm[i]];
    v = graph_add(g, OP_TRANSPOSE, &source, NULL, attr);
  }
  if (!v || !keeps_order(&g->node[source].shape, attr.perm.perm)) return v;
  return graph_reshape(g, source, g->node[v].shape);
}

/* Part of an axis; the whole is the operand. */
Val graph_slice(Graph *g, Val a, int axis, int32_t begin, int32_t size) {
  if (!a) return 0;
  Val v = graph_add(g, OP_SLICE, &a, NULL, (Attr){.slice = {axis, begin, size}});
  return v && shape_equal(&g->node[v].shape, &g->node[a].shape) ? a : v;
}

/* Zeros around the operand; without any it is the operand. */
Val graph_embed(Graph *g, Val a, int axis, int32_t begin, int32_t size) {
  if (!a) return 0;
  Val v = graph_add(g, OP_EMBED, &a, NULL, (Attr){.slice = {axis, begin, size}});
  return v && shape_equal(&g->node[v].shape, &g->node[a].shape) ? a : v;
}

/* The value, through which no gradient passes. */
Val graph_stop(Graph *g, Val a) {
  return a ? graph_add(g, OP_STOP, &a, NULL, (Attr){.map = {0}}) : 0;
}
