/* grad.c: reverse-mode differentiation of the graph; appends the adjoints as ordinary nodes.
 *
 * In: a scalar loss and the values whose adjoints are wanted. Out: those adjoints. The sweep
 * visits the nodes that lie between them from the loss down and calls the gradient rule of
 * each (ops.def names it), which adds to the adjoints of its operands; the order of addition
 * is that of the sweep, so it is fixed.
 *
 * Convention: while it is built, the adjoint of a node may be smaller than the node and stand
 * for what it broadcasts to: the adjoint of every element of a mean is one number, rank 0.
 * A rule that needs all elements asks grad_full(). Ties: a reduction by max shares dy evenly
 * among the elements that attain it, as PyTorch's amax does; min and max of two follow the
 * branch that the forward value took (max(x, 0) gives 0 at 0). */
#include "rules.h"
#include "seed.h"

struct Grad {
  Graph *g;
  Val *adjoint;      /* by node, 0: none yet */
  bool *need;        /* whether a wanted value lies at or below the node */
  bool failed;
};

/* ---- shapes of adjoints -------------------------------------------------------------- */

/* The adjoint with every element of the node written out. */
static Val grad_full(Grad *t, Val x, Val dy) {
  return graph_broadcast(t->g, dy, t->g->node[x].shape);
}

/* Adds a contribution, of x's shape or broadcasting to it. */
static void grad_give(Grad *t, Val x, Val dx) {
  if (!t->need[x] || t->failed) return;
  Val old = t->adjoint[x];
  t->adjoint[x] = old && dx ? graph_map2(t->g, S_add, old, dx) : dx;
  t->failed = !t->adjoint[x];
}

/* Sums dx, which broadcasts to `from`, over the axes along which x was repeated to `from`.
 * Where dx does not vary along such an axis, the sum is a product with the axis's size. */
static Val grad_unbroadcast(Graph *g, Val dx, Val x, const Shape *from) {
  const Shape to = g->node[x].shape, has = g->node[dx].shape;
  uint32_t axes = 0;
  double times = 1;
  for (int i = 0; i < from->rank; i++) {
    if (to.rank && to.dim[i].n == from->dim[i].n) continue;
    if (has.rank && has.dim[i].n != 1) axes |= 1u << i;
    else times *= from->dim[i].n;
  }
  axes = SEED(102, axes & (axes - 1), axes); /* caught by tests/graph_op.c */
  Val sum = graph_reduce(g, S_add, dx, axes);
  sum = graph_map2(g, S_mul, sum, graph_const(g, times));
  return to.rank || !has.rank ? sum : graph_reshape(g, sum, to);
}

/* ---- the rules ----------------------------------------------------------------------- */

/* Leaves, RANDOM, STOP: nothing below has an adjoint. */
void grad_stop(Grad *t, Val y, Val dy) { (void)t, (void)y, (void)dy; }

/* The derivative of the scalar function, summed back over what was broadcast. */
void grad_map(Grad *t, Val y, Val dy) {
  const Node n = t->g->node[y];
  for (int i = 0; i < node_arity(&n); i++) {
    if (!t->need[n.in[i]]) continue;
    Val dx = derive(t->g, y, i, dy);
    if (dx) grad_give(t, n.in[i], grad_unbroadcast(t->g, dx, n.in[i], &n.shape));
  }
}

/* C = A B: dA = dC Bᵀ and dB = Aᵀ dC, each transposed as its operand is stored. */
void grad_matmul(Grad *t, Val y, Val dy) {
  const Node n = t->g->node[y];
  Val a = n.in[0], b = n.in[1];
  bool ta = n.attr.gemm.ta, tb = n.attr.gemm.tb;
  dy = grad_full(t, y, dy);
  if (t->need[a])
    grad_give(t, a, ta ? graph_matmul(t->g, b, SEED(103, !tb, tb), dy, true) /* graph_op.c */
                       : graph_matmul(t->g, dy, false, b, !tb));
  if (t->need[b])
    grad_give(t, b, tb ? graph_matmul(t->g, dy, true, a, ta)
                       : graph_matmul(t->g, a, !ta, dy, false));
}

/* A sum repeats dy; a maximum shares it among the elements that are equal to it. */
void grad_reduce(Grad *t, Val y, Val dy) {
  Graph *g = t->g;
  const Node n = g->node[y];
  if (n.attr.reduce.fn == S_add) {
    grad_give(t, n.in[0], dy);
    return;
  }
  Val mask = graph_map2(g, S_eq, n.in[0], y);
  Val count = graph_reduce(g, S_add, mask, n.attr.reduce.axes);
  Val each = SEED(104, dy, graph_map2(g, S_div, dy, count)); /* caught by tests/graph_unit.c */
  grad_give(t, n.in[0], graph_map2(g, S_mul, mask, each));
}

/* The elements of dy under the operand's shape. */
void grad_reshape(Grad *t, Val y, Val dy) {
  Val x = t->g->node[y].in[0];
  if (t->g->node[dy].shape.rank == 0) grad_give(t, x, dy);
  else grad_give(t, x, graph_reshape(t->g, grad_full(t, y, dy), t->g->node[x].shape));
}

/* The inverse permutation. */
void grad_transpose(Grad *t, Val y, Val dy) {
  const Node n = t->g->node[y];
  uint8_t inverse[MAX_RANK] = {0};
  for (int i = 0; i < n.shape.rank; i++) inverse[n.attr.perm.perm[i]] = (uint8_t)i;
  bool scalar = t->g->node[dy].shape.rank == 0;
  grad_give(t, n.in[0], scalar ? dy : graph_transpose(t->g, dy, inverse));
}

/* Zeros around dy. */
void grad_slice(Grad *t, Val y, Val dy) {
  const Node n = t->g->node[y];
  int axis = n.attr.slice.axis;
  int32_t size = t->g->node[n.in[0]].shape.dim[axis].n;
  grad_give(t, n.in[0],
            graph_embed(t->g, grad_full(t, y, dy), axis, n.attr.slice.begin, size));
}

/* The part of dy that the operand went to. */
void grad_embed(Grad *t, Val y, Val dy) {
  const Node n = t->g->node[y];
  int axis = n.attr.slice.axis;
  int32_t size = t->g->node[n.in[0]].shape.dim[axis].n;
  grad_give(t, n.in[0],
            graph_slice(t->g, grad_full(t, y, dy), axis, n.attr.slice.begin, size));
}

/* Operations that are not executed yet say so. */
static void grad_refuse(Grad *t, Val y, const char *what) {
  (void)y;
  t->failed = !graph_refuse(t->g, "%s has no gradient yet", what);
}
void grad_conv2d(Grad *t, Val y, Val dy) { (void)dy, grad_refuse(t, y, "conv2d"); }
void grad_pool2d(Grad *t, Val y, Val dy) { (void)dy, grad_refuse(t, y, "pool2d"); }

/* ---- the sweep ----------------------------------------------------------------------- */

/* Marks the nodes that depend on a wanted value, the wanted ones included. */
static void mark_needed(Grad *t, const Val *want, uint32_t n, Val loss) {
  for (uint32_t i = 0; i < n; i++)
    if (want[i] <= loss) t->need[want[i]] = true;
  for (Val v = 1; v <= loss; v++) {
    const Node *node = &t->g->node[v];
    for (int i = 0; i < node_arity(node); i++) t->need[v] |= t->need[node->in[i]];
  }
}

/* Calls the rules from the loss down; new nodes get place and layer of what they derive. */
static void sweep(Grad *t, Val loss) {
  Graph *g = t->g;
  t->adjoint[loss] = graph_const(g, 1);
  for (Val v = loss; v > 0 && !t->failed; v--) {
    if (!t->need[v] || !t->adjoint[v]) continue;
    g->span = g->node[v].span;
    g->layer = g->node[v].layer;
    optab[g->node[v].op].grad(t, v, t->adjoint[v]);
  }
}

/* The adjoint of a wanted value in its own shape: zeros where the loss does not depend on it. */
static Val grad_result(Grad *t, Val x, Val loss) {
  Graph *g = t->g;
  g->span = g->node[x].span;
  g->layer = g->node[x].layer;
  Val dx = x <= loss ? t->adjoint[x] : 0;
  return dx ? grad_full(t, x, dx) : graph_fill(g, g->node[x].shape, 0);
}

/* See graph.h. On failure g->error says why; span and layer are put back. */
bool graph_gradient(Graph *g, Val loss, const Val *want, Val *adjoint, uint32_t n) {
  if (!loss) return false;
  if (shape_elements(&g->node[loss].shape) != 1)
    return graph_refuse(g, "the gradient of %s: a loss has one element",
                        shape_string(g, &g->node[loss].shape));
  Span span = g->span;
  Name layer = g->layer;
  Grad t = {.g = g,
            .adjoint = NEW_ARRAY(g->arena, Val, loss + 1),
            .need = NEW_ARRAY(g->arena, bool, loss + 1)};
  g->error[0] = 0; /* a rule that gives 0 has said why here, or its derivative is 0 */
  mark_needed(&t, want, n, loss);
  sweep(&t, loss);
  t.failed |= g->error[0] != 0;
  for (uint32_t i = 0; i < n && !t.failed; i++) {
    adjoint[i] = grad_result(&t, want[i], loss);
    t.failed = !adjoint[i];
  }
  g->span = span;
  g->layer = layer;
  return !t.failed;
}
