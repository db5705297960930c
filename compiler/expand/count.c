/* count.c: the work and memory of every row of the layer table.
 *
 * In: the graph of a forward pass and, per row, the nodes that were made for it. Out: floating
 * point operations of one sample, and the bytes that its gradient will read again. A value is
 * kept once, by the row that made it; views keep what they look at. */
#include "expand.h"

/* Operations to compute a node: contractions count a multiply and an add. */
static uint64_t node_flops(const Graph *g, const Node *n) {
  uint64_t all = shape_elements(&n->shape);
  const Shape *a = &g->node[n->in[0]].shape, *b = &g->node[n->in[1]].shape;
  switch ((Op)n->op) {
  case OP_MATMUL: return 2 * all * (uint64_t)a->dim[!n->attr.gemm.ta].n;
  case OP_CONV2D:
    return 2 * all * (uint64_t)b->dim[0].n * (uint64_t)b->dim[1].n * (uint64_t)b->dim[2].n;
  case OP_MAP: return all * scalartab[n->attr.map.fn].flops;
  case OP_REDUCE: return shape_elements(a);
  case OP_POOL2D: return all * (uint64_t)n->attr.pool.size[0] * (uint64_t)n->attr.pool.size[1];
  default: return 0;
  }
}

/* Marks a value as kept: what a view looks at, unless it is a leaf. */
static void keep(const Graph *g, Val v, bool *kept) {
  while (optab[g->node[v].op].cls == CLASS_VIEW) v = g->node[v].in[0];
  if (optab[g->node[v].op].cls != CLASS_LEAF) kept[v] = true;
}

/* Marks what the gradient of a node reads. */
static void keep_for(const Graph *g, Val v, bool *kept) {
  const Node *n = &g->node[v];
  if (n->op == OP_MAP) {
    switch ((Scalar)n->attr.map.fn) {
    case S_add: case S_sub: case S_neg: case S_floor: case S_tf32: case S_bf16:
    case S_lt: case S_le: case S_eq: return;
    case S_exp: case S_sqrt: case S_tanh: case S_sigmoid: keep(g, v, kept); return;
    case S_select: keep(g, n->in[0], kept); return;
    default: break;
    }
  }
  if (optab[n->op].keeps == KEEPS_OUT) keep(g, v, kept);
  if (optab[n->op].keeps == KEEPS_NONE) return;
  for (int i = 0; i < MAX_IN; i++)
    if (n->in[i]) keep(g, n->in[i], kept);
}

/* What a sample brings along: inputs with a batch, and random masks. */
static bool is_source(const Node *n) {
  return n->op == OP_RANDOM || (n->op == OP_INPUT && n->shape.rank && n->shape.dim[0].name);
}

/* Nodes that depend on a sample: weights and their sets are counted once a step, not per sample. */
static void mark_samples(const Graph *g, bool *varies) {
  for (Val v = 1; v < g->nnode; v++) {
    const Node *n = &g->node[v];
    varies[v] = is_source(n);
    for (int i = 0; i < MAX_IN && !varies[v]; i++) varies[v] = n->in[i] && varies[n->in[i]];
  }
}

/* Flops and kept bytes of every row, for one sample. */
void layers_count(Expander *x) {
  const Graph *g = x->graph;
  Model *m = x->model;
  bool *kept = NEW_ARRAY(x->arena, bool, g->nnode), *varies = NEW_ARRAY(x->arena, bool, g->nnode);
  uint64_t batch = (uint64_t)x->batch.n;
  Val end = m->nlayer ? m->layer[m->nlayer - 1].last : 0;
  mark_samples(g, varies);
  for (Val v = 1; v < end; v++)
    if (varies[v]) keep_for(g, v, kept);
  for (uint32_t i = 0; i < m->nlayer; i++)
    for (Val v = m->layer[i].first; v < m->layer[i].last; v++) {
      if (!varies[v]) continue;
      m->layer[i].flops += node_flops(g, &g->node[v]) / batch;
      if (kept[v]) m->layer[i].bytes += shape_elements(&g->node[v].shape) * 4 / batch;
    }
}
