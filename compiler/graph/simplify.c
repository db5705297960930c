/* simplify.c: the graph built anew without what it does not need.
 *
 * In: a whole graph, gradients included. Out: the same roots over fewer nodes, in the same
 * order; the new value of each old one (0 where none is left). Values keep their meaning:
 * every rewriting is one of fold.c (which see: exact, NaN and infinity included, but for the
 * sign of a zero in x + 0), or drops a STOP, which only grad.c heeds: so no gradient may be
 * taken of the result. Declared leaves go only if no root reaches them.
 *
 * needs: roots. keeps: spans, layers, topological order. breaks: Vals held elsewhere (remap
 * them). Linear in the number of nodes. */
#include "rules.h"

/* The copy of a MAP. */
static Val map_rebuild(Graph *g, const Node *n, const Val *in) {
  Scalar fn = (Scalar)n->attr.map.fn;
  switch (node_arity(n)) {
  case 1: return graph_map1(g, fn, in[0]);
  case 2: return graph_map2(g, fn, in[0], in[1]);
  default: return graph_map3(g, fn, in[0], in[1], in[2]);
  }
}

/* The copy of a node by the short form of its operation, on operands already copied. */
Val graph_rebuild(Graph *g, const Node *n, const Val *map) {
  const Attr *a = &n->attr;
  Val in[MAX_IN] = {0};
  for (int i = 0; i < node_arity(n); i++) in[i] = map[n->in[i]];
  g->span = n->span;
  g->layer = n->layer;
  switch ((Op)n->op) {
  case OP_MAP: return map_rebuild(g, n, in);
  case OP_MATMUL:
    if (a->gemm.precision) break; /* its operands are in the layout that it wants */
    return graph_matmul(g, in[0], a->gemm.ta, in[1], a->gemm.tb);
  case OP_REDUCE: return graph_reduce(g, (Scalar)a->reduce.fn, in[0], a->reduce.axes);
  case OP_RESHAPE: return graph_reshape(g, in[0], n->shape);
  case OP_TRANSPOSE: return graph_transpose(g, in[0], a->perm.perm);
  case OP_SLICE: return graph_slice(g, in[0], a->slice.axis, a->slice.begin, a->slice.size);
  case OP_EMBED: return graph_embed(g, in[0], a->slice.axis, a->slice.begin, a->slice.size);
  case OP_STOP: return in[0];
  case OP_INPUT:
  case OP_PARAM:
  case OP_STATE:
  case OP_CONST:
  case OP_RANDOM:
  case OP_CONV2D:
  case OP_POOL2D:
  case OP_COUNT: break;
  }
  return graph_add_copy(g, n, map);
}

/* The roots, in order, of what the nodes have become. */
void graph_rebuild_roots(Graph *to, const Graph *from, const Val *map) {
  for (uint32_t i = 0; i < from->nroot; i++) {
    Root r = from->root[i];
    r.value = map[r.value];
    r.target = map[r.target];
    PUSH(to->arena, to, root, r);
  }
}

/* Replaces every value of a node by its new one. */
static void node_remap(Node *n, const Val *map) {
  for (int i = 0; i < node_arity(n); i++) n->in[i] = map[n->in[i]];
  if (optab[n->op].attr == ATTR_decl) n->attr.decl.dead = map[n->attr.decl.dead];
}

/* Moves the nodes that the roots reach down over those that they do not. */
Val *graph_sweep(Graph *g) {
  Val *map = NEW_ARRAY(g->arena, Val, g->nnode);
  bool *live = NEW_ARRAY(g->arena, bool, g->nnode);
  uint32_t n = 1;
  graph_live(g, PHASE_COUNT, live);
  for (Val v = 1; v < g->nnode; v++) {
    if (!live[v]) continue;
    map[v] = n;
    if (n != v) g->node[n] = g->node[v];
    node_remap(&g->node[n++], map);
  }
  if (n != g->nnode) g->moved = true;
  g->nnode = n;
  for (uint32_t i = 0; i < g->nroot; i++) {
    g->root[i].value = map[g->root[i].value];
    g->root[i].target = map[g->root[i].target];
  }
  return map;
}

/* Copies and folds, then drops what folding left without use. */
Val *graph_simplify(Graph *g) {
  Val *map = NEW_ARRAY(g->arena, Val, g->nnode);
  bool *live = NEW_ARRAY(g->arena, bool, g->nnode);
  uint32_t n = g->nnode;
  Graph to;
  graph_next(&to, g);
  graph_live(g, PHASE_COUNT, live);
  for (Val v = 1; v < n; v++)
    if (live[v]) map[v] = graph_rebuild(&to, &g->node[v], map);
  graph_rebuild_roots(&to, g, map);
  to.span = g->span;
  to.layer = g->layer;
  graph_replace(g, &to);
  const Val *kept = graph_sweep(g);
  for (Val v = 0; v < n; v++) map[v] = kept[map[v]];
  return map;
}
