/* fuse.c: the algebra that makes a weight set free of charge. In: a Graph in which a layer's W is
 * ordinary nodes over its parameter, W = X + c (x) s with c [K,1] over the fan-in and s [1,N]
 * per neuron (DESIGN, section 5). Out: an equal Graph in which contractions read X itself:
 *
 *   distribute   a W        ->  a X + (a c) (x) s           forward: t = a c
 *                dz W^T     ->  dz X^T + (dz s^T) (x) c^T   dgrad:   u = dz s^T
 *                a (p o X)  ->  p o (a X)                   p [1,N], a gain per neuron
 *   commute      sum_j c_j (a^T dz)_j  ->  (a c)^T dz       wgrad:   r = t^T dz
 *   narrow       a contraction with one row or column is a sum of products
 *
 * Nothing here knows a weight set by name: any declaration that elaborates to these nodes gains.
 * The graph is rebuilt node by node through graph_add(), so equal terms (t in the forward and
 * the backward pass) come out shared. */
#include "fuse.h"
#include <stdio.h>
#include "seed.h"

typedef struct {
  Graph *from, *to;
  const Lowerings *lower;
  Remarks *remarks;
} Fuse;

void remark_add(Remarks *r, Name layer, Span span, const char *fmt, ...) {
  if (!r) return;
  char line[256];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(line, sizeof line, fmt, ap);
  va_end(ap);
  PUSH(r->arena, r, remark, (Remark){layer, span, arena_printf(r->arena, "%s", line), 0});
}

static const Node *node(const Fuse *f, Val v) { return graph_node(f->to, v); }

static bool is_map(const Fuse *f, Val v, Scalar fn) {
  return node(f, v)->op == OP_MAP && node(f, v)->attr.map.fn == fn;
}

static bool is_column(const Shape *s) { return s->rank == 2 && s->dim[1].n == 1; }
static bool is_row(const Shape *s) { return s->rank == 2 && s->dim[0].n == 1; }

/* Operand `a` or `b` of a MAP, whichever satisfies `want`; the other one in *rest. 0: none. */
static Val map_pick(const Fuse *f, Val v, bool (*want)(const Shape *), Val *rest) {
  const Node *n = node(f, v);
  for (int i = 0; i < 2; i++)
    if (want(&node(f, n->in[i])->shape)) return *rest = n->in[1 - i], n->in[i];
  return 0;
}

/* True if v is c (x) s: *c its column [K,1], *s its row [1,N]. */
static bool rank_one(const Fuse *f, Val v, Val *c, Val *s) {
  if (!is_map(f, v, S_mul)) return false;
  *c = map_pick(f, v, is_column, s);
  return *c && is_row(&node(f, *s)->shape);
}

/* True if v is X + c (x) s. */
static bool row_affine(const Fuse *f, Val v, Val *x, Val *c, Val *s) {
  if (!is_map(f, v, S_add)) return false;
  const Node *n = node(f, v);
  for (int i = 1; i >= 0; i--)
    if (rank_one(f, n->in[i], c, s))
      return *x = n->in[1 - i], shape_equal(&node(f, *x)->shape, &n->shape);
  return false;
}

/* True if v is p o X with p [1,N] and X of v's own shape. */
static bool row_scaled(const Fuse *f, Val v, Val *x, Val *p) {
  if (!is_map(f, v, S_mul)) return false;
  *p = map_pick(f, v, is_row, x);
  return *p && shape_equal(&node(f, *x)->shape, &node(f, v)->shape);
}

/* [K,1] as [1,K] and back. */
static Val flipped(Fuse *f, Val v) {
  const Shape *s = &node(f, v)->shape;
  Shape t = *s;
  t.dim[0] = s->dim[1], t.dim[1] = s->dim[0];
  return graph_reshape(f->to, v, t);
}

static Val contract(Fuse *f, Val a, bool ta, Val b, bool tb);

/* a op(X + c (x) s): op transposes if tb. */
static Val distribute(Fuse *f, Val a, bool ta, Val x, Val c, Val s, bool tb) {
  Graph *g = f->to;
  Val inner = tb ? contract(f, a, ta, s, true) : contract(f, a, ta, c, false); /* t or u: [M,1] */
  Val plain = contract(f, a, ta, x, tb); /* after t and u, so that its epilogue may read them */
  Val outer = tb ? flipped(f, c) : s;
  remark_add(f->remarks, g->layer, g->span,
             tb ? "rank-1 term of the weight set moved out of dgrad"
                : "rank-1 term of the weight set moved out of the forward product");
  if (SEED(107, tb, false)) return plain; /* caught by whole_agree: mlp */
  return graph_map2(g, S_add, plain, graph_map2(g, S_mul, inner, outer));
}

/* A contraction of which one side has a single row or column: a sum of products. */
static Val narrow(Fuse *f, Val a, bool ta, Val b, bool tb) {
  Graph *g = f->to;
  const Shape *sa = &node(f, a)->shape, *sb = &node(f, b)->shape;
  int32_t m = sa->dim[ta ? 1 : 0].n, n = sb->dim[tb ? 0 : 1].n;
  if (n == 1) { /* [M,K] . [K]: sum along the stored layout of a */
    Val row = tb ? b : flipped(f, b), column = tb ? flipped(f, b) : b;
    Val product = graph_map2(g, S_mul, a, ta ? column : row);
    Val sum = graph_reduce(g, S_add, product, ta ? 1u : 2u);
    return ta ? flipped(f, sum) : sum;
  }
  if (m == 1) {
    Val column = ta ? a : flipped(f, a), row = ta ? flipped(f, a) : a;
    Val product = graph_map2(g, S_mul, b, tb ? row : column);
    Val sum = graph_reduce(g, S_add, product, tb ? 2u : 1u);
    return tb ? flipped(f, sum) : sum;
  }
  return 0;
}

Lowering lowering_of(const Lowerings *l, Name layer) {
  return layer < l->nof && l->of[layer] ? (Lowering)(l->of[layer] - 1) : l->run;
}

/* Bytes that each merged form moves beyond the free layer. epilogue: t and u each read a matrix
 * of the batch once more. update: dW is written and read instead of being used in the product's
 * epilogue, and W is written and read beside V. */
static bool epilogue_cheaper(int64_t batch, int64_t in, int64_t out) {
  return batch * (in + out) <= 4 * in * out;
}

/* On CUDA t and u leave the epilogues of the kernels that make the two matrices: what is left is to
 * write and read them, 4 numbers a sample. It is also the default up to 2 % of the layer's traffic,
 * 3 (in + out) numbers a sample and 6 in out of parameters, gradients and state. */
static bool epilogue_cheaper_cuda(int64_t batch, int64_t in, int64_t out) {
  int64_t whole = 3 * batch * (in + out) + 6 * in * out;
  return 4 * batch <= 4 * in * out + whole / 50;
}

/* True if the rank-1 term of a weight [in, out] of this layer moves into epilogues. In low precision
 * no other form keeps what the set demands: W = V + c (x) s would be rounded once it is made. */
static bool moves_out(const Fuse *f, int64_t batch, const Shape *w) {
  Lowering form = lowering_of(f->lower, f->to->layer);
  if (form != LOWER_FUSED) return form == LOWER_EPILOGUE;
  if (f->lower->precision != PRECISION_FP32) return true;
  return (f->lower->cuda ? epilogue_cheaper_cuda : epilogue_cheaper)(batch, w->dim[0].n,
                                                                      w->dim[1].n);
}

/* matmul with every rewriting applied. */
static Val contract(Fuse *f, Val a, bool ta, Val b, bool tb) {
  Val x, c, s, p;
  Val v = narrow(f, a, ta, b, tb);
  if (v) return v;
  bool moves = moves_out(f, node(f, a)->shape.dim[ta ? 1 : 0].n, &node(f, b)->shape);
  if (moves && row_affine(f, b, &x, &c, &s)) return distribute(f, a, ta, x, c, s, tb);
  if (moves && !tb && row_scaled(f, b, &x, &p))
    return graph_map2(f->to, S_mul, contract(f, a, ta, x, false), p);
  return graph_matmul(f->to, a, ta, b, tb);
}

/* sum_j c_j (A B)_j over the rows of a product: (c^T A) B. 0 if v is not that. */
static Val commute(Fuse *f, Val operand, uint32_t axes) {
  Val c, product;
  if (axes != 1 || !is_map(f, operand, S_mul)) return 0;
  c = map_pick(f, operand, is_column, &product);
  if (!c || node(f, product)->op != OP_MATMUL) return 0;
  Node n = *node(f, product);
  if (node(f, c)->shape.dim[0].n != n.shape.dim[0].n) return 0;
  if (!moves_out(f, node(f, n.in[0])->shape.dim[n.attr.gemm.ta ? 0 : 1].n, &n.shape)) return 0;
  Val left = contract(f, n.in[0], !n.attr.gemm.ta, c, false); /* A^T c: [K,1] */
  remark_add(f->remarks, f->to->layer, f->to->span,
             "row sum of the weight gradient taken from t, not from dW");
  return contract(f, left, true, n.in[1], n.attr.gemm.tb);
}

/* A reduction of a whole matrix: columns first, which the kernel that makes it can do. */
static Val whole_sum(Fuse *f, const Node *n, Val operand) {
  Scalar fn = (Scalar)n->attr.reduce.fn;
  return graph_reduce(f->to, fn, graph_reduce(f->to, fn, operand, 1u), 2u);
}

/* The node n of `from`, rebuilt in `to`, where map[v] stands for v. */
static Val rebuild(Fuse *f, const Node *n, const Val *map) {
  Val in[MAX_IN];
  for (int i = 0; i < MAX_IN; i++) in[i] = map[n->in[i]];
  Val v = 0;
  if (n->op == OP_MATMUL) return contract(f, in[0], n->attr.gemm.ta, in[1], n->attr.gemm.tb);
  if (n->op == OP_REDUCE && n->attr.reduce.axes == 3 && node(f, in[0])->shape.rank == 2)
    return whole_sum(f, n, in[0]);
  if (n->op == OP_REDUCE && n->attr.reduce.fn == S_add)
    v = commute(f, in[0], n->attr.reduce.axes);
  return v ? v : graph_rebuild(f->to, n, map);
}

void fuse_algebra(Graph *g, const Lowerings *lower, Remarks *remarks) {
  Graph to;
  graph_next(&to, g);
  Fuse f = {g, &to, lower, remarks};
  Val *map = NEW_ARRAY(g->arena, Val, g->nnode);
  for (Val v = 1; v < g->nnode; v++) {
    const Node *n = graph_node(g, v);
    to.span = n->span, to.layer = n->layer;
    map[v] = rebuild(&f, n, map);
  }
  graph_rebuild_roots(&to, g, map);
  graph_replace(g, &to);
  graph_sweep(g);
}
